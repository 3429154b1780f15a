"""Evidence for a text value: names, identifiers, addresses, paths, codes, units and free text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from fclocal.chat.amounts import find_expression, find_number, is_expression
from fclocal.chat.evidence import Evidence, Leaf, first, stronger
from fclocal.chat.folding import fold, has_cjk, spelled, spelled_out, stem, unlauted, words_of
from fclocal.chat.heard import Heard
from fclocal.chat.moments import find_moment, parse_moment
from fclocal.chat.numbers import SMALL, parse_number, said_numbers
from fclocal.chat.phrases import find_exact, find_inside, find_near, find_squashed, find_typo, find_words
from fclocal.chat.placeholders import is_placeholder
from fclocal.chat.places import country_names, zone_places
from fclocal.chat.prose import STOP_WORDS, content_words, find_prose, is_prose
from fclocal.chat.units import close, quantities, says_alias

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_SPOKEN_EMAIL = re.compile(r"([\w.+-]+) at ((?:[\w-]+(?: dot |\.))+[\w-]+)")
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(?:www\.)?(.+?)/?")
_CODE = re.compile(r"\S*[\d/\\._@#:+-]\S*")
_FILE = re.compile(r"(?P<stem>[\w -]+)\.(?P<ending>\w{1,5})")
_MAKES = frozenset(map(stem, spelled("save create write export store add new output target download")))
_ZONE = re.compile(
    r"(?i)(?:africa|america|antarctica|asia|atlantic|australia|europe|indian|pacific|us|canada|etc)(?:/[a-z_+\-\d]+)+"
)
_FOLDER = re.compile(r"\b(?:here|(?:this|current|working|my) (?:folder|directory|dir)|pwd|cwd)\b|(?<!\S)\.(?!\S)")
_HERE = {".": _FOLDER, "./": _FOLDER, "~": re.compile(r"\bhome\b|(?<!\S)~"), "~/": re.compile(r"\bhome\b|(?<!\S)~")}
_QUOTED = re.compile(r"[\"']([^\"']{1,200})[\"']|`([^`]{1,200})`")
_PLACE = frozenset(
    map(stem, ("city", "location", "place", "town", "address", "region", "country", "destination", "origin", "airport"))
)
MAX_PHRASE = 2_000

Finder = Callable[[str, Leaf, Sequence[Heard]], Evidence | None]


def find_text(value: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """The strongest evidence for a text value, or None."""
    text = value.strip()
    if not text:
        return None
    if text in _HERE:
        return first(heard, lambda message: _found(_HERE[text], message))
    if is_placeholder(text, leaf):
        return first(heard, lambda message: _quoted(text, message))
    best: Evidence | None = None
    for finder in _finders(text, leaf):
        best = stronger(best, finder(text, leaf, heard))
        if best is not None and best.rank == 0:
            return best
    return best


def _found(pattern: re.Pattern[str], message: Heard) -> tuple[int, int, bool] | None:
    match = pattern.search(message.text[: message.limit])
    return (match.start(), match.end(), False) if match else None


def _finders(text: str, leaf: Leaf) -> Iterator[Finder]:
    """How to look for `text`, the surest way first."""
    yield _phrase
    if _EMAIL.fullmatch(text):
        yield _email
        return
    moment = parse_moment(text)
    if moment is not None:
        yield lambda _text, _leaf, heard: find_moment(moment, heard)
        return
    yield _number
    yield _alias
    spaced = " " in text.strip() or has_cjk(text)
    if not spaced and _CODE.fullmatch(text):
        yield from (_code, _address, _zone, _path)
        if is_expression(text):
            yield find_expression
        return
    if is_expression(text):
        yield find_expression
    yield from (_squashed, _near, _country, _qualified, _initials, _slip, _kin)
    yield find_prose


def _phrase(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    folded = " ".join(fold(text).split())
    words = words_of(text)
    plain = folded.strip(".!?,;: ")
    by_words = len(text) <= MAX_PHRASE and (" " in plain or not re.search(r"\d", plain))
    others = {" ".join(fold(spelled_out(text)).split()), unlauted(folded)} - {folded}

    def matcher(message: Heard) -> tuple[int, int, bool] | None:
        found = find_exact(folded, message) or find_exact(plain, message)
        for other in others if found is None else ():
            found = found or find_exact(other, message)
        if found is None and has_cjk(text):
            found = find_inside(folded, message)
        if found is None and by_words:
            found = find_words(words, message)
        return (*found, True) if found else None

    return first(heard, matcher)


def _quoted(text: str, message: Heard) -> tuple[int, int, bool] | None:
    """A placeholder counts only where somebody quoted it or gave it as an address."""
    folded = fold(text)
    if "@" in folded or "://" in folded:
        found = find_exact(folded, message)
        return (*found, True) if found else None
    for match in _QUOTED.finditer(message.text[: message.limit]):
        if folded in (match.group(1), match.group(2)):
            return match.start() + 1, match.end() - 1, True
    return None


def _email(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    folded = fold(text)

    def matcher(message: Heard) -> tuple[int, int, bool] | None:
        for match in _SPOKEN_EMAIL.finditer(message.text[: message.limit]):
            if f"{match.group(1)}@{match.group(2).replace(' dot ', '.')}" == folded:
                return match.start(), match.end(), True
        return None

    return first(heard, matcher)


def _number(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """A number or an amount with its unit, in other words or digits; digits that were said one by one."""
    folded = fold(text)
    spoken = first(heard, lambda message: _digit_by_digit(folded, message)) if folded.isdecimal() else None
    if folded.isdecimal() and (len(folded) > 4 or folded.startswith("0")):
        return spoken
    numbers = tuple(said_numbers(folded))
    amounts = [one for one in quantities(folded, numbers) if one.start == 0 and one.end == len(folded)]
    if amounts:
        return first(heard, lambda message: _amount(amounts[0].kind, amounts[0].amount, message))
    value = parse_number(folded) if re.fullmatch(r"[\d.,' %-]+", folded) or len(folded.split()) <= 4 else None
    whole = [said for said in numbers if said.start == 0 and said.end == len(folded)]
    return spoken or (find_number(value, leaf, heard) if value is not None and whole else None)


def _amount(kind: str, amount: float, message: Heard) -> tuple[int, int, bool] | None:
    for quantity in message.quantities:
        if quantity.kind == kind and close(quantity.amount, amount):
            return quantity.start, quantity.end, True
    return None


def _digit_by_digit(digits: str, message: Heard) -> tuple[int, int, bool] | None:
    """ "nine eight seven" for 987."""
    run: list[tuple[str, int, int]] = []
    for word in message.words:
        value = "0" if word.text == "oh" else str(SMALL[word.text]) if SMALL.get(word.text, 10) < 10 else word.text
        run = [*run, (value, word.start, word.end)] if value.isdecimal() else []
        for start in range(len(run)):
            if len(run) - start > 1 and "".join(part[0] for part in run[start:]) == digits:
                return run[start][1], run[-1][2], True
        run = run[-24:]
    return None


def _alias(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    folded = " ".join(fold(text).replace("_", " ").split())
    return first(heard, lambda message: _with(says_alias(message.text[: message.limit], folded), said=True))


def _code(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """An identifier, up to blanks and dashes: "98 765", "DE89 3704 0044"."""
    letters = "".join(char for char in fold(text) if char.isalnum())
    if not re.search(r"\d", letters) or len(letters) < 3 or re.search(r"\d\.\d", text):
        return None
    found = first(heard, lambda message: _with(find_squashed(letters, message), said=True))
    if found is None and text.startswith("+") and len(letters) > 8:
        local = letters[-8:]
        return first(heard, lambda message: _with(_find_tail(local, message), said=False))
    return found


def _find_tail(digits: str, message: Heard) -> tuple[int, int] | None:
    """The last digits of a telephone number whose country code was left out."""
    at = message.squashed.find(digits)
    places = message.squashed_places if at >= 0 else ()
    return (places[at], places[at + len(digits) - 1] + 1) if places else None


def _address(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """A web address without its scheme."""
    if "." not in text:
        return None
    match = _URL.fullmatch(fold(text))
    host = match.group(1) if match else ""
    if "." not in host:
        return None
    return first(heard, lambda message: _with(find_exact(host, message), said=True))


def _path(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """A path whose every part was said, or a new file named after something said."""
    parts = [part for part in re.split(r"[/\\]", fold(text)) if part not in ("", ".", "..", "~")]
    if len(parts) > 1 and "://" not in text:
        return first(heard, lambda message: _all_exact(parts, message))
    file = _FILE.fullmatch(fold(text))
    if file is None or not _MAKES & (leaf.function_words | leaf.about):
        return None
    words = [word for word in words_of(file["stem"]) if stem(word) not in STOP_WORDS]
    return first(heard, lambda message: _with(find_near(words, message), said=False))


def _all_exact(parts: Sequence[str], message: Heard) -> tuple[int, int, bool] | None:
    places = [find_exact(part, message) or find_words(words_of(part), message) for part in parts]
    found = [place for place in places if place]
    return (*found[-1], False) if len(found) == len(parts) else None


def _zone(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """A time zone by the place it is named after, or by its country."""
    if not _ZONE.fullmatch(text):
        return None
    return _one_of(zone_places(text), heard)


def _squashed(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """Words that were run together or apart: "KiteDiscussion", "New-York"."""
    letters = "".join(char for char in fold(text) if char.isalnum())
    if len(letters) < 6 or len(letters) > 80:
        return None
    return first(heard, lambda message: _with(find_squashed(letters, message), said=True))


def _near(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    words = content_words(text)
    if not words or len(words) > 12:
        return None
    return first(heard, lambda message: _with(find_near(words, message), said=True))


def _country(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """A country under another of its names, or by its code."""
    return _one_of(country_names(fold(text)), heard)


def _one_of(names: Sequence[str], heard: Sequence[Heard]) -> Evidence | None:
    """What follows from any of `names`."""
    wanted = [words_of(name) for name in names]

    def matcher(message: Heard) -> tuple[int, int, bool] | None:
        return next((_with(found) for words in wanted if (found := find_words(words, message))), None)

    return first(heard, matcher) if wanted else None


def _qualified(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """A place that was said, with the country or state that it is in: "Paris, France"."""
    head, comma, rest = text.partition(",")
    if not comma or not _PLACE & leaf.about or len(rest.split()) > 4 or re.search(r"\d", rest):
        return None
    found = _phrase(head, leaf, heard)
    return found.implied if found else None


def _initials(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """A name that was said as its initials, or initials of what was said."""
    words = words_of(text)
    initials = "".join(word[0] for word in words)
    if len(words) > 1:
        return first(heard, lambda message: _with(find_exact(initials, message))) if len(words) > 2 else None
    if not (text.isupper() and 2 <= len(text) <= 6 and text.isalpha()):
        return None
    return first(heard, lambda message: _spelled(fold(text), message))


def _spelled(letters: str, message: Heard) -> tuple[int, int, bool] | None:
    """Neighbouring words that begin with `letters`, little words between them left out."""
    words = [word for word in message.words if stem(word.text) not in STOP_WORDS]
    firsts = "".join(word.text[0] for word in words)
    at = firsts.find(letters) if len(letters) > 2 else -1
    while at >= 0:
        run = words[at : at + len(letters)]
        if all(re.fullmatch(r"[\s-](?:[a-z]{1,3} )*", message.text[one.end : two.start]) for one, two in pairwise(run)):
            return run[0].start, run[-1].end, False
        at = firsts.find(letters, at + 1)
    return None


def _slip(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """A word that was misspelled: every word was said, or is one slip away from one that was."""
    words = content_words(text)
    if not words or len(words) > 4 or is_prose(leaf):
        return None

    def matcher(message: Heard) -> tuple[int, int, bool] | None:
        places = [find_words((word,), message) or find_typo(word, message) for word in words]
        found = [place for place in places if place]
        return (found[0][0], found[0][1], False) if len(found) == len(words) and _together(found) else None

    return first(heard, matcher)


def _together(places: Sequence[tuple[int, int]]) -> bool:
    ordered = sorted(places)
    return all(second[0] - one[1] < 20 for one, second in pairwise(ordered))


def _kin(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """Another form of words that were said: "running" for "ran"."""
    words = [stem(word) for word in content_words(text)]
    if not words or len(words) > 4 or (text[0].isupper() and not is_prose(leaf)):
        return None

    def matcher(message: Heard) -> tuple[int, int, bool] | None:
        numbers = [message.stems[word] for word in words if word in message.stems]
        if len(numbers) < len(words) or max(numbers) - min(numbers) > len(words) + 3:
            return None
        return message.words[min(numbers)].start, message.words[max(numbers)].end, False

    return first(heard, matcher)


def _with(found: tuple[int, int] | None, *, said: bool = False) -> tuple[int, int, bool] | None:
    return (*found, said) if found else None
