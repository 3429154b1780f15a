"""Which dialect of JSON Schema a schema is written in, and validators for it that are safe to run on foreign schemas.

Patterns run on RE2, formats are our own, remote references are never fetched, and the number of steps is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias, cast

from jsonschema import validators
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it ships no types
from referencing.exceptions import Unresolvable

from fclocal.functions import Json, JsonObject
from fclocal.grammar.formats import CHECKS, INTEGER_RANGES
from fclocal.grammar.keywords import draft
from fclocal.grammar.patterns import searcher
from fclocal.grammar.source import Place

MAX_STEPS = 20_000
MAX_NESTED = 170

Keyword: TypeAlias = Callable[[Validator, Json, Json, JsonObject], "Iterator[ValidationError] | None"]


@dataclass(slots=True)
class _Effort:
    """What a check has cost so far: keywords evaluated, and how many stand inside one another now."""

    steps: int = 0
    depth: int = 0


_effort: ContextVar[_Effort] = ContextVar("_effort")


class TooManySteps(Exception):
    """A schema whose check would take too long."""


class EndlessReference(Exception):
    """A schema that leads back to itself without looking at another value."""


def bounded_validator(schema: Json) -> Validator:
    """A validator of `schema` in the draft it is written in; call `start_counting` before it is used."""
    return _build(draft(schema))(schema, registry=REGISTRY)


def place_accepts(place: Place, value: Json, *, uri: str) -> bool:
    """Whether a value is valid at one place, not counting `enum` and `const`, as far as that can be told."""
    start_counting()
    schema = {keyword: entry for keyword, entry in place.schema.items() if keyword not in ("enum", "const")}
    try:
        return bool(_build(uri)(schema, registry=REGISTRY, _resolver=place.resolver).is_valid(value))
    except (TooManySteps, EndlessReference, RecursionError, Unresolvable):
        return False


def start_counting() -> None:
    """Begin a check in this context: at most MAX_STEPS keywords are evaluated until the next call."""
    _effort.set(_Effort())


@lru_cache(maxsize=8)
def _build(uri: str) -> Callable[..., Validator]:
    """The bounded validator class of a draft; that of 2020-12 for an unknown one."""
    stock = validators.validator_for({"$schema": uri}, default=validators.Draft202012Validator)
    if stock is validators.Draft3Validator:
        stock = validators.Draft4Validator
    keywords = {name: _counted(keyword) for name, keyword in {**stock.VALIDATORS, **_SAFE}.items()}
    if "unevaluatedProperties" not in stock.VALIDATORS:
        del keywords["unevaluatedProperties"]
    return cast("Callable[..., Validator]", validators.extend(stock, keywords))  # type: ignore[no-untyped-call]  # its stubs lack a type


def _counted(keyword: Keyword) -> Keyword:
    def check(validator: Validator, value: Json, instance: Json, schema: JsonObject) -> Iterator[ValidationError]:
        effort = _effort.get()
        effort.steps += 1
        if effort.steps > MAX_STEPS:
            raise TooManySteps
        if effort.depth >= MAX_NESTED:
            raise EndlessReference
        effort.depth += 1
        try:
            yield from keyword(validator, value, instance, schema) or ()
        finally:
            effort.depth -= 1

    return check


def _pattern(_: Validator, pattern: Json, instance: Json, __: JsonObject) -> Iterator[ValidationError]:
    if not isinstance(instance, str) or not isinstance(pattern, str):
        return
    search = searcher(pattern)
    if search is not None and not search(instance):
        yield ValidationError(f"{_short(instance)} does not match the pattern {_short(pattern)}")


def _format(_: Validator, name: Json, instance: Json, __: JsonObject) -> Iterator[ValidationError]:
    if not isinstance(name, str):
        return
    if isinstance(instance, str) and name in CHECKS and not CHECKS[name](instance):
        yield ValidationError(f"{_short(instance)} is not a valid {name}")
    if isinstance(instance, int) and not isinstance(instance, bool) and name in INTEGER_RANGES:
        low, high = INTEGER_RANGES[name]
        if not low <= instance <= high:
            yield ValidationError(f"{_short(instance)} does not fit into {name}")


def _minimum(validator: Validator, bound: Json, instance: Json, schema: JsonObject) -> Iterator[ValidationError]:
    """In draft 4 `exclusiveMinimum` is true or false and says how `minimum` is meant."""
    keyword = _EXCLUSIVE_MINIMUM if schema.get("exclusiveMinimum") is True else _MINIMUM
    yield from keyword(validator, bound, instance, schema) or ()


def _maximum(validator: Validator, bound: Json, instance: Json, schema: JsonObject) -> Iterator[ValidationError]:
    keyword = _EXCLUSIVE_MAXIMUM if schema.get("exclusiveMaximum") is True else _MAXIMUM
    yield from keyword(validator, bound, instance, schema) or ()


def _exclusive_minimum(
    validator: Validator, bound: Json, instance: Json, schema: JsonObject
) -> Iterator[ValidationError]:
    if not isinstance(bound, bool):
        yield from _EXCLUSIVE_MINIMUM(validator, bound, instance, schema) or ()


def _exclusive_maximum(
    validator: Validator, bound: Json, instance: Json, schema: JsonObject
) -> Iterator[ValidationError]:
    if not isinstance(bound, bool):
        yield from _EXCLUSIVE_MAXIMUM(validator, bound, instance, schema) or ()


def _items(validator: Validator, items: Json, instance: Json, schema: JsonObject) -> Iterator[ValidationError]:
    """Older drafts list the schemas of the first items here."""
    keyword = _LISTED_ITEMS if isinstance(items, Sequence) else _ALL_ITEMS
    yield from keyword(validator, items, instance, schema) or ()


def _additional_items(
    validator: Validator, additional: Json, instance: Json, schema: JsonObject
) -> Iterator[ValidationError]:
    if isinstance(schema.get("items"), Sequence):
        yield from _ADDITIONAL_ITEMS(validator, additional, instance, schema) or ()


def _multiple_of(_: Validator, step: Json, instance: Json, __: JsonObject) -> Iterator[ValidationError]:
    """Exact in decimal: 0.3 is a multiple of 0.1."""
    numbers = [value for value in (instance, step) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2:
        return
    rest = Fraction(str(numbers[0])) % Fraction(str(numbers[1]))
    if rest:
        yield ValidationError(f"{_short(instance)} is not a multiple of {step}")


def _extras(instance: Mapping[str, Json], schema: JsonObject) -> list[str]:
    declared = schema.get("properties")
    patterns = schema.get("patternProperties")
    names = declared if isinstance(declared, Mapping) else {}
    found = [searcher(pattern) for pattern in patterns] if isinstance(patterns, Mapping) else []
    return [key for key in instance if key not in names and not any(search and search(key) for search in found)]


def _additional_properties(
    validator: Validator, additional: Json, instance: Json, schema: JsonObject
) -> Iterator[ValidationError]:
    if not isinstance(instance, Mapping):
        return
    for key in _extras(instance, schema):
        if additional is False:
            yield ValidationError(f"{_short(key)} is not one of the arguments here")
        elif additional is not True:
            yield from validator.descend(instance[key], additional, path=key)  # type: ignore[attr-defined]  # not in the protocol


def _pattern_properties(
    validator: Validator, patterns: Json, instance: Json, _: JsonObject
) -> Iterator[ValidationError]:
    if not isinstance(instance, Mapping) or not isinstance(patterns, Mapping):
        return
    for pattern, subschema in patterns.items():
        search = searcher(pattern)
        for key in instance if search else ():
            if search and search(key):
                yield from validator.descend(instance[key], subschema, path=key, schema_path=pattern)  # type: ignore[attr-defined]  # not in the protocol


def _unevaluated_properties(
    validator: Validator, unevaluated: Json, instance: Json, schema: JsonObject
) -> Iterator[ValidationError]:
    if not isinstance(instance, Mapping):
        return
    others = {keyword: value for keyword, value in schema.items() if keyword != "unevaluatedProperties"}
    seen = _evaluated(validator, instance, others)
    for key in instance:
        if key in seen:
            continue
        for _ in validator.descend(instance[key], unevaluated, path=key):  # type: ignore[attr-defined]  # not in the protocol
            yield ValidationError(f"{_short(key)} is not one of the arguments here", path=(key,))
            break


def _evaluated(validator: Validator, instance: Mapping[str, Json], schema: Json) -> set[str]:
    """Keys of `instance` that some matching subschema at this very place speaks about."""
    if not isinstance(schema, Mapping):
        return set()
    seen: set[str] = set()
    for reference in ("$ref", "$dynamicRef", "$recursiveRef"):
        if isinstance(schema.get(reference), str):
            resolver = validator._resolver  # type: ignore[attr-defined]  # jsonschema keeps it private, its keywords use it
            resolved = resolver.lookup(schema[reference])
            inner = validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
            seen |= _evaluated(inner, instance, resolved.contents)
    for keyword in ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties"):
        if keyword in schema:
            seen |= _spoken_of(keyword, schema, instance)
    for subschema in _applied(validator, instance, schema):
        seen |= _evaluated(validator.evolve(schema=subschema), instance, subschema)
    return seen


def _spoken_of(keyword: str, schema: JsonObject, instance: Mapping[str, Json]) -> set[str]:
    names = schema[keyword]
    if keyword == "properties" and isinstance(names, Mapping):
        return instance.keys() & names.keys()
    if keyword == "patternProperties" and isinstance(names, Mapping):
        searches = [searcher(pattern) for pattern in names]
        return {key for key in instance if any(search and search(key) for search in searches)}
    if keyword == "additionalProperties":
        return set(_extras(instance, schema))
    return set(instance)


def _applied(validator: Validator, instance: Mapping[str, Json], schema: JsonObject) -> Iterator[Json]:
    """Subschemas that apply to the same instance and accept it."""
    for keyword in ("allOf", "anyOf", "oneOf"):
        for subschema in _list(schema.get(keyword)):
            if _accepts(validator, instance, subschema):
                yield subschema
    if "if" in schema:
        holds = _accepts(validator, instance, schema["if"])
        if holds:
            yield schema["if"]
        yield schema.get("then" if holds else "else", True)
    dependent = schema.get("dependentSchemas")
    if isinstance(dependent, Mapping):
        yield from (subschema for key, subschema in dependent.items() if key in instance)


def _accepts(validator: Validator, instance: Json, schema: Json) -> bool:
    return next(validator.evolve(schema=schema).iter_errors(instance), None) is None


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"


_OLDER = validators.Draft201909Validator.VALIDATORS
_LISTED_ITEMS: Keyword = _OLDER["items"]
_ALL_ITEMS: Keyword = validators.Draft202012Validator.VALIDATORS["items"]
_ADDITIONAL_ITEMS: Keyword = _OLDER["additionalItems"]
_MINIMUM: Keyword = _OLDER["minimum"]
_MAXIMUM: Keyword = _OLDER["maximum"]
_EXCLUSIVE_MINIMUM: Keyword = _OLDER["exclusiveMinimum"]
_EXCLUSIVE_MAXIMUM: Keyword = _OLDER["exclusiveMaximum"]

_SAFE: dict[str, Keyword] = {
    "pattern": _pattern,
    "format": _format,
    "multipleOf": _multiple_of,
    "additionalProperties": _additional_properties,
    "patternProperties": _pattern_properties,
    "unevaluatedProperties": _unevaluated_properties,
    "dependencies": validators.Draft7Validator.VALIDATORS["dependencies"],
    "items": _items,
    "additionalItems": _additional_items,
    "minimum": _minimum,
    "maximum": _maximum,
    "exclusiveMinimum": _exclusive_minimum,
    "exclusiveMaximum": _exclusive_maximum,
}
