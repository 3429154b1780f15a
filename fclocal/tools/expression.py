"""Cut an arithmetic expression into tokens: symbols and the usual words for them. Knows no values of names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Literal

from fclocal.tools.arithmetic import CONSTANTS, FUNCTIONS, CannotCalculate, Number

MAX_LENGTH = 1000
MAX_EXPONENT = 400

# What stands for another sign; longer ones first. Words count only as whole words.
_SIGNS = {
    "×": "*",
    "·": "*",
    "⋅": "*",
    "∙": "*",
    "∗": "*",
    "÷": "/",
    "∕": "/",
    "⁄": "/",
    "−": "-",
    "–": "-",
    "^": "**",
    "√": " sqrt ",
    "π": " pi ",
    "²": "**2",
    "³": "**3",
    "[": "(",
    "]": ")",
    "{": "(",
    "}": ")",
}
_WORDS = {
    r"(?:the )?square root of": "sqrt",
    r"(?:the )?cube root of": "cbrt",
    r"(?:raised )?to the power(?: of)?": "**",
    r"multiplied by": "*",
    r"divided by": "/",
    r"percent": "%",
    r"squared": "**2",
    r"cubed": "**3",
    r"degrees?(?! ?\()": "°",
    r"times": "*",
    r"plus": "+",
    r"minus": "-",
    r"over": "/",
    r"modulo": " mod ",
}
_WORD = re.compile("|".join(rf"(\b{word}\b)" for word in _WORDS), re.IGNORECASE)
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<hex>0[xX][0-9a-fA-F]+\b)
  | (?P<grouped>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,]))
  | (?P<number>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<cross>[xX](?=\s*[\d.(]|\s+[A-Za-z]|\s+-\d))
  | (?P<name>[A-Za-z]+(?:10|2)?)
  | (?P<sign>\*\*|//|[-+*/%!()°,])
  )""",
    re.VERBOSE,
)
_ENDS_OPERAND = (")", "!", "percent", "°")


@dataclass(frozen=True, slots=True)
class Token:
    """A number with its value, a name, a sign, or the end; `at` counts characters from 0."""

    kind: Literal["number", "name", "sign", "end"]
    text: str
    at: int
    value: Number = Fraction(0)


def tokenize(expression: str) -> list[Token]:
    """The tokens of `expression`, the last of kind "end". Raises CannotCalculate."""
    if len(expression) > MAX_LENGTH:
        raise CannotCalculate(f"The expression has more than {MAX_LENGTH:,} characters.")
    text = _plain(expression)
    if not text:
        raise CannotCalculate("The expression is empty.")
    tokens: list[Token] = []
    in_function: list[bool] = []
    at = 0
    while at < len(text):
        token, at = _token(text, at, tokens, grouping=not any(in_function[-1:]))
        if token.text == "(":
            in_function.append(bool(tokens) and tokens[-1].kind == "name" and tokens[-1].text in FUNCTIONS)
        elif token.text == ")" and in_function:
            in_function.pop()
        tokens.append(token)
    return [*tokens, Token("end", "", at)]


def _plain(expression: str) -> str:
    """The expression in the signs the tokens know, without a question's ending."""
    text = "".join(_SIGNS.get(char, char) for char in expression)
    text = _WORD.sub(lambda found: _WORDS_IN_ORDER[(found.lastindex or 1) - 1], text)
    return text.strip().rstrip("=? ").strip()


_WORDS_IN_ORDER = tuple(_WORDS.values())


def _token(text: str, at: int, before: list[Token], *, grouping: bool) -> tuple[Token, int]:
    found = _TOKEN.match(text, at)
    if found is None:
        char = text[at:].lstrip()[0]
        raise CannotCalculate(f"{char!r} cannot be part of an expression.")
    kind = found.lastgroup or ""
    word = found[kind]
    start, end = found.span(kind)
    if kind == "grouped" and not grouping:
        word = word.split(",", 1)[0]
        kind, end = "number", start + len(word)
    if kind in ("hex", "grouped", "number"):
        return Token("number", word, start, _number(word)), end
    follows_operand = bool(before) and (before[-1].kind in ("number", "name") or before[-1].text in _ENDS_OPERAND)
    if kind == "cross" and follows_operand:
        return Token("sign", "*", start), end
    if kind in ("name", "cross"):
        return _name(word, start, follows_operand=follows_operand, percentage=_after_percent(before)), end
    if word == "%":
        return Token("sign", _percent(text, start, end), start), end
    return Token("sign", word, start), end


def _name(word: str, at: int, *, follows_operand: bool, percentage: bool) -> Token:
    name = word.lower()
    if name == "of" and percentage:
        return Token("sign", "*", at)
    if name == "mod" and follows_operand:
        return Token("sign", "mod", at)
    if name in FUNCTIONS or name in CONSTANTS:
        return Token("name", name, at)
    near = get_close_matches(name, [*FUNCTIONS, *CONSTANTS], 1, 0.7)
    hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join([*CONSTANTS, *FUNCTIONS])}."
    raise CannotCalculate(f"{word[:40]!r} is not known here.{hint}")


def _after_percent(before: list[Token]) -> bool:
    return bool(before) and before[-1].text == "percent"


def _percent(text: str, start: int, end: int) -> str:
    """Whether a % sign means "of a hundred" or the remainder: the latter needs something to divide by after it."""
    rest = text[end:].lstrip()
    if re.match(r"of\b", rest, re.IGNORECASE):
        return "percent"
    if rest[:1] in ("-", "+"):
        return "mod" if text[start - 1 : start].isspace() else "percent"
    return "mod" if re.match(r"[\d.(A-Za-z]", rest) and not re.match(r"mod\b|x\s*[\d.(]", rest) else "percent"


def _number(word: str) -> Fraction:
    digits = word.replace(",", "").replace("_", "")
    if digits[:2] in ("0x", "0X"):
        return Fraction(int(digits, 16))
    mantissa, _, exponent = digits.lower().partition("e")
    if exponent and abs(int(exponent)) > MAX_EXPONENT:
        raise CannotCalculate(f"{word[:40]} is out of range: exponents go to {MAX_EXPONENT}.")
    whole, _, decimals = mantissa.partition(".")
    return Fraction(f"{whole or '0'}.{decimals or '0'}e{exponent or '0'}")
