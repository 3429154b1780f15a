"""The opposite of a schema, as schemas: for `not`, `oneOf` and `if`, wherever it can be said exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from fclocal.functions import Json, JsonObject
from fclocal.grammar.keywords import ASSERTIONS, TYPES, as_list, as_names, as_number
from fclocal.grammar.source import Conjunction, Place, Source

# Ways to satisfy something: any one of these conjunctions. No way at all is false, one empty conjunction is true.
Ways: TypeAlias = "tuple[Conjunction, ...]"

MAX_WAYS = 48
MAX_STEPS = 12

# Keywords of our own, for what JSON Schema can say only by a negation.
EXCLUDED = "fclocal:excluded"
ABSENT = "fclocal:absent"


def negate(source: Source, place: Place, *, whole: bool = False, steps: int = MAX_STEPS) -> Ways | None:
    """The ways for a value not to satisfy `place`, or None when they cannot all be said.

    `whole` says that numbers here are whole ones anyway.
    """
    if steps == 0:
        return None
    schema = place.schema
    if source.legacy and "$ref" in schema:
        return negate(source, source.target(place, "$ref"), whole=whole, steps=steps - 1)
    ways: list[Conjunction] = []
    for keyword, value in schema.items():
        if keyword not in ASSERTIONS and keyword != EXCLUDED and keyword != ABSENT:
            continue
        found = _negate_keyword(source, place, keyword, value, whole, steps)
        if found is None or len(ways) + len(found) > MAX_WAYS:
            return None
        ways.extend(found)
    return tuple(ways)


def _negate_keyword(source: Source, place: Place, keyword: str, value: Json, whole: bool, steps: int) -> Ways | None:
    match keyword:
        case "$ref" | "$dynamicRef" | "$recursiveRef":
            return negate(source, source.target(place, keyword), whole=whole, steps=steps - 1)
        case "not":
            return ((source.child(place, "not"),),)
        case "allOf":
            inner = [negate(source, part, whole=whole, steps=steps - 1) for part in _parts(source, place, "allOf")]
            return None if None in inner else tuple(way for ways in inner if ways is not None for way in ways)
        case "anyOf":
            return _all_of(
                [negate(source, part, whole=whole, steps=steps - 1) for part in _parts(source, place, "anyOf")]
            )
        case "properties" if isinstance(value, Mapping):
            return tuple(_other_value(source, place, name) for name in value)
        case "required":
            return tuple(
                (_made(source, place, {"type": "object", ABSENT: [name]}, keyword, name),) for name in as_names(value)
            )
        case "if":
            return None if "then" in place.schema or "else" in place.schema else ()
        case "items" if value is True or value == {}:
            return ()
        case "items" if isinstance(value, bool | Mapping) and "prefixItems" not in place.schema:
            return ((_made(source, place, {"type": "array", "contains": {"not": value}}, keyword),),)
        case "contains" if not place.schema.keys() & {"minContains", "maxContains"}:
            return ((_made(source, place, {"type": "array", "items": {"not": value}}, keyword),),)
        case "dependentRequired" if isinstance(value, Mapping):
            return tuple(
                (_made(source, place, {"type": "object", "required": [name], ABSENT: [needed]}, keyword, name, needed),)
                for name, entry in value.items()
                for needed in as_names(entry)
            )
    opposite = _opposite(place.schema, keyword, value, whole=whole)
    return None if opposite is None else tuple((_made(source, place, schema, keyword),) for schema in opposite)


def _opposite(schema: JsonObject, keyword: str, value: Json, *, whole: bool) -> tuple[JsonObject, ...] | None:
    """Plain schemas, any of which contradicts this one keyword."""
    number = as_number(value)
    match keyword:
        case "type":
            names = {value} if isinstance(value, str) else set(as_names(value))
            if "integer" in names and "number" not in names:
                if not whole:
                    return None
                names.add("number")
            rest = [name for name in TYPES if name not in names and name != "integer"]
            return ({"type": rest},) if rest else ()
        case "const":
            return ({EXCLUDED: [value]},)
        case "enum":
            return ({EXCLUDED: as_list(value)},)
        case "fclocal:excluded":
            return ({"enum": as_list(value)},)
        case "fclocal:absent":
            return ({"type": "object", "required": as_list(value)},)
        case "minimum" if number is not None and schema.get("exclusiveMinimum") is not True:
            return ({"type": "number", "exclusiveMaximum": number},)
        case "maximum" if number is not None and schema.get("exclusiveMaximum") is not True:
            return ({"type": "number", "exclusiveMinimum": number},)
        case "exclusiveMinimum" if number is not None:
            return ({"type": "number", "maximum": number},)
        case "exclusiveMaximum" if number is not None:
            return ({"type": "number", "minimum": number},)
        case "minLength" | "minItems" | "minProperties" if number is not None:
            kind, other = _COUNTED[keyword]
            return ({"type": kind, other: number - 1},) if number > 0 else ()
        case "maxLength" | "maxItems" | "maxProperties" if number is not None:
            kind, other = _COUNTED[keyword]
            return ({"type": kind, other: number + 1},)
        case "uniqueItems" if value is False:
            return ()
        case _:
            return None


def _other_value(source: Source, place: Place, name: str) -> Conjunction:
    """The object has the key, and its value is not what this schema says."""
    inner = place.schema["properties"]
    assert isinstance(inner, Mapping)
    schema: JsonObject = {"type": "object", "required": [name], "properties": {name: {"not": inner[name]}}}
    return (_made(source, place, schema, "properties", name),)


def _parts(source: Source, place: Place, keyword: str) -> list[Place]:
    return [source.child(place, keyword, str(index)) for index in range(len(as_list(place.schema[keyword])))]


def _all_of(parts: list[Ways | None]) -> Ways | None:
    """Every part at once: the product of their ways."""
    ways: Ways = ((),)
    for part in parts:
        if part is None or len(ways) * len(part) > MAX_WAYS:
            return None
        ways = tuple(left + right for left in ways for right in part)
    return ways


def _made(source: Source, place: Place, schema: JsonObject, *path: str) -> Place:
    make: Callable[[], JsonObject] = lambda: schema  # noqa: E731  # one expression, used once
    return source.made(place, f"not {path} {schema if path[0] not in _INNER else ''}", make, path[0])


_INNER = frozenset({"properties", "items", "contains"})
_COUNTED = {
    "minLength": ("string", "maxLength"),
    "minItems": ("array", "maxItems"),
    "minProperties": ("object", "maxProperties"),
    "maxLength": ("string", "minLength"),
    "maxItems": ("array", "minItems"),
    "maxProperties": ("object", "minProperties"),
}
