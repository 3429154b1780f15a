"""Train the tokenizer: letter-only BPE on generated text, JSON pieces by hand. Writes tokenizer.json."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

from recipe.bank import Bank, read_banks
from recipe.pieces import PIECES
from recipe.tokens import SPECIAL, TOKENIZER, byte_letters, encode, vocabulary
from recipe.tree import Source
from recipe.words import lists

SIZE = 6144
WORDS = 260
FUNCTION_WORDS = [
    *("a", "the", "to", "from", "on", "at", "by", "in", "for", "of", "with", "is", "and", "or", "as", "it", "its", "I"),
    *("my", "me", "you", "your", "we", "our", "this", "that", "these", "are", "was", "were", "be", "do", "does", "did"),
    *("can", "could", "will", "would", "should", "have", "has", "what", "which", "when", "where", "who", "how", "many"),
    *("much", "about", "not", "no", "up", "out"),
]
# Pieces of JSON and markup. None joins a quotation mark with what follows it, none holds two newlines.
HAND = [
    " {",
    " }",
    " [",
    " ]",
    ' "',
    " },",
    ' {"',
    ' ["',
    '{"',
    "</",
    "\n   ",
    "\n       ",
    "\n           ",
    "\n               ",
    "<<",
    ">>",
    " [/",
]


def word_counts(trees: int) -> Counter[str]:
    """Letter runs of generated trees (in training only), cut at lower->Upper, counted."""
    source, rng = Source(read_banks()), Random(7)
    counts: Counter[str] = Counter()
    texts = []
    for _ in range(trees):
        tree = source.tree(rng, rng.randint(1, 6), 6)
        texts.append(tree.block)
        texts += [exchange.prompt + exchange.reply for exchanges in tree.conversations for exchange in exchanges]
    texts += [word for words in lists().values() for word in words] * 4
    for text in texts:
        counts.update(re.findall(r"[A-ZÀ-Þ]?[a-zß-ÿ]+|[A-ZÀ-Þ]+(?![a-zß-ÿ])|[A-ZÀ-Þ]", text))
    return Counter({word: int(count**0.6) + 1 for word, count in counts.items()})


def spaced_words(banks: Sequence[Bank]) -> list[str]:
    """The commonest words of wordings and descriptions that are part of no name: they are hardly ever copied, so a
    token of their own with the space before them costs nothing and saves one token in six."""
    counts: Counter[str] = Counter()
    names: set[str] = set()
    for bank in banks:
        for intent in bank.intents if not bank.held_out else ():
            spoken = [*intent.wordings, *intent.descriptions]
            for slot in intent.slots:
                spoken += slot.descriptions
                names |= {word for name in slot.names for word in re.findall("[a-z]+", name.lower())}
            names |= {word.lower() for name in intent.names for word in re.findall("[A-Z]?[a-z]+", name)}
            for text in spoken:
                counts.update(re.findall(r"(?<= )[a-z]+(?![a-z'}?])", text))
    found = [word for word, _ in counts.most_common() if len(word) > 1 and word not in names]
    return list(dict.fromkeys([*FUNCTION_WORDS, *found]))[:WORDS]


def merges_of(counts: Counter[str], wanted: int) -> list[tuple[str, str]]:
    """Plain BPE over words; recounts only the words that a merge touches."""
    letters = byte_letters()
    words = [([letters[byte] for byte in word.encode()], count) for word, count in counts.items()]
    pairs: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[int]] = {}
    for index, (parts, count) in enumerate(words):
        for pair in pairwise(parts):
            pairs[pair] += count
            where.setdefault(pair, set()).add(index)
    merges: list[tuple[str, str]] = []
    known: set[str] = set()
    while len(merges) < wanted:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < 2:
            break
        joined = "".join(best)
        if joined not in known:
            known.add(joined)
        merges.append(best)
        for index in list(where[best]):
            parts, count = words[index]
            for pair in pairwise(parts):
                pairs[pair] -= count
            fused: list[str] = []
            at = 0
            while at < len(parts):
                if at + 1 < len(parts) and (parts[at], parts[at + 1]) == best:
                    fused.append(joined)
                    at += 2
                else:
                    fused.append(parts[at])
                    at += 1
            words[index] = (fused, count)
            for pair in pairwise(fused):
                pairs[pair] += count
                where.setdefault(pair, set()).add(index)
        del pairs[best]
    return merges


def hand_merges() -> list[tuple[str, str]]:
    """The merges that build each piece of HAND from its bytes, left to right, spaces in halves."""
    letters = byte_letters()
    space, newline = letters[32], letters[10]
    made: list[tuple[str, str]] = [
        (space, space),
        (space * 2, space),
        (newline, space * 3),
        (space * 2, space * 2),
        (space * 4, space * 3),
        (newline, space * 7),
    ]
    made += [
        (space * 4, space * 4),
        (space * 8, space * 3),
        (newline, space * 11),
        (space * 8, space * 7),
        (newline, space * 15),
    ]
    for piece in HAND:
        if piece.startswith("\n"):
            continue
        text = "".join(letters[byte] for byte in piece.encode())
        built = text[0]
        for char in text[1:]:
            if (built, char) not in made:
                made.append((built, char))
            built += char
    return made


def main() -> None:
    trees = int(sys.argv[1]) if len(sys.argv) > 1 else 2500
    hand = hand_merges()
    hand_tokens = list(dict.fromkeys("".join(pair) for pair in hand))
    base = [*SPECIAL, *byte_letters().values()]
    space = byte_letters()[32]
    words = spaced_words(read_banks())
    learned = merges_of(word_counts(trees), SIZE - len(base) - len(hand_tokens) - len(words) - len(PIECES))
    whole = {"".join(pair) for pair in learned} | set(base)
    spaced = [(space, word) for word in words if word in whole]
    tokens = list(dict.fromkeys([*base, *hand_tokens, *("".join(pair) for pair in [*learned, *spaced])]))
    merges = [" ".join(pair) for pair in [*hand, *learned, *spaced]]
    while (len(tokens) + len(PIECES)) % 64:
        tokens.append(f"<unused{len(tokens)}>")
    tokens += PIECES
    Path(TOKENIZER).write_text(
        json.dumps({"tokens": tokens, "merges": merges}, ensure_ascii=False, indent=0), encoding="utf-8"
    )
    for sample in [
        '{"function": "getCityWeather", "arguments": {"city": "Köln", "n": 12}}',
        "[INST] Book a table at 7:30 pm for the two of us, please [/INST]\n\n",
    ]:
        print([vocabulary()[0][token] for token in encode(sample)])
    print(len(tokens), "tokens,", len(merges), "merges; with a space:", " ".join(words))


if __name__ == "__main__":
    main()
