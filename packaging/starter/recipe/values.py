"""Values of a kind (`@city`, `@int(1,9)`): what the user says and what the call holds. Knows kinds, no intents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from recipe.expressions import expression
from recipe.kinds import COMPOSED, SIMPLE
from recipe.phrases import SMALL, pick

Json = str | int | float | bool | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class Value:
    """One value: `said` in the user's words, `json` as the call's argument."""

    said: str
    json: Json


def number(rng: Random, low: float, high: float) -> Value:
    places = rng.choice([0, 1, 1, 2])
    value = round(rng.uniform(low, high), places)
    if places == 0 or value == int(value):
        return Value(str(int(value)), int(value))
    return Value(f"{value}", value)


def integer(rng: Random, low: int, high: int) -> Value:
    if high - low > 200 and rng.random() < 0.5:
        high = low + 200 if rng.random() < 0.5 else high
    value = rng.randint(low, high)
    if 1 < value <= 12 and rng.random() < 0.12:
        return Value(SMALL[value], value)
    return Value(str(value), value)


SPEC = re.compile(r"@([a-z_]+)(?:\(([^)]*)\))?$")


def known(spec: str) -> bool:
    """Whether a value spec names a kind of this library."""
    found = SPEC.match(spec)
    return bool(found) and (
        found[1] in SIMPLE or found[1] in COMPOSED or found[1] in NUMERIC or found[1] in {"expression", "boolean"}
    )


def money(rng: Random) -> Value:
    value = rng.choice(
        [rng.randint(2, 99), rng.randint(5, 40) * 10, rng.randint(1, 60) * 50, round(rng.uniform(1, 300), 2)]
    )
    return Value(str(value), value)


NUMERIC = {"int", "number", "money", "percent", "year"}


def sample(rng: Random, spec: str) -> Value:
    """One value of a spec like `@city` or `@int(1,12)`."""
    found = SPEC.match(spec)
    if found is None:
        raise ValueError(f"not a value kind: {spec!r}")
    kind, bounds = found[1], found[2]
    limits = [float(part) for part in bounds.split(",")] if bounds else []
    low, high = (limits[0], limits[1]) if len(limits) == 2 else (1.0, 100.0)
    match kind:
        case "int":
            return integer(rng, int(low), int(high))
        case "number":
            return number(rng, low, high)
        case "money":
            return number(rng, low, high) if limits else money(rng)
        case "percent":
            return (
                integer(rng, int(low), int(high))
                if limits
                else Value(
                    str(value := rng.choice([5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 80, 90, rng.randint(1, 99)])), value
                )
            )
        case "year":
            return integer(rng, int(low), int(high)) if limits else Value(str(value := rng.randint(1900, 2035)), value)
        case "expression":
            return Value(*expression(rng))
        case "boolean":
            return Value(*rng.choice([("true", True), ("false", False)]))
    maker = COMPOSED.get(kind)
    said = maker(rng) if maker else pick(rng, kind)
    return Value(said, said)
