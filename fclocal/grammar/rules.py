"""Shapes -> rules of llguidance Lark. Equal rules have equal names, so that grammars of many functions share them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from decimal import Decimal

from fclocal.functions import Json
from fclocal.grammar.numbers import decimal_pattern, whole_pattern
from fclocal.grammar.plan_objects import MAX_EXTRAS
from fclocal.grammar.probe import json_leaf, refused_leaf, text_leaf
from fclocal.grammar.shapes import Either, Extra, Fields, Items, Literals, Member, Number, Shape, Text, dump

MANY_LITERALS = 64
MAX_BEFORE = 8
INDENT_KEY = "\n        "
INDENT_END = "\n    "


class Rules:
    """Collects rules: `named` maps the name of each to its body."""

    def __init__(self) -> None:
        self.named: dict[str, str] = {}
        self._known: dict[int, str] = {}
        self._kept: list[Shape] = []

    def one_line(self, shape: Shape) -> str:
        """The name of the rule of a value on one line."""
        found = self._known.get(id(shape))
        if found is None:
            found = self._add(self._body(shape), terminal=isinstance(shape, Literals) and len(shape.values) > 1)
            self._known[id(shape)] = found
            self._kept.append(shape)
        return found

    def indented(self, shape: Shape) -> str:
        """The name of the rule of an object with a line for each key, and of any other value on one line."""
        match shape:
            case Fields():
                return self._add(_Object(self, shape, INDENT_KEY, INDENT_END).body())
            case Either():
                return self._add(" | ".join(self.indented(option) for option in shape.options))
            case _:
                return self.one_line(shape)

    def _add(self, body: str, *, terminal: bool = False) -> str:
        digest = hashlib.blake2s(body.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        name = f"L{digest.upper()}" if terminal and not body.startswith("%") else f"r{digest}"
        self.named[name] = body
        return name

    def _body(self, shape: Shape) -> str:
        match shape:
            case Literals():
                return _literals(shape.values)
            case Number():
                return _number(shape)
            case Text():
                return text_leaf(shape.shortest, shape.longest, shape.patterns)
            case Items():
                return self._items(shape)
            case Fields():
                return _Object(self, shape, "", "").body()
            case Either():
                return " | ".join(self.one_line(option) for option in shape.options)

    def _items(self, shape: Items) -> str:
        if shape.unique and isinstance(shape.rest, Literals):
            return self._unique(shape, shape.rest)
        tail = self._tail(shape, len(shape.first))
        for index in range(len(shape.first) - 1, -1, -1):
            comma = quote(", ") + " " if index else ""
            here = f"{comma}{self.one_line(shape.first[index])} {tail}"
            tail = self._add(here if index < shape.shortest else f'{here} | "]"')
        return f'"[" {tail}'

    def _tail(self, shape: Items, index: int) -> str:
        """The rule of what follows the items that have their own places, with the end."""
        if shape.match is not None:
            return self._matching(shape, index)
        fewest, most = max(0, shape.shortest - index), shape.longest - index
        if shape.rest is None or most <= 0:
            return self._add('"]"')
        item, comma = self.one_line(shape.rest), quote(", ")
        if index:
            return self._add(f'{_times(f"{comma} {item}", fewest, most)} "]"')
        body = f'{item} {_times(f"{comma} {item}", max(0, fewest - 1), most - 1)} "]"'
        return self._add(body if fewest else f'{body} | "]"')

    def _matching(self, shape: Items, index: int) -> str:
        assert shape.match is not None
        wanted = self.one_line(shape.match)
        spare = shape.longest - index - shape.matches
        needed = max(0, shape.shortest - index - shape.matches)
        comma = quote(", ")
        run = f"{wanted} {_times(f'{comma} {wanted}', shape.matches - 1, shape.matches - 1)}"
        if shape.rest is None or spare == 0:
            return self._add(f'{comma + " " if index else ""}{run} "]"')
        item = self.one_line(shape.rest)
        before = min(spare - needed, spare // 2, MAX_BEFORE)
        after = spare - before
        end = f'{_times(f"{comma} {item}", needed, after)} "]"'
        if index:
            return self._add(f"{_times(f'{comma} {item}', 0, before)} {comma} {run} {end}")
        return self._add(f"{_times(f'{item} {comma}', 0, before)} {run} {end}")

    def _unique(self, shape: Items, values: Literals) -> str:
        """Different values in any order: the parameter's bits say which were taken."""
        stem = hashlib.blake2s(
            f"{dump(list(values.values))} {shape.shortest} {shape.longest}".encode(), digest_size=8
        ).hexdigest()
        item, after = f"u{stem}", f"v{stem}"
        options = [
            f"{quote(dump(value))} {after}::set_bit({bit}) %if bit_clear({bit})"
            for bit, value in enumerate(values.values)
        ]
        self.named[f"{item}::_"] = " | ".join(options)
        ends = f'"]" %if bit_count_ge(_, {shape.shortest})' if shape.shortest > 1 else '"]"'
        self.named[f"{after}::_"] = f"{ends} | {quote(', ')} {item}::_ %if bit_count_lt(_, {shape.longest})"
        if shape.longest == 0:
            return '"[]"'
        return f'"[" {item}::0x0' + ("" if shape.shortest else ' | "[]"')


class _Object:
    """The rules of one object in one layout. A state is the next member and the keys written so far."""

    def __init__(self, rules: Rules, shape: Fields, before_key: str, before_end: str) -> None:
        self.rules = rules
        self.shape = shape
        self.before_key = before_key
        self.before_end = before_end
        self.comma = "," if before_key else ", "
        self.ceiling = max(shape.fewest, shape.most or 0, 1)

    def body(self) -> str:
        """The rule's body; from the last member to the first, so that depth does not grow with their number."""
        states: list[str | None] = [self._end(written) for written in range(self.ceiling + 1)]
        for index in range(len(self.shape.members) - 1, -1, -1):
            reachable = min(index, self.ceiling)
            states = [self._member(index, written, states) for written in range(reachable + 1)]
        assert states[0] is not None
        return states[0]

    def _member(self, index: int, written: int, following: list[str | None]) -> str | None:
        """What may follow with this member next; None when the object cannot be brought to an end from here."""
        member = self.shape.members[index]
        full = self.shape.most is not None and written >= self.shape.most
        options: list[str] = []
        after = None if full else following[min(written + 1, self.ceiling)]
        if after is not None:
            options.append(
                f"{quote(self._key(member, written))} {self.rules.one_line(member.shape)} {self._reference(after)}"
            )
        if not member.required:
            without = following[written]
            if without is not None:
                options.append(self._reference(without) if options else without)
        return " | ".join(options) or None

    def _key(self, member: Member, written: int) -> str:
        return f"{self._joint(written)}{dump(member.key)}: "

    def _joint(self, written: int) -> str:
        return (self.comma if written else "{") + self.before_key

    def _reference(self, body: str) -> str:
        """A sequence goes on in place; alternatives need a rule of their own."""
        return self.rules._add(body) if " | " in body or len(body) > 2000 else body

    def _end(self, written: int) -> str | None:
        shape = self.shape
        fewest = max(0, shape.fewest - written)
        if not shape.extras or (shape.most is not None and written >= shape.most):
            if fewest:
                return None
            return quote(self.before_end + "}") if written else quote("{}")
        most = shape.most - written if shape.most is not None else max(MAX_EXTRAS, fewest)
        extra = self._extra()
        end = quote(self.before_end + "}")
        again = f"{quote(self._joint(1))} {extra}"
        if written:
            return f"{_times(again, fewest, most)} {end}"
        body = f"{quote(self._joint(0))} {extra} {_times(again, max(0, fewest - 1), most - 1)} {end}"
        return body if fewest else f"{body} | {quote('{}')}"

    def _extra(self) -> str:
        one: Callable[[Extra], str] = lambda extra: (  # noqa: E731  # one expression, used once
            f"{self.rules.one_line(extra.key)} {quote(': ')} {self.rules.one_line(extra.value)}"
        )
        return self.rules._add(" | ".join(map(one, self.shape.extras)))


def quote(text: str) -> str:
    """A Lark string literal of exactly `text`."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _times(expression: str, fewest: int, most: int) -> str:
    """The expression that many times; llguidance takes no upper bound of 0."""
    return f"({expression}){{{fewest},{most}}}" if most > 0 else ""


def _literals(values: tuple[Json, ...]) -> str:
    if len(values) > MANY_LITERALS:
        leaf = json_leaf({"enum": list(values)})
        if not refused_leaf(leaf):
            return leaf
    return " | ".join(quote(dump(value)) for value in values)


def _number(shape: Number) -> str:
    if shape.step is not None:
        return stepped_leaf(shape)
    if shape.whole:
        pattern = whole_pattern(shape.low, shape.high)
    else:
        pattern = decimal_pattern(shape.low, shape.high, low_open=shape.low_open, high_open=shape.high_open)
    assert pattern is not None
    return f"/{pattern}/"


def stepped_leaf(shape: Number) -> str:
    """The Lark expression of multiples, within what llguidance can count."""
    low, high = shape.low, shape.high
    edge = Decimal(2**53)
    schema: dict[str, Json] = {"type": "integer" if shape.whole else "number", "multipleOf": _plain(shape.step)}
    low = max(low, -edge) if low is not None else -edge
    high = min(high, edge) if high is not None else edge
    schema["exclusiveMinimum" if shape.low_open else "minimum"] = _plain(low)
    schema["exclusiveMaximum" if shape.high_open else "maximum"] = _plain(high)
    return json_leaf(schema)


def _plain(number: Decimal | None) -> Json:
    if number is None:
        return None
    return int(number) if number == number.to_integral_value() else float(number)
