"""Which dialect of JSON Schema a schema is written in, and validators for it that are safe to run on foreign schemas.

Patterns run on RE2, formats are our own, remote references are never fetched, and the number of steps is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TypeAlias, cast

import referencing
import referencing.exceptions
import referencing.jsonschema
from jsonschema import validators
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it ships no types

from fclocal.functions import Json, JsonObject
from fclocal.grammar.formats import CHECKS, INTEGER_RANGES
from fclocal.grammar.patterns import searcher

MAX_STEPS = 50_000

Keyword: TypeAlias = Callable[[Validator, Json, Json, JsonObject], "Iterator[ValidationError] | None"]
_steps: ContextVar[int] = ContextVar("_steps", default=0)


class TooManySteps(Exception):
    """A schema whose check would take too long."""


def validator_class(schema: Json) -> type[Validator]:
    """The bounded validator for the schema's `$schema`; draft 2020-12 when it has none or an unknown one."""
    default = validators.Draft202012Validator
    stock = validators.validator_for(schema, default=default) if isinstance(schema, Mapping) else default
    return _bounded(default if stock is validators.Draft3Validator else stock)


def bounded_validator(schema: Json) -> Validator:
    """A validator of `schema` that fetches nothing; call `start_counting` before it is used."""
    build = cast("Callable[..., Validator]", validator_class(schema))
    return build(schema, registry=REGISTRY)


def specification(schema: Json) -> referencing.Specification[Json]:
    """How references of the schema are read."""
    uri = validator_class(schema).META_SCHEMA.get("$schema", "")
    return cast(
        "referencing.Specification[Json]",
        referencing.jsonschema.specification_with(str(uri), default=referencing.jsonschema.DRAFT202012),
    )


def registry() -> referencing.Registry[Json]:
    """Only the metaschemas themselves: a reference to anything else does not resolve."""
    return cast("referencing.Registry[Json]", REGISTRY)


def start_counting() -> None:
    """Begin a check in this context: at most MAX_STEPS keyword evaluations until the next call."""
    _steps.set(0)


@lru_cache(maxsize=8)
def _bounded(stock: type[Validator]) -> type[Validator]:
    keywords = {name: _counted(keyword) for name, keyword in {**stock.VALIDATORS, **_SAFE}.items()}
    if "unevaluatedProperties" not in stock.VALIDATORS:
        del keywords["unevaluatedProperties"]
    return cast("type[Validator]", validators.extend(stock, keywords))  # type: ignore[no-untyped-call]  # its stubs lack a type


def _counted(keyword: Keyword) -> Keyword:
    def check(validator: Validator, value: Json, instance: Json, schema: JsonObject) -> Iterator[ValidationError]:
        taken = _steps.get() + 1
        if taken > MAX_STEPS:
            raise TooManySteps
        _steps.set(taken)
        yield from keyword(validator, value, instance, schema) or ()

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


def _multiple_of(_: Validator, step: Json, instance: Json, __: JsonObject) -> Iterator[ValidationError]:
    """Exact in decimal: 0.3 is a multiple of 0.1."""
    numbers = [value for value in (instance, step) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2:
        return
    try:
        rest = Decimal(str(instance)) % Decimal(str(step))
    except InvalidOperation:
        rest = Decimal(int(numbers[0]) % int(numbers[1])) if int(numbers[1]) == numbers[1] else Decimal(0)
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
    seen = _evaluated(validator, instance, schema)
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


_SAFE: dict[str, Keyword] = {
    "pattern": _pattern,
    "format": _format,
    "multipleOf": _multiple_of,
    "additionalProperties": _additional_properties,
    "patternProperties": _pattern_properties,
    "unevaluatedProperties": _unevaluated_properties,
}
