"""Asks llguidance itself: does this grammar compile, and which short string does it admit? Knows no schema."""

from __future__ import annotations

import json
import random
from functools import lru_cache

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from fclocal.functions import Json
from fclocal.grammar.patterns import Unportable, for_least

GUIDANCE: dict[str, Json] = {
    "whitespace_flexible": False,
    "key_separator": ": ",
    "item_separator": ", ",
    "json_allowed_escapes": 'nrbtf\\"',
}

UNLIMITED = 1 << 40
MAX_BYTES = 300
MAX_STEPS = 500
_QUOTE = ord('"')
_JOINTS = b"@:/.-_=,"
_FAVOURITES = b"0a1A2b-_. /:"


def json_leaf(schema: dict[str, Json]) -> str:
    """A JSON schema as it stands in Lark text."""
    return "%json " + json.dumps({**schema, "x-guidance": GUIDANCE})


def text_leaf(shortest: int, longest: int, patterns: tuple[str, ...]) -> str:
    """The Lark expression of JSON strings of some length in which every pattern is found."""
    first: dict[str, Json] = {"type": "string"}
    if longest < UNLIMITED:
        first["maxLength"] = longest
    if shortest:
        first["minLength"] = shortest
    if not patterns:
        return json_leaf(first)
    if len(patterns) == 1:
        return json_leaf({**first, "pattern": patterns[0]})
    return json_leaf({"allOf": [first, *({"type": "string", "pattern": pattern} for pattern in patterns)]})


def refusal(lark: str) -> str:
    """Why llguidance does not take a grammar; empty when it does."""
    return str(LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(lark), _tokenizer(), limits=_limits()))


@lru_cache(maxsize=4096)
def refused_leaf(body: str) -> bool:
    """Whether the body of a rule is a JSON schema that llguidance does not take."""
    return body.startswith("%json") and bool(refusal(f"%llguidance {{}}\nstart: {body}\n"))


@lru_cache(maxsize=4096)
def short_texts(shortest: int, longest: int, patterns: tuple[str, ...], count: int = 1) -> tuple[str, ...]:
    """Up to `count` different short strings that such a leaf admits, the shortest first; empty when none was found."""
    if refused_leaf(text_leaf(shortest, longest, patterns)):
        return ()
    try:
        shortened = tuple(map(for_least, patterns))
    except Unportable:
        shortened = patterns
    found: set[str] = set()
    steps = MAX_STEPS
    for spelled in dict.fromkeys((shortened, patterns)):
        lark = f"%llguidance {{}}\nstart: {text_leaf(shortest, longest, spelled)}\n"
        matcher = LLMatcher(_tokenizer(), LLMatcher.grammar_from_lark(lark), log_level=0, limits=_limits())
        for attempt in range(2 + 4 * (count - 1)):
            text, taken = _roll(matcher.deep_copy(), random.Random(attempt), min(steps, MAX_BYTES), greedy=attempt == 0)
            found |= {text} if text is not None else set()
            steps -= taken
            if len(found) >= count or steps <= 0:
                return _shortest(found, count)
    return _shortest(found, count)


def _shortest(found: set[str], count: int) -> tuple[str, ...]:
    return tuple(sorted(found, key=lambda text: (len(text), text)))[:count]


def _roll(matcher: LLMatcher, chance: random.Random, steps: int, *, greedy: bool) -> tuple[str | None, int]:
    """One walk through a leaf that closes the string as soon as it may, and its length in bytes."""
    written = bytearray()
    while len(written) < steps:
        mask = matcher.compute_bitmask()
        if matcher.is_error():
            return None, len(written) + 1
        allowed = [byte for byte in range(256) if mask[byte >> 3] >> (byte & 7) & 1]
        if matcher.is_stopped() or not allowed:
            break
        byte = _QUOTE if written and _QUOTE in allowed else _pick(allowed, written, chance, greedy=greedy)
        matcher.consume_token(byte)
        written.append(byte)
    if not matcher.is_accepting():
        return None, len(written) + 1
    try:
        value = json.loads(written)
    except ValueError:
        return None, len(written)
    return (value if isinstance(value, str) else None), len(written)


def _pick(allowed: list[int], written: bytearray, chance: random.Random, *, greedy: bool) -> int:
    plain = [byte for byte in allowed if 0x20 <= byte < 0x7F and byte != ord("\\")] or allowed
    if greedy:
        unused = bytes(byte for byte in _JOINTS if byte not in written) if len(written) > 1 else b""
        return next((byte for byte in unused + _FAVOURITES if byte in plain), plain[0])
    return chance.choice(plain)


@lru_cache(maxsize=1)
def _tokenizer() -> LLTokenizer:
    return LLTokenizer("byte")


def _limits() -> LLParserLimits:
    return LLParserLimits(initial_lexer_fuel=400_000, step_lexer_fuel=100_000, max_lexer_states=50_000)
