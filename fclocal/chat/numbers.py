"""Numbers as people write and say them: digits, words, fractions, percentages, scales. Reads folded text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_SMALL += " seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
UNITS = {word: value for value, word in enumerate(_SMALL.split())}
TENS = {word: value for value, word in zip(range(20, 100, 10), _TENS.split(), strict=True)} | {"fourty": 40}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
SCALES |= {"grand": 1000, "lakh": 10**5, "crore": 10**7}
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
_ORDINALS += " fifteenth sixteenth seventeenth eighteenth nineteenth"
ORDINALS = {word: value for value, word in enumerate(_ORDINALS.split(), 1)}
ORDINALS |= {word[:-1] + "ieth": value for word, value in TENS.items()}
TIMES = {"once": 1, "twice": 2, "thrice": 3, "double": 2, "triple": 3, "single": 1, "both": 2, "pair": 2, "couple": 2}
FRACTIONS = {"half": 0.5, "halves": 0.5, "third": 1 / 3, "thirds": 1 / 3, "quarter": 0.25, "quarters": 0.25}
FRACTIONS |= {"fifths": 0.2, "tenth": 0.1, "tenths": 0.1, "halved": 0.5}
_SUFFIXES = {"k": 1e3, "m": 1e6, "mn": 1e6, "mio": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12}
_TOKEN = re.compile(
    r"(?P<power>\d+(?:\.\d+)?e[+-]?\d{1,3}(?![^\W_]))"
    r"|(?P<ratio>\d{1,4}/\d{1,4}(?![\w/]))"
    r"|(?P<digits>\d+(?:[.,'_]\d+)*|(?<![\w.])\.\d+)"
    r"(?:(?P<scale>\s?(?:mn|mio|bn|[kmbt]))(?![^\W_])|(?P<percent>\s?(?:%|percent\b|per cent\b))|(?:st|nd|rd|th|s)(?![^\W_]))?"
    r"|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)"
)
_SPACED = re.compile(r"(?<![\w.,])\d{1,3}(?: \d{3})+(?![\w,]|\.\d)")
_GROUPED = re.compile(r"\d{1,3}(?:[,'_]\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_JOINTS = frozenset((" ", "-", "  ", "\n", "\t"))


@dataclass(frozen=True, slots=True)
class Said:
    """A number that was said and its place. `exact` is False where the words may also mean another number."""

    value: int | float
    start: int
    end: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class _Token:
    word: str
    value: int | float | None
    start: int
    end: int
    others: tuple[int | float, ...] = ()
    percent: bool = False


def said_numbers(folded: str, *, offset: int = 0) -> Iterator[Said]:
    """Every number in `folded`, each reading of it; places are counted from `offset`."""
    tokens = [_token(match, folded) for match in _TOKEN.finditer(folded)]
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.value is None and not _is_number_word(token.word):
            at += 1
            continue
        found, after = _phrase(tokens, at, folded)
        for said in found:
            yield Said(said.value, said.start + offset, said.end + offset, said.exact)
        at = max(after, at + 1)
    for match in _SPACED.finditer(folded):
        yield Said(int(match.group().replace(" ", "")), match.start() + offset, match.end() + offset)


def parse_number(text: str) -> int | float | None:
    """The one number that a short folded text says ("two dozen", "1,200", "15 %"), or None."""
    text = text.strip().lower()
    found = [said for said in said_numbers(text) if said.exact]
    if not found:
        return None
    longest = max(found, key=lambda said: (said.end - said.start, -said.start))
    return longest.value


def _is_number_word(word: str) -> bool:
    known = word in UNITS or word in TENS or word in SCALES or word in ORDINALS or word in TIMES or word in FRACTIONS
    return known or word in ("minus", "negative", "a", "an")


def _token(match: re.Match[str], folded: str) -> _Token:
    start, end = match.span()
    if word := match["word"]:
        return _Token(word, None, start, end)
    if power := match["power"]:
        return _Token("", _whole(float(power)), start, end)
    if ratio := match["ratio"]:
        above, below = map(int, ratio.split("/"))
        return _Token("", _whole(above / below) if below else None, start, end, (above, below))
    readings = _digit_readings(match["digits"])
    if match["scale"]:
        factor = _SUFFIXES[match["scale"].strip()]
        scaled = _whole(round(readings[0] * factor, 9))
        return (
            _Token("", scaled, start, end, readings)
            if factor == 1e3
            else _Token("", readings[0], start, end, (scaled,))
        )
    percent = bool(match["percent"])
    others = (*readings[1:], *((readings[0] / 100,) if percent else ()))
    return _Token("", readings[0], start, end, others, percent)


def _digit_readings(digits: str) -> tuple[int | float, ...]:
    """What a run of digits may mean, the likeliest first."""
    if digits.isdecimal():
        return (_bounded_int(digits),)
    readings: list[int | float] = []
    if _GROUPED.fullmatch(digits):
        decimal = "," if re.search(r"\.\d+,", digits) or digits.count(".") > 1 else "."
        groups = ".," if decimal == "." else ".,"
        whole, _, rest = (
            digits.partition(decimal) if decimal in digits[-20:] and digits.count(decimal) == 1 else (digits, "", "")
        )
        whole = re.sub(f"[{re.escape(groups)}'_]", "", whole)
        readings.append(_number(whole, rest))
        if digits.count(".") == 1 and "," not in digits and len(digits.split(".")[1]) == 3:
            readings.append(_bounded_int(digits.replace(".", "")))
    elif re.fullmatch(r"\d*[.,]\d+", digits):
        whole, rest = re.split("[.,]", digits)
        readings.append(_number(whole or "0", rest))
    if (readings and "," not in digits) or _GROUPED.fullmatch(digits):
        return tuple(readings)
    return (*readings, *(_bounded_int(part) for part in re.split(r"[.,'_]", digits) if part))


def _number(whole: str, decimals: str) -> int | float:
    return _whole(float(f"{whole}.{decimals}")) if decimals else _bounded_int(whole)


def _bounded_int(digits: str) -> int:
    return int(digits[:400])


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _phrase(tokens: Sequence[_Token], at: int, folded: str) -> tuple[list[Said], int]:
    """The number that begins at token `at`, and the token after it."""
    first = tokens[at]
    negative = _negative(tokens, at, folded)
    if first.word in ("minus", "negative"):
        if at + 1 < len(tokens) and _joined(tokens, at, folded) and _starts(tokens[at + 1]):
            found, after = _phrase(tokens, at + 1, folded)
            return [Said(-said.value, first.start, said.end, said.exact) for said in found], after
        return [], at + 1
    if first.word in ("a", "an"):
        follows = tokens[at + 1].word if at + 1 < len(tokens) and _joined(tokens, at, folded) else ""
        if not (follows in SCALES or follows in FRACTIONS or follows in ("couple", "pair")):
            return [], at + 1
        if follows not in SCALES:
            found, after = _phrase(tokens, at + 1, folded)
            return [Said(said.value, first.start, said.end, said.exact) for said in found], after
    value, after, readings = _compose(tokens, at, folded)
    start, end = first.start, tokens[after - 1].end
    if negative:
        value, start = -value, start - 1
    found = [Said(_whole(float(value)) if isinstance(value, float) else value, start, end)]
    for reading in readings:
        found.append(Said(reading, start, end, exact=False))
    for token in tokens[at:after]:
        found += [Said(other, token.start, token.end, exact=False) for other in token.others]
        if after - at > 1 and token.value is not None:
            found.append(Said(token.value, token.start, token.end, exact=False))
    return found, after


def _compose(tokens: Sequence[_Token], at: int, folded: str) -> tuple[int | float, int, list[int | float]]:
    """Value, the token after it, and other readings of a phrase without sign."""
    total: int | float = 0
    current: int | float | None = None
    readings: list[int | float] = []
    here = at
    while here < len(tokens):
        token = tokens[here]
        if here > at and not _joined(tokens, here - 1, folded):
            break
        word = token.word
        if word == "and" and here > at and here + 1 < len(tokens) and _joined(tokens, here, folded):
            more = _after_and(tokens, here + 1, folded, scaled=total > 0 or (current or 0) >= 100)
            if more is None:
                break
            fraction, here = more
            if fraction is not None:
                current = (current or 0) + fraction
                break
            continue
        if word in ("a", "an") and here == at:
            current = 1
        elif token.value is not None:
            if current is not None:
                if 0 < token.value < 1 and isinstance(current, int) and not token.percent:
                    current += token.value
                    here += 1
                break
            current = token.value
            if token.percent:
                here += 1
                break
        elif word in UNITS:
            small = UNITS[word]
            if current is None:
                current = small
            elif (isinstance(current, int) and current % 10 == 0 and current % 100 >= 20 and 0 < small < 10) or (
                isinstance(current, int) and current >= 100 and current % 100 == 0
            ):
                current += small
            elif isinstance(current, int) and 10 <= current <= 99 and small >= 10:
                current = current * 100 + small
            else:
                break
        elif word in TENS:
            if current is None:
                current = TENS[word]
            elif isinstance(current, int) and current >= 100 and current % 100 == 0:
                current += TENS[word]
            elif isinstance(current, int) and 10 <= current <= 99:
                current = current * 100 + TENS[word]
            else:
                break
        elif word in SCALES:
            factor = SCALES[word]
            if current is None and word in ("grand",):
                break
            if factor in (100, 12):
                current = (1 if current is None else current) * factor
            else:
                total += (1 if current is None else current) * factor
                current = None
        elif word in ORDINALS and (current is None or _takes_ordinal(current)):
            if word in FRACTIONS and here > at and isinstance(current, int) and 1 <= current < 20:
                current = current * FRACTIONS[word]
            else:
                current = (current or 0) + ORDINALS[word]
                if word in FRACTIONS:
                    readings.append(FRACTIONS[word])
            here += 1
            break
        elif word in FRACTIONS:
            if current is None:
                current = FRACTIONS[word]
                scale = _scale_after_half(tokens, here, folded)
                if scale:
                    factor, here = scale
                    current = _whole(current * factor)
                    here += 1
                    break
            elif isinstance(current, int) and current < 20:
                current = current * FRACTIONS[word]
            else:
                break
            here += 1
            break
        elif word in TIMES and current is None:
            current = TIMES[word]
            here += 1
            break
        elif word == "point" and current is not None:
            decimals, after = _decimals(tokens, here, folded)
            if not decimals:
                break
            current = float(f"{total + current}.{decimals}")
            total, here = 0, after
            continue
        elif word in ("percent",) and current is not None:
            readings.append(current / 100)
            here += 1
            break
        else:
            break
        here += 1
    value = total + (current or 0)
    return value, max(here, at + 1), readings


def _takes_ordinal(current: int | float) -> bool:
    return isinstance(current, int) and (current % 10 == 0 or current < 20)


def _after_and(tokens: Sequence[_Token], at: int, folded: str, *, scaled: bool) -> tuple[float | None, int] | None:
    """What follows "and" in a number: (a fraction to add, token after it), (None, token to go on with), or None."""
    word = tokens[at].word
    if word in ("a", "an", "one") and at + 1 < len(tokens) and tokens[at + 1].word in FRACTIONS:
        return FRACTIONS[tokens[at + 1].word], at + 2
    if word in UNITS and at + 1 < len(tokens) and _joined(tokens, at, folded) and tokens[at + 1].word in FRACTIONS:
        return UNITS[word] * FRACTIONS[tokens[at + 1].word], at + 2
    if tokens[at].value is not None and 0 < (tokens[at].value or 0) < 1:
        return float(tokens[at].value or 0), at + 1
    if scaled and (word in UNITS or word in TENS or word in ORDINALS):
        return None, at
    return None


def _scale_after_half(tokens: Sequence[_Token], at: int, folded: str) -> tuple[int, int] | None:
    """The scale in "half a dozen" or "half million", with its token."""
    for here in (at + 1, at + 2):
        if here >= len(tokens) or not _joined(tokens, here - 1, folded):
            return None
        if tokens[here].word in SCALES:
            return SCALES[tokens[here].word], here
        if tokens[here].word not in ("a", "an"):
            return None
    return None


def _decimals(tokens: Sequence[_Token], at: int, folded: str) -> tuple[str, int]:
    """The digits after "point" at token `at`, and the token after them."""
    digits = ""
    here = at + 1
    while here < len(tokens) and _joined(tokens, here - 1, folded):
        token = tokens[here]
        if token.word in UNITS and UNITS[token.word] < 10:
            digits += str(UNITS[token.word])
        elif not digits and isinstance(token.value, int) and not token.percent:
            return str(token.value), here + 1
        else:
            break
        here += 1
    return digits, here


def _starts(token: _Token) -> bool:
    return token.value is not None or token.word in UNITS or token.word in TENS or token.word in ("a", "half")


def _joined(tokens: Sequence[_Token], at: int, folded: str) -> bool:
    """Whether only a blank or a hyphen stands between token `at` and the next."""
    return folded[tokens[at].end : tokens[at + 1].start] in _JOINTS


def _negative(tokens: Sequence[_Token], at: int, folded: str) -> bool:
    start = tokens[at].start
    if tokens[at].value is None or start == 0 or folded[start - 1] != "-":
        return False
    return start == 1 or not (folded[start - 2].isalnum() or folded[start - 2] in ")]-")
