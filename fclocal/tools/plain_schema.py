"""Make pydantic's JSON Schemas short: no titles, references written out, optional arguments without null. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fclocal.functions import Json, JsonObject

_ONE = ("items", "additionalProperties", "not", "contains", "propertyNames")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs")


def plain_schema(schema: JsonObject) -> JsonObject:
    """The same schema in the plainest form. Definitions that refer to themselves stay definitions."""
    definitions = schema.get("$defs")
    known = definitions if isinstance(definitions, Mapping) else {}
    recursive = frozenset(name for name in known if _reaches(name, name, known, set()))
    plain = dict(_plain({key: value for key, value in schema.items() if key != "$defs"}, known, recursive))
    if recursive:
        plain["$defs"] = {name: _plain(known[name], known, recursive) for name in known if name in recursive}
    properties = plain.get("properties")
    if isinstance(properties, Mapping):
        required = plain.get("required")
        kept = required if isinstance(required, Sequence) else ()
        plain["properties"] = {
            name: value if name in kept else _without_null(value) for name, value in properties.items()
        }
    return plain


def _plain(schema: Json, known: JsonObject, recursive: frozenset[str]) -> JsonObject:
    if not isinstance(schema, Mapping):
        return schema  # type: ignore[return-value]  # true and false are schemas too
    name = _referred(schema)
    if name is not None and name in known and name not in recursive:
        target = known[name]
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _plain({**(target if isinstance(target, Mapping) else {}), **rest}, known, recursive)
    made: dict[str, Json] = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in _NAMED and isinstance(value, Mapping):
            made[key] = {inner: _plain(below, known, recursive) for inner, below in value.items()}
        elif key in _MANY and isinstance(value, Sequence):
            made[key] = [_plain(below, known, recursive) for below in value]
        elif key in _ONE:
            made[key] = _plain(value, known, recursive)
        else:
            made[key] = value
    return {**{key: made[key] for key in ("type", "description") if key in made}, **made}


def _without_null(schema: Json) -> Json:
    """An optional argument: leaving it out says the same as null, so null is not offered."""
    if not isinstance(schema, Mapping) or "default" not in schema or schema["default"] is not None:
        return schema
    rest = {key: value for key, value in schema.items() if key != "default"}
    choices = schema.get("anyOf")
    if not isinstance(choices, Sequence):
        return rest
    left = [choice for choice in choices if not (isinstance(choice, Mapping) and choice.get("type") == "null")]
    if len(left) != 1 or not isinstance(only := left[0], Mapping):
        return {**rest, "anyOf": left}
    return {**only, **{key: value for key, value in rest.items() if key != "anyOf"}}


def _referred(schema: JsonObject) -> str | None:
    reference = schema.get("$ref")
    return (
        reference.removeprefix("#/$defs/") if isinstance(reference, str) and reference.startswith("#/$defs/") else None
    )


def _reaches(start: str, goal: str, known: JsonObject, seen: set[str]) -> bool:
    """Whether the definition `start` refers to `goal`, directly or through others."""
    waiting: list[Json] = [known[start]]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            name = _referred(value)
            if name == goal:
                return True
            if name is not None and name in known and name not in seen:
                seen.add(name)
                waiting.append(known[name])
            waiting += value.values()
        elif isinstance(value, Sequence) and not isinstance(value, str):
            waiting += value
    return False
