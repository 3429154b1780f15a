"""Write shards of training rows into runs/shards, a few ahead of the trainer. Restart it to load new banks."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from random import Random

import numpy as np
from recipe.bank import read_banks
from recipe.pack import arrays, make_row
from recipe.tree import Source

SHARDS = Path(__file__).resolve().parent / "runs" / "shards"
# Row length -> (rows of a shard, most functions, share of the product's own functions).
SHAPES = {384: (96, 3, 0.12), 640: (80, 5, 0.12), 896: (56, 8, 0.25)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--ahead", type=int, default=6, help="shards of each length to keep ready")
    parser.add_argument("--lengths", default="640,896")
    parser.add_argument("--count", type=int, default=0, help="stop after so many shards")
    options = parser.parse_args()
    SHARDS.mkdir(parents=True, exist_ok=True)
    source, rng = Source(read_banks()), Random(options.seed)
    print(f"{len(source.banks)} training banks, {sum(len(bank.intents) for bank in source.banks)} intents", flush=True)
    lengths = [int(part) for part in options.lengths.split(",")]
    made = 0
    while not options.count or made < options.count:
        idle = True
        for length in lengths:
            if len(list(SHARDS.glob(f"{length}-*.npz"))) >= options.ahead:
                continue
            rows, most, source.own = SHAPES[length]
            source.large = length > 800
            part = SHARDS / f"part-{os.getpid()}.tmp"
            with part.open("wb") as file:
                np.savez(file, **arrays([make_row(rng, source, length, most) for _ in range(rows)], length))
            part.rename(SHARDS / f"{length}-{time.time_ns()}.npz")
            made += 1
            idle = False
        if idle:
            time.sleep(1)


if __name__ == "__main__":
    main()
