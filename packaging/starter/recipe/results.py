"""What functions return, and the sentences that answer with it. Knows no wordings and no tokens."""

from __future__ import annotations

from random import Random

from recipe.bank import Intent
from recipe.builtins import result_of
from recipe.functions import Function
from recipe.values import Json, sample
from recipe.words import lists

# Keys that results have in common, with kinds of values.
COMMON_RESULTS = (
    ("@id", ("id", "reference", "ref", "number", "key")),
    ("@code", ("code", "ticket", "token", "booking")),
    ("@status", ("status", "state")),
    ("@money", ("price", "total", "cost", "balance", "amount")),
    ("@int(0,500)", ("count", "left", "total_count", "size", "points", "rank")),
    ("@number(0,99)", ("value", "score", "average", "level", "distance_km")),
    ("@date", ("date", "due", "created", "valid_until")),
    ("@time", ("time", "start", "end", "updated_at")),
    ("@fullname", ("owner", "name", "contact", "author")),
    ("@city", ("city", "place", "location")),
    ("@title", ("title", "label", "subject")),
    ("@url", ("url", "link")),
    ("@path", ("path", "file")),
    ("@email", ("email", "sender")),
    ("@sentence", ("message", "note", "summary", "text")),
    ("@word", ("type", "kind", "category", "answer")),
    ("@invented", ("model", "brand", "item")),
)


def fields(value: dict[str, Json]) -> str:
    """An object as it stands in an answer."""
    return ", ".join(f"{key} = {spoken(one)}" for key, one in value.items())


def spoken(value: Json) -> str:
    """A value as it stands in an answer."""
    if isinstance(value, dict):
        return f"({fields(value)})"
    if isinstance(value, list):
        words = [spoken(item) for item in value]
        return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def outcome(rng: Random, function: Function, arguments: dict[str, Json], *, shapes: bool = True) -> tuple[Json, str]:
    """A result of the call, or an error, and the sentence that answers with it; without `shapes` the result has the
    intent's own keys.

    Answers from functions that are not the product's own repeat the result in one fixed way: what a small model can
    keep right for any result.
    """
    intent = function.intent
    if rng.random() < 0.1:
        error = rng.choice(lists()["errors"])
        if rng.random() < 0.3:
            error = f"{error}: {sample(rng, rng.choice(['@word', '@filename', '@code', '@city'])).said}"
        return {"error": error}, f"That failed: {error}."
    if intent.verbatim:
        return result_of(rng, intent.id, arguments)
    result = shaped(rng, intent) if shapes else own_fields(rng, intent)
    return result, f"Result: {fields(result) if isinstance(result, dict) else spoken(result)}."


def own_fields(rng: Random, intent: Intent) -> dict[str, Json]:
    """The keys that the intent's function returns, with values."""
    result: dict[str, Json] = {}
    for key, spec in intent.result.items():
        if isinstance(spec, str) and spec.startswith("@"):
            result[key] = sample(rng, spec).json
        else:
            result[key] = rng.choice(spec) if isinstance(spec, list) and spec else spec
    return result or common_fields(rng, 1)


def shaped(rng: Random, intent: Intent) -> Json:
    """Any shape: text, a list, a list of objects, or the intent's own keys, often with others and in another order, now
    and then with an object inside."""
    roll = rng.random()
    if roll < 0.06:
        return sample(rng, rng.choice(["@sentence", "@title", "@status", "@id", "@topic"])).said
    if roll < 0.12:
        kind = rng.choice(["@title", "@first", "@filename", "@city", "@word"])
        return [sample(rng, kind).json for _ in range(rng.randint(1, 4))]
    if roll < 0.18:
        columns = [(rng.choice(keys), kind) for kind, keys in rng.sample(COMMON_RESULTS, rng.randint(1, 3))]
        return [{key: sample(rng, kind).json for key, kind in columns} for _ in range(rng.randint(1, 3))]
    items = list((own_fields(rng, intent) | common_fields(rng, rng.choice([0, 0, 0, 1, 2, 3]))).items())
    if rng.random() < 0.3:
        rng.shuffle(items)
    if roll < 0.24:
        name = rng.choice(["details", "result", "data", "item", "entry", "info"])
        inner = common_fields(rng, rng.randint(1, 3))
        return {**dict(items[:2]), name: inner if rng.random() < 0.5 else [inner]}
    return dict(items[:5])


def common_fields(rng: Random, count: int) -> dict[str, Json]:
    """Some fields that results have in common."""
    return {rng.choice(keys): sample(rng, kind).json for kind, keys in rng.choices(COMMON_RESULTS, k=count)}
