"""Values drawn from a shape, mostly short ones: to try out what only the final check can decide."""

from __future__ import annotations

import random
from decimal import Decimal, localcontext

from fclocal.functions import Json
from fclocal.grammar.numbers import DIGITS
from fclocal.grammar.probe import short_texts
from fclocal.grammar.shapes import Either, Fields, Items, Literals, Number, Shape, Text

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def draw(shape: Shape, chance: random.Random) -> Json:
    """One value of the shape."""
    match shape:
        case Literals():
            return chance.choice(shape.values)
        case Number():
            return _number(shape, chance)
        case Text():
            return _text(shape, chance)
        case Items():
            return _items(shape, chance)
        case Fields():
            return _fields(shape, chance)
        case Either():
            return draw(chance.choice(shape.options), chance)


def _number(shape: Number, chance: random.Random) -> Json:
    least = shape.extent.least
    if chance.random() < 0.2 or not isinstance(least, int | float):
        return least
    step = shape.step or Decimal(1 if shape.whole or chance.random() < 0.5 else "0.25")
    if shape.wanted_step and chance.random() < 0.5:
        step = shape.wanted_step
    base = Decimal(str(least))
    for _ in range(4):
        with localcontext(prec=DIGITS):
            found = base + step * chance.randint(-12, 12) * chance.choice((1, 1, 7, 100))
        low = shape.low is None or found > shape.low or (found == shape.low and not shape.low_open)
        high = shape.high is None or found < shape.high or (found == shape.high and not shape.high_open)
        if low and high:
            return int(found) if found == found.to_integral_value() else float(found)
    return least


def _text(shape: Text, chance: random.Random) -> Json:
    if shape.patterns:
        return chance.choice(short_texts(shape.shortest, shape.longest, shape.patterns, 8) or (shape.extent.least,))
    size = min(shape.longest, shape.shortest + chance.randint(0, 6))
    return "".join(chance.choice(_LETTERS) for _ in range(size))


def _items(shape: Items, chance: random.Random) -> Json:
    size = min(shape.longest, shape.shortest + chance.choice((0, 0, 0, 1, 2)))
    if shape.unique and isinstance(shape.rest, Literals):
        return chance.sample(shape.rest.values, size)
    found: list[Json] = [draw(inner, chance) for inner in shape.first[:size]]
    if shape.match is not None:
        found += [draw(shape.match, chance) for _ in range(shape.matches)]
    if shape.rest is not None:
        found += [draw(shape.rest, chance) for _ in range(size - len(found))]
    return found


def _fields(shape: Fields, chance: random.Random) -> Json:
    eager = chance.choice((0.0, 0.0, 0.3, 0.8))
    least = shape.extent.least
    found: dict[str, Json] = {}
    spare = (shape.most or 0) - sum(member.required for member in shape.members)
    for member in shape.members:
        needed = member.required or (isinstance(least, dict) and member.key in least and shape.fewest > 0)
        room = shape.most is None or (shape.fewest == 0 and spare > 0)
        if needed or (room and chance.random() < eager):
            found[member.key] = draw(member.shape, chance)
            spare -= not member.required
    if shape.extras and (len(found) < shape.fewest or (shape.most is None and chance.random() < eager / 2)):
        for _ in range(max(1, shape.fewest - len(found)) * 2):
            extra = chance.choice(shape.extras)
            name = draw(extra.key, chance)
            if isinstance(name, str) and (shape.most is None or len(found) < shape.most):
                found.setdefault(name, draw(extra.value, chance))
            if len(found) >= max(shape.fewest, 1):
                break
    return found
