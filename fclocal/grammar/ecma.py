"""Reads regular expressions as ECMA 262 writes them, and writes them for linear engines (RE2, llguidance)."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

MAX_PATTERN = 4000
MAX_RUN = 200
RE2_REPEATS = 1000
Reading: TypeAlias = Literal["exact", "narrow", "shortest"]

_SPACE_NARROW = r"\t\n\x{0b}\x{0c}\r\x{20}"
_SPACE_EXACT = (
    r"\t\n\x{0b}\x{0c}\r\x{20}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
)
_SPACE_WIDE = _SPACE_EXACT + r"\x{1c}-\x{1f}\x{85}"
_DIGIT = "0-9"
_WORD = "0-9A-Za-z_"
_NOT_DOT = r"\n\r\x{2028}\x{2029}"
_BIG = re.compile(r"\{\d*,?\d{4,}\}")
_ENDS = re.compile(r"[)$*+?]*")
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0, "a": 7, "e": 27}
_QUANTIFIER = re.compile(r"\{\d{1,6}(,\d{0,6})?\}")
# RE2 knows scripts and categories by their bare names.
_PROPERTY = re.compile(r"\{(\^?)(?:(?:Script|sc|General_Category|gc)=)?([A-Za-z_]{1,40})\}")


class Unportable(ValueError):
    """A construct that a linear engine cannot take (lookaround, back-reference) or that is no regular expression."""


class Rewriter:
    """Writes one pattern for another engine: `exact` for RE2; `narrow` for llguidance, never admitting more; `shortest`
    only the shortest texts of a narrow one. `loose` says that a narrow one had to drop something."""

    def __init__(self, pattern: str, reading: Reading) -> None:
        if len(pattern) > MAX_PATTERN:
            raise Unportable(f"longer than {MAX_PATTERN} characters")
        self.pattern = pattern
        self.reading = reading
        self.narrow = reading != "exact"
        self.loose = False
        self.at = 0

    def rewrite(self) -> str:
        out: list[str] = []
        while self.at < len(self.pattern):
            piece = self._piece()
            if self.reading == "exact" and out and _BIG.fullmatch(piece):
                piece = _repeat(out.pop(), piece)
            out.append(piece)
        return "".join(out)

    def _peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def _take(self) -> str:
        if self.at >= len(self.pattern):
            raise Unportable("ends too early")
        char = self.pattern[self.at]
        self.at += 1
        return char

    def _piece(self) -> str:
        char = self._take()
        match char:
            case "\\":
                return self._escape()
            case "[":
                return self._class()
            case "(":
                return self._group()
            case ".":
                return f"[^{_NOT_DOT}]"
            case "*" | "+" | "?":
                self._after_quantifier()
                return self._quantifier(char)
            case "{":
                found = _QUANTIFIER.match(self.pattern, self.at - 1)
                if found is None:
                    return r"\{"
                self.at = found.end()
                self._after_quantifier()
                return self._quantifier(found.group())
            case ")" | "|" | "^" | "$":
                return char
            case _:
                return _literal(ord(char))

    def _after_quantifier(self) -> None:
        """A lazy mark changes no language, and a possessive one is not ECMA."""
        if self._peek("?"):
            self.at += 1
        if self._peek("+") or self._peek("*"):
            raise Unportable("a doubled quantifier")

    def _quantifier(self, found: str) -> str:
        """In the narrow reading an endless run before the end is bounded: a value must always be able to end."""
        if self.reading == "shortest":
            return f"{{{_fewest(found)}}}"
        endless = found in ("*", "+") or found.endswith(",}")
        if not self.narrow or not endless or _ENDS.fullmatch(self.pattern, self.at):
            return found
        fewest = _fewest(found)
        return f"{{{fewest},{max(MAX_RUN, fewest)}}}"

    def _group(self) -> str:
        if not self._peek("?"):
            return "(?:"
        self.at += 1
        if self._peek(":"):
            self.at += 1
            return "(?:"
        for named in ("<", "P<"):
            if self._peek(named) and not self._peek("<=") and not self._peek("<!"):
                end = self.pattern.find(">", self.at)
                if end < 0:
                    raise Unportable("an unnamed group")
                self.at = end + 1
                return "(?:"
        if self._peek("i)") or self._peek("i:"):
            self.at += 2
            return "(?" + self.pattern[self.at - 2 : self.at]
        raise Unportable("a lookaround or a flag")

    def _escape(self) -> str:
        char = self._take()
        match char:
            case "d":
                return f"[{_DIGIT}]"
            case "D":
                return f"[^{_DIGIT}]"
            case "w":
                return f"[{_WORD}]"
            case "W":
                return f"[^{_WORD}]"
            case "s":
                return f"[{_SPACE_NARROW if self.narrow else _SPACE_EXACT}]"
            case "S":
                return f"[^{_SPACE_WIDE if self.narrow else _SPACE_EXACT}]"
            case "b" | "B":
                self.loose = True
                return "" if self.narrow else f"\\{char}"
            case "A":
                return "^"
            case "Z" | "z":
                return "$"
            case "p" | "P":
                return self._property(char)
            case _:
                return _literal(self._code(char))

    def _property(self, char: str) -> str:
        found = _PROPERTY.match(self.pattern, self.at)
        if found is None:
            raise Unportable("a Unicode property without a name")
        self.at = found.end()
        return f"\\{char}{{{found[1]}{found[2]}}}"

    def _code(self, char: str) -> int:
        """The character that an escape stands for; `char` follows the backslash."""
        if char in "123456789k":
            raise Unportable("a back-reference")
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "c":
            letter = self._take()
            if not letter.isascii() or not letter.isalpha():
                raise Unportable("an unknown control character")
            return ord(letter) % 32
        if char == "x" and not self._peek("{"):
            return self._hex(2)
        if char in "xu":
            return self._unicode()
        if char.isascii() and char.isalnum():
            raise Unportable(f"an unknown escape \\{char}")
        return ord(char)

    def _unicode(self) -> int:
        if self._peek("{"):
            end = self.pattern.find("}", self.at)
            digits = self.pattern[self.at + 1 : end] if end > 0 else ""
            self.at = end + 1
            return _parse_hex(digits)
        code = self._hex(4)
        if 0xD800 <= code < 0xDC00 and self._peek("\\u"):
            self.at += 2
            low = self._hex(4)
            if 0xDC00 <= low < 0xE000:
                return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        if 0xD800 <= code < 0xE000:
            raise Unportable("half a surrogate pair")
        return code

    def _hex(self, width: int) -> int:
        digits = self.pattern[self.at : self.at + width]
        if len(digits) < width:
            raise Unportable("a cut-off escape")
        self.at += width
        return _parse_hex(digits)

    def _class(self) -> str:
        negated = self._peek("^")
        self.at += negated
        items: list[str] = []
        if self._peek("]"):
            self.at += 1
            if negated:
                return r"[\x{0}-\x{10ffff}]"
            raise Unportable("an empty class")
        while not self._peek("]"):
            items.append(self._item(negated=negated))
        self.at += 1
        return f"[{'^' if negated else ''}{''.join(items)}]"

    def _item(self, *, negated: bool) -> str:
        low = self._member(negated=negated)
        if not self._peek("-") or self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
            return low if isinstance(low, str) else _literal(low)
        mark = self.at
        self.at += 1
        high = self._member(negated=negated)
        if isinstance(low, int) and isinstance(high, int):
            if low > high:
                raise Unportable("a range that runs backwards")
            return f"{_literal(low)}-{_literal(high)}"
        self.at = mark + 1
        return (low if isinstance(low, str) else _literal(low)) + r"\-"

    def _member(self, *, negated: bool) -> int | str:
        """One member of a class: a character, or the text of a shorthand such as `\\w`."""
        char = self._take()
        if char != "\\":
            return ord(char)
        char = self._take()
        match char:
            case "d":
                return _DIGIT
            case "w":
                return _WORD
            case "s":
                return (_SPACE_WIDE if negated else _SPACE_NARROW) if self.narrow else _SPACE_EXACT
            case "D":
                return r"\x{0}-\x{2f}\x{3a}-\x{10ffff}"
            case "W":
                return r"\x{0}-\x{2f}\x{3a}-\x{40}\x{5b}-\x{5e}\x{60}\x{7b}-\x{10ffff}"
            case "S":
                return self._not_space(negated=negated)
            case "p" | "P":
                return self._property(char)
            case "b":
                return 8
            case _:
                return self._code(char)

    def _not_space(self, *, negated: bool) -> str:
        if self.narrow and negated:
            return r"\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{10ffff}"
        low = r"\x{e}-\x{1b}\x{21}-\x{84}\x{86}-\x{9f}" if self.narrow else r"\x{e}-\x{1f}\x{21}-\x{9f}"
        middle = r"\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}"
        return rf"\x{{0}}-\x{{8}}{low}{middle}\x{{2060}}-\x{{2fff}}\x{{3001}}-\x{{fefe}}\x{{ff00}}-\x{{10ffff}}"


def _repeat(atom: str, quantifier: str) -> str:
    """A big repetition as several that RE2 takes one by one; a group (whose end alone is known here) stays as it is."""
    low, comma, high = quantifier[1:-1].partition(",")
    fewest, most = int(low or 0), int(high if comma else low)
    if atom == ")" or most > RE2_REPEATS * 20:
        return atom + quantifier
    parts: list[str] = []
    while most > 0:
        step = min(most, RE2_REPEATS)
        parts.append(f"{atom}{{{min(fewest, step)},{step}}}")
        fewest, most = max(0, fewest - step), most - step
    return "".join(parts) or f"{atom}{{0}}"


def _fewest(quantifier: str) -> int:
    """How often a quantifier repeats at least."""
    if quantifier in ("*", "?"):
        return 0
    return 1 if quantifier == "+" else int(quantifier[1:-1].partition(",")[0])


def _parse_hex(digits: str) -> int:
    if not 0 < len(digits) <= 6 or any(char not in "0123456789abcdefABCDEF" for char in digits):
        raise Unportable("an escape that is not hexadecimal")
    code = int(digits, 16)
    if code > 0x10FFFF:
        raise Unportable("a character beyond Unicode")
    return code


def _literal(code: int) -> str:
    """A character as a literal that means itself in RE2 and in llguidance, in a class and outside."""
    if 0xD800 <= code < 0xE000:
        raise Unportable("half a surrogate pair")
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    return f"\\x{{{code:x}}}"


def literal(char: str) -> str:
    """One character as a pattern that means itself in RE2 and in llguidance, in a class and outside."""
    return _literal(ord(char))
