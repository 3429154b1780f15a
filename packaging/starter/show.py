"""Print some generated trees, to read what the model is trained on."""

from __future__ import annotations

import sys
from random import Random

from recipe.bank import read_banks
from recipe.tree import Source

source = Source(read_banks())
rng = Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 4):
    tree = source.tree(rng, rng.randint(1, 4), 6)
    print(tree.block)
    for exchanges in tree.conversations:
        for exchange in exchanges:
            print("   ", exchange.kind, "|", exchange.prompt.strip(), "=>", exchange.reply)
