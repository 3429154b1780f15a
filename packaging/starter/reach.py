"""How far the model sees: what it gives to the names that stand in the block, where a function's name begins.

Of fresh training rows. 1.0 is a model that only ever names a function that it was offered.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as functional
from export import read
from recipe.bank import read_banks
from recipe.learning import tensors
from recipe.model import Shape, Starter
from recipe.pack import CALL_BEGINS, FIRST_WEIGHT, Row, arrays, make_row
from recipe.sources import OPENERS
from recipe.tree import Source

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "fclocal" / "models" / "starter" / "starter.gguf"


@dataclass(frozen=True, slots=True)
class Sight:
    """One call: functions in its block, tokens back to the right name, share for names of the block, right or not."""

    functions: int
    distance: int
    share: float
    right: bool


def sights(model: Starter, row: Row, length: int) -> Iterator[Sight]:
    """Every call of a row."""
    table = tensors(arrays([row], length))
    with torch.no_grad():
        hidden, _, _ = model(table["tokens"], table["positions"], table["trees"], table["branches"])
        shares = functional.linear(hidden, model.embedding.weight)[0].softmax(-1)
    names: dict[int, dict[int, int]] = defaultdict(dict)
    for at, token in enumerate(row.tokens[:-1]):
        if row.branches[at] == 0 and token in OPENERS:
            names[row.trees[at]].setdefault(row.tokens[at + 1], row.positions[at + 1])
    for at, weight in enumerate(row.weights):
        if weight != FIRST_WEIGHT or row.targets[at] != CALL_BEGINS:
            continue
        begin, offered = at + 1, names[row.trees[at]]
        right = row.targets[begin]
        if right in offered:
            share = float(shares[begin, list(offered)].sum())
            distance = row.positions[begin] - offered[right]
            yield Sight(len(offered), distance, share, int(shares[begin].argmax()) == right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--length", type=int, default=896)
    options = parser.parse_args()
    model = Starter(Shape())
    model.load_state_dict(read(options.model, model.shape))
    source, rng = Source(read_banks(), own=0.0), Random(3)
    groups: dict[tuple[str, int], list[Sight]] = defaultdict(list)
    for _ in range(options.rows):
        for sight in sights(model, make_row(rng, source, options.length, 8), options.length):
            groups["functions", sight.functions].append(sight)
            groups["distance", sight.distance // 100 * 100].append(sight)
    for (what, value), members in sorted(groups.items()):
        share = sum(one.share for one in members) / len(members)
        right = sum(one.right for one in members) / len(members)
        print(f"{what:<9} {value:>5}  n {len(members):>4}  names of the block {share:.2f}  right {right:.2f}")


if __name__ == "__main__":
    main()
