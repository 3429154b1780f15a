"""The keywords of JSON Schema: which hold subschemas, which assert something, and what a well-formed value is.

The spellings of older drafts are read in every draft: schemas seldom say which one they follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fclocal.functions import Json, JsonObject

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"

MAX_LEVELS = 32

_ONE = (
    *("not", "if", "then", "else", "additionalProperties", "propertyNames", "contains", "additionalItems"),
    *("unevaluatedProperties", "unevaluatedItems"),
)
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions", "dependencies")

# Keywords that can refuse a value; everything else is an annotation, a location, or unknown.
ASSERTIONS = frozenset(
    {
        *("type", "enum", "const", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minLength", "maxLength", "pattern", "format", "items", "minItems", "maxItems", "uniqueItems", "required"),
        *("minProperties", "maxProperties", "properties", "patternProperties", "dependentRequired"),
        *("dependentSchemas", "dependencies", "$ref", "$dynamicRef", "$recursiveRef", *_ONE, *_MANY),
    }
) - {"then", "else"}


@dataclass(frozen=True, slots=True)
class Subschema:
    """A schema inside a schema: its path from the parent, and itself."""

    path: tuple[str, ...]
    schema: Json


def subschemas(schema: JsonObject) -> Iterator[Subschema]:
    """The schemas directly inside `schema`, wherever its keywords keep them."""
    for keyword, value in schema.items():
        if keyword in _ONE or (keyword == "items" and not _is_list(value)):
            yield Subschema((keyword,), value)
        elif (keyword in _MANY or keyword == "items") and _is_list(value):
            yield from (Subschema((keyword, str(index)), entry) for index, entry in enumerate(as_list(value)))
        elif keyword in _NAMED and isinstance(value, Mapping):
            for name, entry in value.items():
                if keyword != "dependencies" or not _is_list(entry):
                    yield Subschema((keyword, name), entry)


def fault(schema: Json) -> str | None:
    """Half a sentence on what makes this one schema (not those inside it) no schema, or None."""
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, Mapping):
        return f"{_show(schema)} stands where a schema must be"
    for keyword, value in schema.items():
        expected = _EXPECTED.get(keyword)
        if expected and not expected[0](value):
            return f"{keyword} must be {expected[1]}, not {_show(value)}"
    return None


def draft(schema: Json) -> str:
    """The metaschema that a schema says it follows; that of draft 2020-12 when it does not say."""
    stated = schema.get("$schema") if isinstance(schema, Mapping) else None
    return stated if isinstance(stated, str) else DRAFT_2020


def as_list(value: Json) -> Sequence[Json]:
    """`value` if it is a JSON array, else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def as_names(value: Json) -> tuple[str, ...]:
    """The strings of a JSON array."""
    return tuple(entry for entry in as_list(value) if isinstance(entry, str))


def as_number(value: Json) -> int | float | None:
    """`value` if it is a JSON number, else None."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_count(value: Json) -> int | None:
    """`value` as a count (2.0 is one, too), else None."""
    return int(value) if _is_count(value) and isinstance(value, int | float) else None


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_count(value: Json) -> bool:
    number = as_number(value)
    return number is not None and number >= 0 and number == int(number)


def _is_type(value: Json) -> bool:
    names = as_names(value) if _is_list(value) else (value,)
    return (
        len(names) > 0
        and all(name in TYPES for name in names)
        and (not _is_list(value) or len(names) == len(as_list(value)))
    )


def _are_names(value: Json) -> bool:
    return _is_list(value) and all(isinstance(entry, str) for entry in as_list(value))


def _is_dependencies(value: Json) -> bool:
    return isinstance(value, Mapping) and all(not _is_list(entry) or _are_names(entry) for entry in value.values())


def _show(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."


_Test = Callable[[Json], bool]
_COUNT: tuple[_Test, str] = (_is_count, "a whole number of at least 0")
_NUMBER: tuple[_Test, str] = (lambda value: as_number(value) is not None, "a number")
_TEXT: tuple[_Test, str] = (lambda value: isinstance(value, str), "a string")
_OBJECT: tuple[_Test, str] = (lambda value: isinstance(value, Mapping), "an object")
_SCHEMA: tuple[_Test, str] = (lambda value: isinstance(value, bool | Mapping), "a schema")
_SCHEMAS: tuple[_Test, str] = (lambda value: len(as_list(value)) > 0, "a list of schemas")
_LIMIT: tuple[_Test, str] = (lambda value: as_number(value) is not None or isinstance(value, bool), "a number")

_EXPECTED: Mapping[str, tuple[_Test, str]] = MappingProxyType(
    dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _COUNT)
    | dict.fromkeys(("minContains", "maxContains"), _COUNT)
    | dict.fromkeys(("minimum", "maximum"), _NUMBER)
    | dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), _LIMIT)
    | dict.fromkeys(("pattern", "format", "$ref", "$dynamicRef", "$recursiveRef", "$schema"), _TEXT)
    | dict.fromkeys(("$id", "id", "$anchor", "$dynamicAnchor"), _TEXT)
    | dict.fromkeys(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"), _OBJECT)
    | dict.fromkeys(_ONE, _SCHEMA)
    | dict.fromkeys(_MANY, _SCHEMAS)
    | {
        "type": (_is_type, f"one or more of {', '.join(TYPES)}"),
        "enum": (_is_list, "a list of values"),
        "required": (_are_names, "a list of names"),
        "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
        "multipleOf": (lambda value: (as_number(value) or 0) > 0, "a number above 0"),
        "items": (lambda value: isinstance(value, bool | Mapping) or _is_list(value), "a schema"),
        "dependentRequired": (
            lambda value: isinstance(value, Mapping) and all(map(_are_names, value.values())),
            "lists of names",
        ),
        "dependencies": (_is_dependencies, "schemas or lists of names"),
    }
)
