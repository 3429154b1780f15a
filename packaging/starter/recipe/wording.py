"""Wordings: `Book {people}[ at {time}]` to text and the slots it gives. Knows no functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from recipe.values import Value


@dataclass(frozen=True, slots=True)
class Part:
    """Literal text, or a slot (with the words of a true and a false boolean), or an optional group of parts."""

    text: str = ""
    slot: str = ""
    words: tuple[str, str] | None = None
    group: tuple[Part, ...] | None = None


def parse(template: str, start: int = 0, closing: str = "") -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    text = ""
    at = start
    while at < len(template):
        char = template[at]
        if char == closing:
            break
        if char == "[":
            if closing:
                raise ValueError("a group inside a group")
            group, at = parse(template, at + 1, "]")
            if at >= len(template):
                raise ValueError("an open [")
            parts += [Part(text=text)] if text else []
            parts.append(Part(group=group))
            text = ""
        elif char == "]":
            raise ValueError("a stray ]")
        elif char == "{":
            end = template.find("}", at)
            if end < 0:
                raise ValueError("an open {")
            parts += [Part(text=text)] if text else []
            text = ""
            inner = template[at + 1 : end]
            if "?" in inner:
                key, words = inner.split("?", 1)
                yes, _, no = words.partition("|")
                parts.append(Part(slot=key, words=(yes, no)))
            else:
                parts.append(Part(slot=inner))
            at = end
        else:
            text += char
        at += 1
    parts += [Part(text=text)] if text else []
    return tuple(parts), at


# Room for every wording of the banks; invented ones come and go.
@lru_cache(maxsize=100_000)
def parts_of(template: str) -> tuple[Part, ...]:
    return parse(template)[0]


def named(parts: tuple[Part, ...], *, inside: bool | None = None) -> set[str]:
    """Slots of the parts; inside=True only those in groups, False only those outside."""
    found: set[str] = set()
    for part in parts:
        if part.slot and inside is not True:
            found.add(part.slot)
        if part.group is not None and inside is not False:
            found |= named(part.group)
    return found


def slots_of(template: str) -> set[str]:
    return named(parts_of(template))


def say(rng: Random, template: str, values: dict[str, Value], drop: set[str], keep: set[str]) -> tuple[str, set[str]]:
    """The text and the slots given. Groups with a slot of `drop` go, with one of `keep` stay, others stay often."""
    given: set[str] = set()

    def words(part: Part) -> str:
        given.add(part.slot)
        value = values[part.slot]
        if part.words is not None:
            truth = part.words[0 if value.json else 1]
            return truth if truth else ""
        return value.said

    pieces: list[str] = []
    for part in parts_of(template):
        if part.group is not None:
            inner = named(part.group)
            stays = bool(inner & keep) or (not inner & drop and rng.random() < 0.7)
            if inner & drop:
                stays = False
            if stays:
                pieces += [words(sub) if sub.slot else sub.text for sub in part.group]
        else:
            pieces.append(words(part) if part.slot else part.text)
    return tidy("".join(pieces)), given


def tidy(text: str) -> str:
    """Repair what a dropped group leaves behind: double spaces, spaces before marks."""
    text = re.sub(r" {2,}", " ", text)
    text = re.sub(r" +([,;?!])(?= |$)", r"\1", text)
    text = re.sub(r"^[ ,;:]+", "", text)
    text = re.sub(r",\s*([.?!])", r"\1", text)
    return text.strip()
