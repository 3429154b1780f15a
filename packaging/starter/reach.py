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
from recipe.model import Shape, Starter, tree_mask
from recipe.pack import FIRST_WEIGHT, Row, arrays, encode, make_row
from recipe.tree import Source

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "fclocal" / "models" / "starter" / "starter.gguf"
IN_BLOCK, IN_REPLY = encode('{\n    "function": "'), encode('{"function": "')


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
        mask = tree_mask(table["trees"], table["branches"], torch.float32)
        hidden = model(table["tokens"], table["positions"], mask)
        shares = functional.linear(hidden, model.embedding.weight)[0].softmax(-1)
    names: dict[int, dict[int, int]] = defaultdict(dict)
    for at in range(len(row.tokens) - len(IN_BLOCK)):
        if row.branches[at] == 0 and row.tokens[at : at + len(IN_BLOCK)] == IN_BLOCK:
            names[row.trees[at]].setdefault(row.tokens[at + len(IN_BLOCK)], row.positions[at + len(IN_BLOCK)])
    for at, weight in enumerate(row.weights):
        if weight != FIRST_WEIGHT or row.targets[at] != IN_REPLY[0]:
            continue
        begin, offered = at + len(IN_REPLY), names[row.trees[at]]
        right = row.targets[begin]
        if right in offered:
            share = float(shares[begin, list(offered)].sum())
            distance = row.positions[begin] - offered[right]
            yield Sight(len(offered), distance, share, int(shares[begin].argmax()) == right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--length", type=int, default=1536)
    options = parser.parse_args()
    model = Starter(Shape())
    model.load_state_dict(read(options.model, model.shape))
    source, rng = Source(read_banks(), own=0.0), Random(3)
    groups: dict[tuple[str, int], list[Sight]] = defaultdict(list)
    for _ in range(options.rows):
        for sight in sights(model, make_row(rng, source, options.length, 8), options.length):
            groups["functions", sight.functions].append(sight)
            groups["distance", sight.distance // 200 * 200].append(sight)
    for (what, value), members in sorted(groups.items()):
        share = sum(one.share for one in members) / len(members)
        right = sum(one.right for one in members) / len(members)
        print(f"{what:<9} {value:>5}  n {len(members):>4}  names of the block {share:.2f}  right {right:.2f}")


if __name__ == "__main__":
    main()
