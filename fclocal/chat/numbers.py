"""Numbers as people write and say them: digits, words, fractions, percentages, scales. Reads folded text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_SMALL += " seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL = {word: value for value, word in enumerate(_SMALL.split())}
SMALL |= {word: value for value, word in zip(range(20, 100, 10), _TENS.split(), strict=True)} | {"fourty": 40}
SCALES = {"hundred": 100, "dozen": 12, "thousand": 1000, "grand": 1000, "lakh": 10**5, "million": 10**6}
SCALES |= {"crore": 10**7, "billion": 10**9, "trillion": 10**12}
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
_ORDINALS += " fifteenth sixteenth seventeenth eighteenth nineteenth"
ORDINALS = {word: value for value, word in enumerate(_ORDINALS.split(), 1)}
ORDINALS |= {word[:-1] + "ieth": value for word, value in SMALL.items() if value >= 20}
TIMES = {"once": 1, "single": 1, "solo": 1, "twice": 2, "double": 2, "pair": 2, "couple": 2, "both": 2, "thrice": 3}
TIMES |= {"triple": 3, "fortnight": 14}
FRACTIONS = {"half": 1 / 2, "halves": 1 / 2, "third": 1 / 3, "thirds": 1 / 3, "quarter": 1 / 4, "quarters": 1 / 4}
FRACTIONS |= {"hundredth": 1 / 100, "hundredths": 1 / 100, "thousandth": 1 / 1000, "thousandths": 1 / 1000}
FRACTIONS |= {"fifths": 1 / 5, "eighths": 1 / 8, "tenth": 1 / 10, "tenths": 1 / 10}
_NUMBER_WORDS = frozenset((*SMALL, *SCALES, *ORDINALS, *TIMES, *FRACTIONS, "minus", "negative", "a", "an"))
_SUFFIXES = {"k": 10**3, "m": 10**6, "mn": 10**6, "mio": 10**6, "b": 10**9, "bn": 10**9, "t": 10**12}
MAX_DIGITS = 40
_TOKEN = re.compile(
    r"(?P<power>\d+(?:\.\d+)?e[+-]?\d{1,2}(?![^\W_]))"
    r"|(?P<ratio>\d{1,4}/\d{1,4}(?![\w/]))"
    r"|(?P<digits>\d+(?:[.,'_]\d+)*|(?<![\w.])\.\d+)"
    r"(?:(?P<scale>\s?(?:mn|mio|bn|[kmbt]))(?![^\W_])"
    r"|(?P<percent>\s?(?:%|percent\b|per cent\b))"
    r"|(?:st|nd|rd|th|s)(?![^\W_]))?"
    r"|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)"
)
_SPACED = re.compile(r"(?<![\w.,])\d{1,3}(?: \d{3})+(?![\w,]|\.\d)")
_RAISED = re.compile(r"(?<![\w.])(\d{1,4})\s?(?:\^|\*\*)\s?(\d{1,2})(?![\w.])")
_ENGLISH = re.compile(r"\d{1,3}(?:[,'_]\d{3})+(?:\.\d+)?")
_CONTINENTAL = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}")
_DECIMAL = re.compile(r"(\d*)[.,](\d+)")
_JOINTS = frozenset((" ", "-", "  ", "\n", "\t"))
_JOINT = re.compile(r" {1,2}|[-\n\t]")
_BY_LENGTH = "|".join(sorted(_NUMBER_WORDS, key=len, reverse=True))
_START = re.compile(rf"(?<![\w.])\.?\d|(?<=[^\W\d_])\d|(?<![^\W_])(?:{_BY_LENGTH})(?![^\W_])")
MAX_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Said:
    """A number that was said and its place. `exact` is False where the words may also mean another number."""

    value: int | float
    start: int
    end: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class _Token:
    """A word, or a number in digits with its `others` readings; `scaled` is the one with its "k", "m" or "bn"."""

    word: str
    value: int | float | None
    start: int
    end: int
    others: tuple[int | float, ...] = ()
    closed: bool = False
    scaled: int | float | None = None


def said_numbers(folded: str, *, offset: int = 0) -> Iterator[Said]:
    """Every number in `folded`, each reading of it; places are counted from `offset`."""
    at = 0
    while start := _START.search(folded, at):
        tokens = _tokens(folded, start.start())
        if not tokens:
            at = start.end()
            continue
        found, after = _Phrase(tokens, 0, folded).read()
        for said in found:
            yield Said(said.value, said.start + offset, said.end + offset, said.exact)
        at = max(start.end(), tokens[max(after, 1) - 1].end)
    for match in _SPACED.finditer(folded):
        yield Said(int(match.group().replace(" ", "")), match.start() + offset, match.end() + offset)
    for match in _RAISED.finditer(folded):
        yield Said(int(match[1]) ** int(match[2]), match.start() + offset, match.end() + offset, exact=False)


def _tokens(folded: str, start: int) -> list[_Token]:
    """The words and numbers from `start` on that only blanks and hyphens divide, at most MAX_TOKENS."""
    found: list[_Token] = []
    match = _TOKEN.match(folded, start)
    while match and len(found) < MAX_TOKENS:
        found.append(_token(match))
        joint = _JOINT.match(folded, found[-1].end)
        match = _TOKEN.match(folded, joint.end()) if joint else None
    return found


def parse_number(folded: str) -> int | float | None:
    """The one number that a short folded text says ("two dozen", "1,200", "15 %"), or None."""
    found = [said for said in said_numbers(folded) if said.exact]
    return max(found, key=lambda said: said.end - said.start).value if found else None


def whole(value: float) -> int | float:
    """An int where `value` is a whole number that a float holds exactly."""
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else value


def _token(match: re.Match[str]) -> _Token:
    start, end = match.span()
    if word := match["word"]:
        return _Token(word, None, start, end)
    if power := match["power"]:
        return _Token("", whole(float(power)), start, end)
    if ratio := match["ratio"]:
        above, below = map(int, ratio.split("/"))
        return _Token("", whole(above / below) if below else above, start, end, (above, below))
    value, *others = _digit_readings(match["digits"])
    if match["scale"]:
        scaled = whole(round(value * _SUFFIXES[match["scale"].strip()], 6))
        return _Token("", value, start, match.end("digits"), tuple(others), closed=True, scaled=scaled)
    if match["percent"]:
        return _Token("", value, start, match.end("digits"), (*others, value / 100), closed=True)
    return _Token("", value, start, end, tuple(others))


def _digit_readings(digits: str) -> list[int | float]:
    """What a run of digits may mean, the likeliest first."""
    if digits.isdecimal():
        return [int(digits[:MAX_DIGITS])]
    if _ENGLISH.fullmatch(digits):
        return [_number(re.sub("[,'_]", "", digits))]
    if _CONTINENTAL.fullmatch(digits):
        return [_number(digits.replace(".", "").replace(",", "."))]
    parts: list[int | float] = [int(part[:MAX_DIGITS]) for part in re.split(r"[.,'_]", digits) if part]
    decimal = _DECIMAL.fullmatch(digits)
    if decimal is None:
        return parts
    value = _number(f"{decimal[1] or '0'}.{decimal[2]}")
    thousands = "." in digits and len(decimal[2]) == 3 and 0 < len(decimal[1]) < 4
    grouped = [int(decimal[1] + decimal[2])] if thousands else []
    return [value, *grouped, *(parts if "," in digits else ())]


def _number(text: str) -> int | float:
    return whole(float(text)) if "." in text else int(text[:MAX_DIGITS])


def _scaled(found: list[Said], value: int | float, letters: str) -> list[Said]:
    """The readings with and without the letter behind the digits: "5k" is rather 5000, "5m" rather 5."""
    likely = letters[:1] == "k" or letters in ("mn", "mi", "bn")
    plain = [replace(said, exact=said.exact and not likely) for said in found]
    return [*plain, Said(value, found[0].start, found[0].end + 1, exact=likely)]


class _Phrase:
    """Reads the number that begins at one token."""

    def __init__(self, tokens: Sequence[_Token], at: int, folded: str) -> None:
        self._tokens = tokens
        self._first = at
        self._folded = folded
        self._here = at
        self._total: int | float = 0
        self._current: int | float | None = None
        self._readings: list[int | float] = []

    def read(self) -> tuple[list[Said], int]:
        """Every reading of the number, the likeliest first, and the token after it."""
        first = self._tokens[self._first]
        if first.word in ("minus", "negative", "a", "an"):
            return self._prefixed(first)
        while self._here < len(self._tokens) and (self._here == self._first or self._joined(self._here)):
            if not self._step(self._tokens[self._here]):
                break
        after = max(self._here, self._first + 1)
        start, end = first.start, self._tokens[after - 1].end
        value = whole(self._total + (self._current or 0))
        sign = 1
        if self._negative(first):
            sign, start = -1, start - 1
        found = [Said(sign * value, start, end)]
        found += (Said(sign * other, start, end, exact=False) for other in self._readings)
        for token in self._tokens[self._first : after]:
            numbers = token.others if after == self._first + 1 else (*token.others, *filter(None, (token.value,)))
            found += (Said(sign * other, token.start, token.end, exact=False) for other in numbers)
            if token.scaled is not None:
                found = _scaled(found, sign * token.scaled, self._folded[token.end :].lstrip()[:2])
        return found, after

    def _prefixed(self, first: _Token) -> tuple[list[Said], int]:
        """ "minus five", "a hundred", "a quarter"."""
        after = self._first + 1
        if after >= len(self._tokens) or not self._joined(after):
            return [], after
        follows = self._tokens[after]
        negative = first.word in ("minus", "negative")
        if negative and follows.value is None and follows.word not in SMALL and follows.word not in ("a", "half"):
            return [], after
        if not negative and not (follows.word in SCALES or follows.word in FRACTIONS or follows.word in TIMES):
            return [], after
        found, after = _Phrase(self._tokens, after, self._folded).read()
        sign = -1 if negative else 1
        return [Said(sign * said.value, first.start, said.end, said.exact) for said in found], after

    def _step(self, token: _Token) -> bool:
        """Take one token in; False when the number ended before or with it."""
        word = token.word
        if token.value is not None:
            return self._digits(token, token.value)
        if word in SMALL:
            return self._small(SMALL[word])
        if word in SCALES:
            return self._scale(SCALES[word])
        if word == "and" and self._here > self._first:
            return self._and()
        if word == "point" and self._current is not None:
            return self._point()
        if word in ORDINALS or word in FRACTIONS:
            self._part(word)
        elif word in TIMES and self._here == self._first:
            self._take(TIMES[word])
        elif word == "percent" and self._current is not None:
            self._readings.append(self._current / 100)
            self._here += 1
        return False

    def _take(self, current: int | float | None) -> bool:
        self._current = current
        self._here += 1
        return True

    def _digits(self, token: _Token, value: int | float) -> bool:
        if self._current is None and not self._total:
            return self._take(value) and not token.closed
        if 0 < value < 1 and isinstance(self._current, int) and "/" in self._folded[token.start : token.end]:
            self._take(self._current + value)
        return False

    def _small(self, small: int) -> bool:
        current = self._current
        if current is None:
            return self._take(small)
        if not isinstance(current, int) or self._tokens[self._here - 1].value is not None:
            return False
        hundreds = current >= 100 and current % 100 == 0
        ones = small < 10 and current % 10 == 0 and current % 100 >= 20
        if hundreds or ones:
            return self._take(current + small)
        return self._take(current * 100 + small) if small >= 10 and 10 <= current <= 99 else False

    def _scale(self, factor: int) -> bool:
        current = 1 if self._current is None else self._current
        if factor < 1000:
            return self._take(whole(current * factor))
        self._total = whole(self._total + current * factor)
        return self._take(None)

    def _part(self, word: str) -> None:
        """An ordinal or a fraction, which ends the number."""
        current = self._current
        counted = isinstance(current, int) and 1 <= current < 20 and not self._total
        if word in FRACTIONS and counted:
            self._take((current or 1) * FRACTIONS[word])
        elif word in ORDINALS and (current is None or current % 10 == 0):
            self._readings += [current] if current else []
            self._take((current or 0) + ORDINALS[word])
            self._readings += [FRACTIONS[word]] if word in FRACTIONS and current is None else []
        elif current is None and not self._total:
            self._take(FRACTIONS[word])
            self._readings.append(FRACTIONS[word] * 100)
            self._scale_after_half()

    def _scale_after_half(self) -> None:
        """ "half a dozen", "half a million"."""
        here = self._here
        if here < len(self._tokens) and self._joined(here) and self._tokens[here].word in ("a", "an", "of"):
            here += 1
        if here < len(self._tokens) and self._joined(here) and self._tokens[here].word in SCALES:
            self._current = whole((self._current or 1) * SCALES[self._tokens[here].word])
            self._here = here + 1

    def _and(self) -> bool:
        """ "a hundred and five" goes on, "two and a half" ends, "two and three" ended before."""
        after = self._here + 1
        if after >= len(self._tokens) or not self._joined(after):
            return False
        if self._total or (isinstance(self._current, int) and self._current >= 100):
            word = self._tokens[after].word
            if word in SMALL or (word in ORDINALS and word not in FRACTIONS):
                self._here = after
                return True
        fraction = self._fraction(after)
        if fraction and fraction[0] < 1:
            self._readings.append(whole(self._total * (1 + fraction[0]) or (self._current or 0) * (1 + fraction[0])))
            self._current = (self._current or 0) + fraction[0]
            self._here = fraction[1]
            self._scale_after_half()
        return False

    def _fraction(self, at: int) -> tuple[float, int] | None:
        """The fraction that begins at token `at`, and the token after it."""
        word, value = self._tokens[at].word, self._tokens[at].value
        if value is not None:
            return (value, at + 1) if 0 < value < 1 else None
        count = 1 if word in ("a", "an") else SMALL.get(word)
        after = at + 1
        if count is None or after >= len(self._tokens) or not self._joined(after):
            return None
        part = FRACTIONS.get(self._tokens[after].word)
        return (count * part, after + 1) if part else None

    def _point(self) -> bool:
        digits = ""
        here = self._here + 1
        while here < len(self._tokens) and self._joined(here) and SMALL.get(self._tokens[here].word, 10) < 10:
            digits += str(SMALL[self._tokens[here].word])
            here += 1
        if digits:
            self._current = float(f"{self._current}.{digits}") if isinstance(self._current, int) else self._current
            self._here = here
            return True
        return False

    def _joined(self, at: int) -> bool:
        """Whether only a blank or a hyphen stands between the token before `at` and that one."""
        return self._folded[self._tokens[at - 1].end : self._tokens[at].start] in _JOINTS

    def _negative(self, first: _Token) -> bool:
        start, folded = first.start, self._folded
        if first.value is None or start == 0 or folded[start - 1] != "-":
            return False
        return start == 1 or not (folded[start - 2].isalnum() or folded[start - 2] in ")]-")
