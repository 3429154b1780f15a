"""Compare recipes at small scale: the same generated rows, one change each, the loss on held-back rows.

python ablate.py base                 # one of VARIANTS; writes runs/ablation-NAME.jsonl
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch
from recipe.bank import read_banks
from recipe.learning import GUIDANCE, REPLY_WEIGHT, Learner, of_reply, rate, tensors
from recipe.model import Shape
from recipe.pack import PROMPT_WEIGHT, arrays, make_row
from recipe.tree import Source

RUNS = Path(__file__).resolve().parent / "runs"
LENGTH, MOST_FUNCTIONS, ROWS, HELD_BACK = 512, 4, 12, 96
HOLD = 0.6
Batch = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs from the shipped recipe."""

    shape: Shape = field(default_factory=Shape)
    prompt_weight: float = PROMPT_WEIGHT
    guidance: float = GUIDANCE


VARIANTS = {
    "base": Variant(),
    "no-guidance": Variant(guidance=0.0),
    "less-guidance": Variant(guidance=0.3),
    "no-prompt-loss": Variant(prompt_weight=0.0),
    "rope-base-10000": Variant(Shape(rope_base=10_000.0)),
    "six-layers": Variant(Shape(layers=6, hidden=768, select=3, copy=4)),
    "narrow": Variant(Shape(width=192, heads=3, hidden=384)),
    "wide": Variant(Shape(width=320, heads=5, hidden=640)),
}


def batches(seed: int, rows: int, variant: Variant) -> Iterator[Batch]:
    """Endless batches of `rows` rows; the same trees for every variant."""
    source, rng = Source(read_banks()), Random(seed)
    source.large = False
    while True:
        made = [make_row(rng, source, LENGTH, MOST_FUNCTIONS) for _ in range(rows)]
        batch = tensors(arrays(made, LENGTH))
        weights = batch["weights"]
        weights[(weights > 0) & (weights < REPLY_WEIGHT)] = variant.prompt_weight
        yield batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--tokens", type=float, default=3e6)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    variant = VARIANTS[options.variant]
    learner = Learner(variant.shape, torch.device("cpu"), guidance=variant.guidance)
    held_back = next(batches(2, HELD_BACK, variant))
    RUNS.mkdir(exist_ok=True)
    tokens = step = 0
    told = 0.0
    begun = time.time()
    with (RUNS / f"ablation-{options.variant}.jsonl").open("w") as log:
        for batch in batches(1, ROWS, variant):
            learner.step(batch, rate(tokens / options.tokens, step, HOLD), step)
            step += 1
            tokens += int((batch["trees"] >= 0).sum())
            if tokens - told >= options.tokens / 12 or tokens >= options.tokens:
                told = tokens
                with torch.no_grad():
                    pieces = range(0, HELD_BACK, ROWS)
                    found = [
                        learner.losses({name: table[at : at + ROWS] for name, table in held_back.items()})
                        for at in pieces
                    ]
                    losses, weight, right = (torch.cat([part[index] for part in found]) for index in range(3))
                    guided = sum(float(part[3]) for part in found) / len(found)
                    outcome = of_reply(losses, weight, right, guided)
                entry = {"tokens": tokens, "step": step, "loss": round(outcome.loss, 4)}
                entry |= {
                    "right": round(outcome.right, 4),
                    "guided": round(guided, 4),
                    "minutes": round((time.time() - begun) / 60, 1),
                }
                log.write(json.dumps(entry) + "\n")
                log.flush()
            if tokens >= options.tokens:
                return


if __name__ == "__main__":
    main()
