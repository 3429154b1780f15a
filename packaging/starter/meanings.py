"""Learn what words have to do with each other: bags of tokens of requests and of functions, told apart by cosine.

A minute of this gives the network's embeddings what takes it very long to find out by itself: that `refund` belongs
to `reversePayment`. Writes runs/meanings.pt for `train.py --meanings`, and says how often the right function of a
domain is the nearest one, for wordings and domains that are held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as functional
from recipe.bank import Intent, read_banks
from recipe.builtins import builtins
from recipe.conversation import request
from recipe.functions import offer
from recipe.model import Shape
from recipe.render import block
from recipe.tokens import encode, piece_ids
from torch import Tensor, nn

TARGET = Path(__file__).resolve().parent / "runs" / "meanings.pt"
EXAMPLES, DOMAINS, DIMENSIONS, RATE = 60, 20, 96, 4e-3
MARKUP = frozenset(piece_ids().values())


@dataclass(frozen=True, slots=True)
class Pair:
    """Tokens of a request and of the function that it asks for."""

    request: list[int]
    function: list[int]


def words(text: str) -> list[int]:
    """The tokens of a text without markup, which says nothing about what it is about."""
    return [token for token in encode(text) if token not in MARKUP]


def pair(rng: Random, intent: Intent, *, held_out: bool = False) -> Pair | None:
    function = offer(rng, intent, everywhere=False, taken=set(), flips=0)
    if function is None:
        return None
    complete = True if rng.random() < 0.6 else None
    said = request(rng, function, complete=complete, wordings=intent.held_wordings if held_out else ())
    return Pair(words(said.text), words(block([function.metadata]))) if said else None


def pairs(rng: Random, intents: Sequence[Intent], count: int, *, held_out: bool = False) -> list[list[Pair]]:
    """Pairs of every intent of one domain."""
    made = ([pair(rng, intent, held_out=held_out) for _ in range(count)] for intent in intents)
    return [found for drawn in made if (found := [one for one in drawn if one])]


class Meanings(nn.Module):
    """A vector and two weights, in a request and in a function, for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(Shape().vocabulary, DIMENSIONS) * 0.1)
        self.in_request, self.in_function = (nn.Parameter(torch.zeros(Shape().vocabulary)) for _ in range(2))
        self.sharpness = nn.Parameter(torch.tensor(2.5))

    def pool(self, texts: Sequence[Sequence[int]], weights: Tensor) -> Tensor:
        flat = torch.tensor([token for text in texts for token in text])
        ends = torch.tensor([len(text) for text in texts]).cumsum(0)
        begins = torch.cat((torch.zeros(1, dtype=ends.dtype), ends[:-1]))
        scale = functional.softplus(weights[flat])
        pooled = functional.embedding_bag(flat, self.vectors, begins, mode="sum", per_sample_weights=scale)
        return functional.normalize(pooled, dim=-1)

    def forward(self, requests: Sequence[Sequence[int]], functions: Sequence[Sequence[int]]) -> Tensor:
        """How near every request is to every function."""
        return self.pool(requests, self.in_request) @ self.pool(functions, self.in_function).T * self.sharpness.exp()

    def directions(self) -> Tensor:
        """(vocabulary, DIMENSIONS): vectors as long as the token matters."""
        weight = functional.softplus(self.in_request) * functional.softplus(self.in_function)
        return (self.vectors * weight.sqrt()[:, None]).detach()


def nearest(model: Meanings, domains: Sequence[list[list[Pair]]]) -> float:
    """How often the right function of a domain is the nearest to a request."""
    right = total = 0
    with torch.no_grad():
        for domain in domains:
            functions = [drawn[0].function for drawn in domain]
            for index, drawn in enumerate(domain):
                found = model([one.request for one in drawn], functions).argmax(1)
                right, total = right + int((found == index).sum()), total + len(drawn)
    return right / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    rng, banks = Random(1), read_banks()
    trained = [bank.intents for bank in banks if not bank.held_out] + [builtins()]
    domains = [pairs(rng, intents, EXAMPLES) for intents in trained]
    model = Meanings()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for step in range(options.steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / options.steps) + 1e-4
        drawn = [
            (number, rng.sample(found, 2))
            for number in rng.sample(range(len(domains)), DOMAINS)
            for found in domains[number]
            if len(found) > 1
        ]
        near = model([one.request for _, (one, _) in drawn], [other.function for _, (_, other) in drawn])
        number, right = torch.tensor([number for number, _ in drawn]), torch.arange(len(drawn))
        siblings = near.masked_fill(number[:, None] != number[None], -1e4)
        loss = functional.cross_entropy(near, right) + functional.cross_entropy(siblings, right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 99:
            print(f"step {step + 1}, loss {float(loss.detach()):.3f}", flush=True)
    held_wordings = [pairs(rng, intents, 3, held_out=True) for intents in trained]
    held_domains = [pairs(rng, bank.intents, 10) for bank in banks if bank.held_out]
    print(
        f"nearest is right: held-out wordings {nearest(model, held_wordings):.2f}, "
        f"held-out domains {nearest(model, held_domains):.2f}"
    )
    TARGET.parent.mkdir(exist_ok=True)
    torch.save(model.directions(), TARGET)


if __name__ == "__main__":
    main()
