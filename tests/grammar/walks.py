"""Walks through a grammar by its masks, byte by byte: does it admit a text, and what does it write at random?"""

from __future__ import annotations

import random
from functools import lru_cache

from llguidance import LLMatcher, LLTokenizer

from fclocal.grammar.schema import CompiledSchema

CLOSERS = b'"}]'


@lru_cache(maxsize=1)
def tokenizer() -> LLTokenizer:
    """One token a byte."""
    return LLTokenizer("byte")


def matcher(lark: str) -> LLMatcher:
    """A matcher at the start of a grammar that must compile."""
    found = LLMatcher(tokenizer(), LLMatcher.grammar_from_lark(lark), log_level=0)
    assert not found.is_error(), found.get_error()
    return found


def value_grammar(compiled: CompiledSchema, *, indented: bool = False) -> str:
    """The grammar of one value and nothing else."""
    start = compiled.indented if indented else compiled.one_line
    return "\n".join(
        ["%llguidance {}", f"start: {start}", *(f"{name}: {body}" for name, body in compiled.rules.items())]
    )


def admits(lark: str, text: str) -> bool:
    """Whether the whole of `text` is one reply of the grammar."""
    found = matcher(lark)
    data = list(text.encode())
    return found.try_consume_tokens(data) == len(data) and found.is_accepting()


def forced(lark: str, text: str = "") -> str:
    """What the grammar leaves no choice about after `text`."""
    found = matcher(lark)
    assert found.consume_tokens(list(text.encode()))
    return found.compute_ff_bytes().decode()


def walk(lark: str, seed: int, *, closing: int = 200, longest: int = 6000) -> str:
    """A random text of the grammar; after `closing` bytes it prefers what ends values, as the engine does."""
    chance = random.Random(seed)
    found = matcher(lark)
    written = bytearray()
    while len(written) < longest:
        mask = found.compute_bitmask()
        assert not found.is_error(), found.get_error()
        allowed = [byte for byte in range(256) if mask[byte >> 3] >> (byte & 7) & 1]
        if found.is_stopped() or not allowed:
            break
        byte = _pick(allowed, chance, hurry=len(written) > closing)
        found.consume_token(byte)
        written.append(byte)
    assert found.is_accepting(), f"unfinished: {written[-200:]!r}"
    return written.decode()


def _pick(allowed: list[int], chance: random.Random, *, hurry: bool) -> int:
    closers = [byte for byte in allowed if byte in CLOSERS]
    if closers and (hurry or chance.random() < 0.3):
        return chance.choice(closers)
    if hurry:
        allowed = [byte for byte in allowed if byte not in b',.-\\[{ "'] or allowed
    return chance.choice(allowed)
