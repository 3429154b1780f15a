"""Ask for one argument in words, and read what the user types back. Knows schemas, not conversations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date

from fclocal.chat.answers import read_moment
from fclocal.chat.folding import fold, words_of
from fclocal.chat.numbers import parse_number
from fclocal.functions import Function, Json, JsonObject
from fclocal.grammar.check import Problem, check, parse_value

MAX_CHOICES = 12
MAX_DESCRIPTION = 300
MAX_REFERENCES = 8
_YES = frozenset(["yes", "y", "true", "on", "yeah", "yep", "sure", "ok", "okay", "ja", "si", "oui", "1"])
_NO = frozenset(["no", "n", "false", "off", "nope", "nah", "nein", "non", "0"])
_NOTHING = frozenset(("null", "none", "nothing", "-"))
_ASKS = re.compile(r"(?i)^(what|which|who|whose|where|when|how|should|do|does|is|are|shall|would)\b")
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")


def question(function: Function, argument: str) -> str:
    """One question that asks for exactly `argument` of `function`, from its description and schema."""
    schema = resolved(function.properties.get(argument), function.parameters)
    name = readable(argument)
    described = _sentence(schema.get("description") or schema.get("title"))
    if described.endswith("?") or (_ASKS.match(described) and "," not in described):
        asked = described.rstrip("?.") + "?"
    elif set(words_of(described)) - {"the", "a", "an", "of", "to", *words_of(name)}:
        asked = f"{function.name} needs {name} ({_lower_first(described)}). What should it be?"
    else:
        asked = f"What should {name} be for {function.name}?"
    return asked + _hint(schema)


def coerce(answer: str, schema: Json, *, today: date | None = None) -> Json | Problem:
    """The user's typed answer as a value that fits `schema`, or why it does not.

    Numbers may be words, dates and times as people say them; `today` is the day that "tomorrow" counts from.
    """
    text = answer.strip()
    if not isinstance(schema, Mapping):
        return _untyped(text)
    value = read_moment(text, schema, today or date.today()) or _read(text, schema)
    if isinstance(value, Problem):
        return value
    problems = [problem for problem in check(value, schema) if problem.keyword != "$ref"]
    return problems[0] if problems else value


def readable(name: str) -> str:
    """An argument's name as words: `fileName`, `file_name` -> "file name"."""
    return (
        " ".join(part if part.isupper() and len(part) > 1 else part.lower() for part in _NAME_PARTS.findall(name))
        or name
    )


def types_of(schema: JsonObject) -> tuple[str, ...]:
    """The JSON types that `schema` names, or that its enum has; empty when it names none."""
    named = schema.get("type")
    if isinstance(named, str):
        return (named,)
    if isinstance(named, Sequence):
        return tuple(word for word in named if isinstance(word, str))
    return ()


def alternatives(schema: JsonObject) -> tuple[JsonObject, ...]:
    """The schemas of anyOf, oneOf and allOf; empty when there are none."""
    found = []
    for keyword in ("anyOf", "oneOf", "allOf"):
        listed = schema.get(keyword)
        if isinstance(listed, Sequence) and not isinstance(listed, str):
            found += [option for option in listed if isinstance(option, Mapping)]
    return tuple(found)


def resolved(schema: Json, root: JsonObject) -> JsonObject:
    """`schema` with its reference into `root` followed, its own keywords first; empty for what is no schema."""
    found = schema if isinstance(schema, Mapping) else {}
    for _ in range(MAX_REFERENCES):
        reference = found.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        target: Json = root
        for part in filter(None, reference[1:].split("/")):
            step = part.replace("~1", "/").replace("~0", "~")
            target = target.get(step) if isinstance(target, Mapping) else None
        own = {key: value for key, value in found.items() if key != "$ref"}
        found = {**(target if isinstance(target, Mapping) else {}), **own}
    return found


def choices(schema: JsonObject) -> tuple[Json, ...] | None:
    """The values of enum or const, or None when any value goes."""
    listed = schema.get("enum")
    if isinstance(listed, Sequence) and not isinstance(listed, str):
        return tuple(listed)
    return (schema["const"],) if "const" in schema else None


def _read(text: str, schema: JsonObject) -> Json | Problem:
    listed = choices(schema)
    if listed is not None:
        return _choose(text, listed)
    options = alternatives(schema)
    if options and not types_of(schema):
        tried = [coerce(text, option) for option in options]
        return next((value for value in tried if not isinstance(value, Problem)), tried[0])
    types = types_of(schema)
    if not types:
        return _untyped(text)
    read = [_as_type(text, kind, schema) for kind in sorted(types, key=_strictness)]
    return next((value for value in read if not isinstance(value, Problem)), read[0])


def _strictness(kind: str) -> int:
    return ("null", "boolean", "integer", "number", "array", "object", "string").index(kind) if kind in _KINDS else 9


_KINDS = ("null", "boolean", "integer", "number", "array", "object", "string")


def _as_type(text: str, kind: str, schema: JsonObject) -> Json | Problem:
    word = fold(text)
    match kind:
        case "null":
            return None if word in _NOTHING else Problem("", "type", "Leave it empty or say none.")
        case "boolean":
            if word in _YES or word in _NO:
                return word in _YES
            return Problem("", "type", "Answer yes or no.")
        case "integer" | "number":
            return _number(text, kind)
        case "array":
            return _items(text, schema)
        case "object":
            value = parse_value(text)
            return value if isinstance(value, Mapping) else Problem("", "type", "Write it as a JSON object, {...}.")
        case _:
            return _unquoted(text)


def _number(text: str, kind: str) -> Json | Problem:
    value = parse_value(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        value = parse_number(fold(text))
    if value is None:
        return Problem("", "type", f"{text[:60]!r} is not a number.")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if kind == "integer" and not isinstance(value, int):
        return Problem("", "type", f"{text[:60]!r} is not a whole number.")
    return value


def _items(text: str, schema: JsonObject) -> Json | Problem:
    if text.startswith("["):
        value = parse_value(text)
        return value if isinstance(value, list) else Problem("", "type", "The list is not JSON.")
    items = schema.get("items")
    parts = re.split(r"\s*[;\n]\s*", text) if re.search(r"[;\n]", text) else re.split(r"\s*,\s*(?:and\s+)?", text)
    if len(parts) <= 2:
        parts = [piece for part in parts for piece in re.split(r"\s+and\s+", part)]
    values: list[Json] = []
    for part in filter(None, (part.strip() for part in parts)):
        value = coerce(part, items) if isinstance(items, Mapping) else _untyped(part)
        if isinstance(value, Problem):
            return Problem(f"/{len(values)}{value.pointer}", value.keyword, value.sentence)
        values.append(value)
    return values


def _choose(text: str, listed: Sequence[Json]) -> Json | Problem:
    said = fold(_plain_text(text))
    for value in listed:
        if isinstance(value, str) and value == text:
            return value
    for value in listed:
        if (words_of(_as_text(value)) == words_of(said) and words_of(said)) or fold(_as_text(value)) == said:
            return value
    if {True, False} >= {value for value in listed if isinstance(value, bool)} and (said in _YES or said in _NO):
        wanted = said in _YES
        if any(value is wanted for value in listed):
            return wanted
    begun = [value for value in listed if said and fold(_as_text(value)).startswith(said)]
    if len(begun) == 1:
        return begun[0]
    shown = ", ".join(_as_text(value) for value in listed[:MAX_CHOICES])
    more = ", ..." if len(listed) > MAX_CHOICES else ""
    return Problem("", "enum", f"Choose one of: {shown}{more}.")


def _untyped(text: str) -> Json:
    value = parse_value(text)
    return text if isinstance(value, Problem) else value


def _plain_text(text: str) -> str:
    return _unquoted(text).strip()


def _unquoted(text: str) -> str:
    for left, right in ('""', "''", "“”", "„“", "«»"):
        if len(text) >= 2 and text[0] == left and text[-1] == right and left not in text[1:-1]:
            return text[1:-1]
    return text


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _hint(schema: JsonObject) -> str:
    """What an answer may be, where the schema says so."""
    listed = choices(schema)
    if listed is not None:
        shown = ", ".join(_as_text(value) for value in listed[:MAX_CHOICES])
        return f" ({shown}{', ...' if len(listed) > MAX_CHOICES else ''})"
    types = types_of(schema)
    if "boolean" in types:
        return " (yes or no)"
    if "array" in types:
        return " (several are separated by commas)"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" ({low} to {high})"
    form = {"date": "for example 2025-03-31", "time": "for example 14:30", "email": "an e-mail address"}
    return f" ({form[str(schema['format'])]})" if schema.get("format") in form else ""


def _sentence(text: Json) -> str:
    """The first sentence of a description, on one line."""
    if not isinstance(text, str):
        return ""
    line = " ".join(text.split())
    first = re.split(r"(?<=[^.\s]{2}[.!])\s+(?=[A-Z])", line, maxsplit=1)[0]
    return first[:MAX_DESCRIPTION].rstrip(". ")


def _lower_first(text: str) -> str:
    return text[0].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
