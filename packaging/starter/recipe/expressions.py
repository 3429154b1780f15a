"""Arithmetic in words and its expression for the calculator. Knows no functions and no prompts."""

from __future__ import annotations

from random import Random


def plain_number(rng: Random) -> str:
    roll = rng.random()
    if roll < 0.45:
        return str(rng.randint(2, 99))
    if roll < 0.65:
        return str(rng.randint(100, 999))
    if roll < 0.75:
        return str(rng.randint(1000, 99999))
    return f"{rng.uniform(0.1, 200):.{rng.choice([1, 1, 2])}f}"


WORDS = [
    ("plus", "+"),
    ("minus", "-"),
    ("times", "*"),
    ("divided by", "/"),
    ("multiplied by", "*"),
    ("plus", "+"),
    ("minus", "-"),
    ("times", "*"),
    ("over", "/"),
]


def symbols(rng: Random) -> str:
    """An expression in symbols, spaced or tight."""
    space = " " if rng.random() < 0.75 else ""
    a, b, c, d = (plain_number(rng) for _ in range(4))
    first, second, third = (f"{space}{rng.choice('+-*/+*')}{space}" for _ in range(3))
    forms = [
        f"{a}{first}{b}",
        f"{a}{first}{b}",
        f"{a}{first}{b}",
        f"{a}{first}{b}{second}{c}",
        f"({a}{first}{b}){second}{c}",
        f"{a}{first}({b}{second}{c})",
        f"({a}{first}{b}){second}({c}{third}{d})",
        f"{rng.randint(2, 20)}{space}**{space}{rng.randint(2, 5)}",
        f"sqrt({a})",
        f"sqrt({a}){first}{b}",
        f"-{a}{first}{b}",
        f"{a}{first}{b}{second}{c}{third}{d}",
        f"{rng.randint(2, 20)}^{rng.randint(2, 5)}",
    ]
    return rng.choice(forms)


def worded(rng: Random) -> tuple[str, str]:
    """Arithmetic in words and the same as an expression."""
    a, b, c = (plain_number(rng) for _ in range(3))
    (say, sign), (say2, sign2) = rng.choice(WORDS), rng.choice(WORDS)
    forms = [(f"{a} {say} {b}", f"{a} {sign} {b}")] * 6 + [
        (f"{a} {say} {b} {say2} {c}", f"{a} {sign} {b} {sign2} {c}"),
        (f"{a} squared", f"{a} ** 2"),
        (f"{a} cubed", f"{a} ** 3"),
        (f"{a}% of {b}", f"{a} / 100 * {b}"),
        (f"{a} percent of {b}", f"{a} / 100 * {b}"),
        (f"the square root of {a}", f"sqrt({a})"),
        (f"square root of {a}", f"sqrt({a})"),
        (f"{a} to the power of {rng.randint(2, 6)}", ""),
        (f"the sum of {a} and {b}", f"{a} + {b}"),
        (f"the product of {a} and {b}", f"{a} * {b}"),
        (f"half of {a}", f"{a} / 2"),
        (f"{a} x {b}", f"{a} * {b}"),
        (f"the difference between {a} and {b}", f"{a} - {b}"),
        (f"double {a}", f"2 * {a}"),
        (f"a third of {a}", f"{a} / 3"),
        (f"{a} and {b} added together", f"{a} + {b}"),
    ]
    said, value = rng.choice(forms)
    if not value:
        base, power = said.split(" to the power of ")
        value = f"{base} ** {power}"
    return said, value


def expression(rng: Random) -> tuple[str, str]:
    """What the user says and the expression of the call: symbols are copied as they are, words become symbols."""
    if rng.random() < 0.5:
        text = symbols(rng)
        return text, text
    return worded(rng)
