"""Ranges of decimal numbers as regular expressions over their JSON text, with a bounded number of digits."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

MAX_DIGITS = 19
# Any float is exact in so many.
DIGITS = 400
MAX_DECIMALS = 15


def whole_pattern(low: Decimal | None, high: Decimal | None) -> str | None:
    """Whole numbers from `low` to `high`, both included; None when there is none."""
    least = _ceiling(low) if low is not None else -(10**MAX_DIGITS) + 1
    most = _floor(high) if high is not None else 10**MAX_DIGITS - 1
    if low is not None and high is None:
        most = max(most, least * 10, least + 10**6)
    if high is not None and low is None:
        least = min(least, most * 10, most - 10**6)
    if least > most:
        return None
    parts: list[str] = []
    if least < 0:
        parts += [f"-(?:{_join(_between(max(1, -most), -least))})"]
    if most >= 0:
        parts += [_join(_between(max(0, least), most))]
    return _join(parts)


def decimal_pattern(low: Decimal | None, high: Decimal | None, *, low_open: bool, high_open: bool) -> str | None:
    """Numbers between the bounds with at most MAX_DECIMALS decimals; None when there is none.

    Only a number without any bound may have an exponent.
    """
    if low is None and high is None:
        return rf"-?(?:0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})(?:\.[0-9]{{1,{MAX_DECIMALS}}})?(?:[eE][+-]?[0-9]{{1,2}})?"
    parts: list[str] = []
    if low is None or low < 0:
        down = None if low is None else -low
        up = Decimal(0) if high is None or high >= 0 else -high
        strict = True if high is None or high >= 0 else high_open
        found = list(_magnitudes(up, down, low_open=strict, high_open=low_open))
        if found:
            parts.append(f"-(?:{_join(found)})")
    if high is None or high >= 0:
        up = Decimal(0) if low is None or low < 0 else low
        strict = low_open if low is not None and low >= 0 else False
        parts += _magnitudes(up, high, low_open=strict, high_open=high_open)
    return _join(parts) if parts else None


def _magnitudes(low: Decimal, high: Decimal | None, *, low_open: bool, high_open: bool) -> Iterator[str]:
    """Unsigned numbers from `low` to `high`: by whole part, then by decimals at the two ends."""
    if high is not None and (low > high or (low == high and (low_open or high_open))):
        return
    start, low_decimals = _split(low)
    decimals = rf"(?:\.[0-9]{{1,{MAX_DECIMALS}}})?"
    if high is None:
        yield f"{start}(?:{_join(_above(low_decimals, strict=low_open))})"
        most = max(10**MAX_DIGITS - 1, start * 10)
        yield f"(?:{_join(_between(start + 1, most))}){decimals}"
        return
    end, high_decimals = _split(high)
    if start == end:
        yield from (f"{start}{tail}" for tail in _within(low_decimals, high_decimals, low_open, high_open))
        return
    yield f"{start}(?:{_join(_above(low_decimals, strict=low_open))})"
    if start + 1 <= end - 1:
        yield f"(?:{_join(_between(start + 1, end - 1))}){decimals}"
    below = list(_below(high_decimals, strict=high_open))
    if below:
        yield f"{end}(?:{_join(below)})"


def _above(digits: str, *, strict: bool) -> Iterator[str]:
    """The decimals, with their point, of fractions of at least 0.digits (more than that when strict)."""
    room = MAX_DECIMALS
    if not digits:
        if strict:
            yield rf"\.0{{0,{room - 1}}}[1-9][0-9]{{0,{room}}}"
        else:
            yield rf"(?:\.[0-9]{{1,{room}}})?"
        return
    for at, digit in enumerate(digits):
        if digit < "9":
            yield rf"\.{digits[:at]}[{int(digit) + 1}-9][0-9]{{0,{max(room - at - 1, 0)}}}"
    rest = max(room - len(digits), 1)
    tail = rf"0{{0,{rest}}}[1-9]" if strict else ""
    yield rf"\.{digits}{tail}[0-9]{{0,{rest}}}"


def _below(digits: str, *, strict: bool) -> Iterator[str]:
    """The decimals, with their point, of fractions of at most 0.digits (less than that when strict)."""
    room = MAX_DECIMALS
    if not digits:
        if not strict:
            yield r"(?:\.0{1,2})?"
        return
    yield ""
    for at, digit in enumerate(digits):
        if at:
            yield rf"\.{digits[:at]}"
        if digit > "0":
            yield rf"\.{digits[:at]}[0-{int(digit) - 1}][0-9]{{0,{max(room - at - 1, 0)}}}"
    if not strict:
        yield rf"\.{digits}0{{0,2}}"


def _within(low: str, high: str, low_open: bool, high_open: bool) -> Iterator[str]:
    """The decimals of fractions between 0.low and 0.high: those that both ends allow."""
    width = max(len(low), len(high))
    first, last = low.ljust(width, "0"), high.ljust(width, "0")
    if first == last:
        yield from (rf"\.{low}0{{0,2}}",) if low else (r"(?:\.0{1,2})?",)
        return
    same = next(at for at in range(width) if first[at] != last[at])
    head, room = first[:same], MAX_DECIMALS
    if not low_open and same >= len(low):
        yield rf"\.{low}" if low else r"(?:\.0{1,2})?"
    if int(first[same]) + 1 <= int(last[same]) - 1:
        yield rf"\.{head}[{int(first[same]) + 1}-{int(last[same]) - 1}][0-9]{{0,{max(room - same, 0)}}}"
    for tail in _above(first[same + 1 :].rstrip("0"), strict=low_open):
        yield rf"\.{head}{first[same]}{_unpointed(tail)}"
    for tail in _below(last[same + 1 :].rstrip("0"), strict=high_open):
        yield rf"\.{head}{last[same]}{_unpointed(tail)}"


def _unpointed(tail: str) -> str:
    """Decimals that go on after other decimals."""
    return "(?:" + tail.replace(r"\.", "") + ")" if tail else ""


def _split(number: Decimal) -> tuple[int, str]:
    whole, _, decimals = f"{number:f}".partition(".")
    return int(whole), decimals.rstrip("0")


def _between(low: int, high: int) -> list[str]:
    """Whole numbers without sign from `low` to `high`."""
    parts: list[str] = []
    widths = range(len(str(low)), len(str(high)) + 1)
    whole = [width for width in widths if low <= 10 ** (width - 1) > 1 and 10**width - 1 <= high]
    for width in widths:
        first = max(low, 10 ** (width - 1) if width > 1 else 0)
        last = min(high, 10**width - 1)
        if first <= last and width not in whole:
            parts += _same_width(str(first), str(last))
    if whole:
        parts.append(f"[1-9][0-9]{{{whole[0] - 1},{whole[-1] - 1}}}")
    return parts


def _same_width(low: str, high: str) -> list[str]:
    if low == high:
        return [low]
    if set(low) <= {"0"} and set(high) == {"9"}:
        return [f"[0-9]{{{len(low)}}}"]
    if len(low) == 1:
        return [f"[{low}-{high}]"]
    if low[0] == high[0]:
        return [low[0] + tail for tail in _same_width(low[1:], high[1:])]
    rest = len(low) - 1
    first, last = int(low[0]), int(high[0])
    parts: list[str] = []
    if set(low[1:]) != {"0"}:
        parts += [low[0] + tail for tail in _same_width(low[1:], "9" * rest)]
        first += 1
    tail_parts: list[str] = []
    if set(high[1:]) != {"9"}:
        tail_parts = [high[0] + tail for tail in _same_width("0" * rest, high[1:])]
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}][0-9]{{{rest}}}")
    return parts + tail_parts


def _ceiling(number: Decimal) -> int:
    return int(number.to_integral_value("ROUND_CEILING"))


def _floor(number: Decimal) -> int:
    return int(number.to_integral_value("ROUND_FLOOR"))


def _join(parts: list[str] | Iterator[str]) -> str:
    found = list(parts)
    return found[0] if len(found) == 1 else "(?:" + "|".join(found) + ")"
