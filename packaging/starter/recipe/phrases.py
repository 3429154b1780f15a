"""Texts of a kind: dates, titles, e-mails, codes, invented words. Knows word lists, not types or calls."""

from __future__ import annotations

from random import Random

from recipe.words import lists

MONTHS = ["January", "February", "March", "April", "May", "June"]
MONTHS += ["July", "August", "September", "October", "November", "December"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
CONSONANTS = [
    "b",
    "br",
    "c",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "z",
]
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "io", "ou", "y"]
ODD_JOINS = [
    "-",
    "'s ",
    ": ",
    " - ",
    " & ",
    ", ",
    "/",
    " + ",
    "_",
    ".",
    " of ",
    " do ",
    " van der ",
    " the ",
    " @ ",
    "? ",
    "'",
]
ENDINGS = ["", "", "", "n", "r", "l", "x", "th", "nd", "sk", "m", "st", "ck"]


# So often a title is an odd one: a value is to be copied to its end, whatever marks it holds.
ODD = 0.15


def invented(rng: Random, *, capital: bool = False) -> str:
    """A word of two or three invented syllables."""
    count = 2 if rng.random() < 0.7 else 3
    text = "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(count)) + rng.choice(ENDINGS)
    return text.capitalize() if capital else text


def pick(rng: Random, key: str) -> str:
    return rng.choice(lists()[key])


def name_like(rng: Random, key: str, share: float = 0.12) -> str:
    """A list entry, or now and then an invented word in its place."""
    return invented(rng, capital=True) if rng.random() < share else pick(rng, key)


def person(rng: Random) -> str:
    """First and last name, now and then of several parts."""
    first, last = name_like(rng, "first"), name_like(rng, "last")
    if rng.random() < 0.85:
        return f"{first} {last}"
    another = name_like(rng, "last")
    return rng.choice(
        [
            f"{first} O'{last}",
            f"{first} van {last}",
            f"{first} {last}-{another}",
            f"Dr. {first} {last}",
            f"{first} de la {last}",
        ]
    )


def digits(rng: Random, count: int) -> str:
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(count - 1))


def letters(rng: Random, count: int) -> str:
    return "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))


def date(rng: Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2019, 2031)
    name = MONTHS[month - 1]
    return rng.choice(
        [
            f"{name} {day}",
            f"{name} {day}, {year}",
            f"{day} {name}",
            f"{day} {name} {year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{year}-{month:02d}-{day:02d}",
            "tomorrow",
            "today",
            f"next {rng.choice(DAYS)}",
            rng.choice(DAYS),
            f"{day:02d}.{month:02d}.{year}",
            f"{day}/{month}/{year}",
            "tonight",
            f"this {rng.choice(DAYS)}",
            "next week",
            f"{name} {day}th" if 4 <= day <= 20 else f"{name} {day}",
            "the day after tomorrow",
        ]
    )


def clock(rng: Random) -> str:
    hour, minute = rng.randint(0, 23), rng.choice([0, 5, 10, 15, 20, 30, 40, 45, 50, 55])
    half = rng.choice(["am", "pm"])
    small = rng.randint(1, 12)
    return rng.choice(
        [
            f"{hour:02d}:{minute:02d}",
            f"{hour}:{minute:02d}",
            f"{small}:{minute:02d} {half}",
            f"{small} {half}",
            f"{small}{half}",
            "noon",
            "midnight",
            f"{small} o'clock",
            f"{small}:{minute:02d}{half}",
            f"half past {SMALL[small]}",
            f"{hour:02d}:{minute:02d}",
        ]
    )


def duration(rng: Random) -> str:
    return rng.choice(
        [
            f"{rng.randint(2, 59)} minutes",
            f"{rng.randint(2, 12)} hours",
            f"{rng.randint(2, 30)} days",
            f"{rng.randint(2, 8)} weeks",
            "half an hour",
            "an hour",
            f"{rng.randint(10, 90)} seconds",
            f"{rng.randint(5, 90)} min",
            f"{rng.randint(1, 9)}h",
            "two weeks",
            f"{rng.randint(2, 18)} months",
        ]
    )


def phrase(rng: Random) -> str:
    if rng.random() < ODD / 2:
        return odd(rng)
    return rng.choice(
        [
            lambda: pick(rng, "topic"),
            lambda: f"{pick(rng, 'topic_head')} {pick(rng, 'topic_tail')}",
            lambda: f"{pick(rng, 'topic_head')} {pick(rng, 'topic_tail')}",
            lambda: f"{pick(rng, 'adjective')} {pick(rng, 'thing')} {pick(rng, 'thing')}",
            lambda: f"{pick(rng, 'topic_tail')} in {pick(rng, 'country')}",
            lambda: f"{invented(rng)} {pick(rng, 'topic_tail')}",
            lambda: f"{pick(rng, 'thing')} {pick(rng, 'word')}",
            lambda: f"{pick(rng, 'hobby')} for {pick(rng, 'thing')}s",
        ]
    )()


def title(rng: Random) -> str:
    if rng.random() < ODD:
        return odd(rng)
    text = rng.choice(
        [
            lambda: f"{pick(rng, 'adjective')} {pick(rng, 'thing')} {pick(rng, 'thing')}",
            lambda: f"the {pick(rng, 'adjective')} {pick(rng, 'thing')}",
            lambda: f"{pick(rng, 'thing')} with {pick(rng, 'first')}",
            lambda: f"{pick(rng, 'thing')} in {pick(rng, 'city')}",
            lambda: f"{pick(rng, 'thing')} and {pick(rng, 'thing')}",
            lambda: f"{pick(rng, 'adjective')} {pick(rng, 'word')} {rng.randint(1, 40)}",
            lambda: f"{pick(rng, 'thing')} for {pick(rng, 'company')}",
            lambda: phrase(rng),
        ]
    )()
    style = rng.random()
    if style < 0.4:
        return text[:1].upper() + text[1:]
    return text.title().replace("'S", "'s") if style < 0.6 else text


def odd(rng: Random) -> str:
    """Two to seven words, names, numbers and invented words that nobody would expect, with marks between them."""

    def piece() -> str:
        roll = rng.random()
        if roll < 0.3:
            return invented(rng, capital=rng.random() < 0.5)
        if roll < 0.4:
            return str(rng.randint(0, 9999))
        word = pick(rng, rng.choice(["word", "thing", "adjective", "first", "last", "city", "topic_tail", "food"]))
        return word.capitalize() if rng.random() < 0.3 else word

    text = piece()
    for _ in range(rng.choice([1, 1, 2, 2, 3, 4, 6])):
        text += rng.choice(ODD_JOINS if rng.random() < 0.4 else [" "]) + piece()
    return text + rng.choice(["", "", "", "", "", "", " (2)", " #1", " II"])


def formula(rng: Random) -> str:
    """An equation or a function of a variable."""
    name, sign = rng.choice("xyzntab"), rng.choice([" + ", " - ", "+", "-", " * "])
    power = rng.choice(["", "", "**2", "^2", "**3", "^3"])
    factor = rng.choice(["", f"{rng.randint(2, 30)}", f"{rng.randint(2, 9)}*", f"{rng.randint(2, 9)} * "])
    left = f"{factor}{name}{power}{sign}{rng.randint(1, 99)}"
    return rng.choice(
        [
            left,
            f"{left} = {rng.randint(0, 200)}",
            f"{left} = {rng.randint(0, 200)}",
            f"{rng.choice(['sin', 'cos', 'sqrt', 'exp', 'log'])}({left})",
            f"({left}){sign}{rng.randint(2, 9)}{name}",
            f"{name} = {left.replace(name, 'k')}",
        ]
    )


def sentence(rng: Random) -> str:
    text = rng.choice(
        [
            lambda: pick(rng, "sentence"),
            lambda: pick(rng, "sentence"),
            lambda: f"{pick(rng, 'first')} has the {pick(rng, 'adjective')} {pick(rng, 'thing')}",
            lambda: f"The {pick(rng, 'thing')} in {pick(rng, 'city')} starts at {clock(rng)}",
            lambda: f"please bring {pick(rng, 'food')} and {pick(rng, 'food')}",
            lambda: f"we meet on {rng.choice(DAYS)} in the {pick(rng, 'room')}",
            lambda: f"{pick(rng, 'adjective')} {pick(rng, 'thing')}, {pick(rng, 'adjective')} {pick(rng, 'thing')}",
            lambda: f"ask {pick(rng, 'first')} about the {pick(rng, 'thing')} of {pick(rng, 'company')}",
            lambda: f"I need {rng.randint(2, 20)} {pick(rng, 'thing')}s by {rng.choice(DAYS)}",
            lambda: f"the {pick(rng, 'animal')} ate the {pick(rng, 'food')}",
            lambda: f"{invented(rng)} {pick(rng, 'thing')} is {pick(rng, 'adjective')} again",
        ]
    )()
    if rng.random() < 0.3:
        text = text[:1].lower() + text[1:] if not text.startswith(("I ", "I'm")) else text
    return text


def text(rng: Random) -> str:
    parts = [sentence(rng) for _ in range(rng.choice([1, 2, 2, 3]))]
    return ". ".join(part[:1].upper() + part[1:] for part in parts) + rng.choice([".", "", "!"])


def file_name(rng: Random) -> str:
    tail = rng.choice([invented(rng), str(rng.randint(1, 99)), pick(rng, "word")])
    stem = pick(rng, "file_stem") if rng.random() < 0.7 else f"{pick(rng, 'thing')}{rng.choice(['_', '-', ''])}{tail}"
    return f"{stem}.{pick(rng, 'file_ending')}"


def folder(rng: Random) -> str:
    inner = pick(rng, "folder")
    return rng.choice(
        [
            inner,
            inner,
            f"~/{inner}",
            f"./{inner}",
            f"/home/{pick(rng, 'first').lower()}/{inner}",
            f"{inner}/{pick(rng, 'thing')}",
            f"/var/{inner}",
            f"C:\\{inner}",
        ]
    )


def email(rng: Random) -> str:
    first = rng.choice([pick(rng, "first").lower(), invented(rng), pick(rng, "username")])
    plain = "".join(char for char in first if char.isascii() and (char.isalnum() or char in "._-"))
    return rng.choice(
        [
            f"{plain}@{pick(rng, 'email_host')}",
            f"{plain}.{invented(rng)}@{pick(rng, 'email_host')}",
            f"{plain}{rng.randint(1, 99)}@{pick(rng, 'email_host')}",
        ]
    )


def phone(rng: Random) -> str:
    return rng.choice(
        [
            f"555-{digits(rng, 4)}",
            f"+{rng.randint(1, 99)} {digits(rng, 3)} {digits(rng, 6)}",
            f"0{digits(rng, 9)}",
            f"({digits(rng, 3)}) 555-{digits(rng, 4)}",
            f"+1 555 {digits(rng, 3)} {digits(rng, 4)}",
            f"0{digits(rng, 3)} {digits(rng, 5)}",
        ]
    )


def url(rng: Random) -> str:
    host = pick(rng, "url_name")
    return rng.choice(
        [
            f"https://{host}",
            f"https://{host}/{pick(rng, 'url_path')}",
            host,
            f"http://{host}/{invented(rng)}",
            f"https://www.{host}/{pick(rng, 'url_path')}",
            f"https://{host}/{pick(rng, 'url_path')}?{rng.choice(['id', 'q', 'page', 'ref'])}={rng.randint(1, 999)}",
            f"https://{host}/{pick(rng, 'word')}/{invented(rng)}/{pick(rng, 'url_path')}#{pick(rng, 'thing')}",
        ]
    )


def code(rng: Random) -> str:
    return rng.choice(
        [
            f"{letters(rng, 3)}-{digits(rng, 4)}",
            f"{letters(rng, 2)}{digits(rng, 5)}",
            f"{letters(rng, 1)}-{digits(rng, 3)}",
            f"#{digits(rng, 5)}",
            f"{letters(rng, 2)}-{digits(rng, 2)}-{letters(rng, 2)}",
            f"{letters(rng, 4)}{digits(rng, 2)}",
            f"{digits(rng, 3)}-{digits(rng, 4)}",
        ]
    )


def identifier(rng: Random) -> str:
    return rng.choice(
        [
            digits(rng, rng.randint(3, 8)),
            f"{letters(rng, 1)}{digits(rng, 4)}",
            f"{pick(rng, 'thing')[:4]}-{digits(rng, 3)}",
            digits(rng, 5),
            f"{invented(rng)}{digits(rng, 2)}",
        ]
    )
