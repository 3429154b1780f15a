"""The kinds of text values by name: word lists and composed ones. Knows no numbers and no types."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from recipe.phrases import (
    DAYS,
    MONTHS,
    clock,
    code,
    date,
    duration,
    email,
    file_name,
    folder,
    formula,
    identifier,
    invented,
    name_like,
    odd,
    person,
    phone,
    phrase,
    pick,
    sentence,
    text,
    title,
    url,
)

SIMPLE = {
    *("city", "country", "company", "product", "food", "dish", "animal", "plant", "colour", "sport", "language"),
    *("song", "book", "movie", "word", "username", "currency", "unit", "timezone", "genre", "job", "room", "vehicle"),
    *("medicine", "symptom", "hobby", "school_subject", "ingredient", "stock", "branch", "sql_table"),
}
COMPOSED: dict[str, Callable[[Random], str]] = {
    "first": lambda rng: name_like(rng, "first"),
    "person": person,
    "city": lambda rng: name_like(rng, "city"),
    "company": lambda rng: name_like(rng, "company"),
    "word": lambda rng: name_like(rng, "word").lower(),
    "song": lambda rng: pick(rng, "song") if rng.random() < 0.6 else title(rng),
    "book": lambda rng: pick(rng, "book") if rng.random() < 0.6 else title(rng),
    "movie": lambda rng: pick(rng, "movie") if rng.random() < 0.6 else title(rng),
    "street": lambda rng: rng.choice(
        [
            f"{rng.randint(1, 250)} {pick(rng, 'street')}",
            f"{pick(rng, 'street')} {rng.randint(1, 99)}",
            f"{rng.randint(1, 99)} {pick(rng, 'street')}, {pick(rng, 'city')}",
            pick(rng, "street"),
        ]
    ),
    "topic": phrase,
    "title": title,
    "sentence": sentence,
    "text": text,
    "date": date,
    "time": clock,
    "duration": duration,
    "weekday": lambda rng: rng.choice(DAYS),
    "month": lambda rng: rng.choice(MONTHS),
    "email": email,
    "phone": phone,
    "url": url,
    "path": lambda rng: rng.choice(
        [file_name(rng), f"{folder(rng)}/{file_name(rng)}", f"{folder(rng)}/{file_name(rng)}"]
    ),
    "folder": folder,
    "filename": file_name,
    "code": code,
    "id": identifier,
    "username": lambda rng: rng.choice(
        [
            pick(rng, "username"),
            f"{invented(rng)}{rng.randint(1, 99)}",
            f"{pick(rng, 'first').lower()}_{pick(rng, 'word')}",
        ]
    ),
    "hashtag": lambda rng: "#" + rng.choice([pick(rng, "thing"), pick(rng, "word"), invented(rng)]),
    "ip": lambda rng: ".".join(str(rng.randint(1, 254)) for _ in range(4)),
    "version": lambda rng: rng.choice(
        [
            f"{rng.randint(0, 12)}.{rng.randint(0, 30)}",
            f"{rng.randint(0, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 30)}",
            f"v{rng.randint(1, 9)}.{rng.randint(0, 9)}",
        ]
    ),
    "status": lambda rng: pick(rng, "status"),
    "invented": invented,
    "odd": odd,
    "formula": formula,
    "branch": lambda rng: rng.choice([pick(rng, "branch"), f"feature/{pick(rng, 'word')}", f"fix/{invented(rng)}"]),
    "ticker": lambda rng: pick(rng, "stock"),
    "fullname": lambda rng: f"{pick(rng, 'first')} {pick(rng, 'last')}",
    "folder_name": lambda rng: pick(rng, "folder"),
    "string": phrase,
    "file_stem": lambda rng: rng.choice(
        [pick(rng, "file_stem"), f"{pick(rng, 'word')}_{pick(rng, 'thing')}", invented(rng)]
    ),
    "arxiv_query": lambda rng: (
        phrase(rng)
        if rng.random() < 0.75
        else f"{phrase(rng)} {rng.choice(['AND', 'OR', 'NOT', 'AND NOT'])} {phrase(rng)}"
    ),
}
