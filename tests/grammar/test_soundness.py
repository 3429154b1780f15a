"""Generated schemas: whatever the grammar writes is valid, or the schema was said not to be enforced in full.

Two validators that are not ours judge the values.
"""

from __future__ import annotations

import json
import random

import jsonschema
import jsonschema_rs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fclocal.functions import Json
from fclocal.grammar.check import Problem, check, parse_value
from fclocal.grammar.draw import draw
from fclocal.grammar.schema import BrokenSchema, CompiledSchema, compile_value
from tests.grammar.walks import value_grammar, walk

LITERALS: list[Json] = [None, True, False, 0, 1, -1, 2, 1.5, "", "a", "b", "ab", [], [1], {}, {"a": 1}]
PATTERNS = ["^a", "b$", "^[ab]+$", "a.b", "^(x|y)*$", "\\d", "^\\S+$", "(a|b){2}"]
NAMES = st.sampled_from("abcd")

literals = st.sampled_from(LITERALS)
scalars: st.SearchStrategy[Json] = st.one_of(
    st.builds(lambda kind: {"type": kind}, st.sampled_from(["string", "integer", "number", "boolean", "null"])),
    st.builds(lambda values: {"enum": values}, st.lists(literals, min_size=1, max_size=4)),
    st.builds(lambda value: {"const": value}, literals),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    st.builds(
        lambda kind, low, high, at, to: {"type": kind, at: low, to: high},
        st.sampled_from(["integer", "number"]),
        st.integers(-3, 3),
        st.integers(2, 6),
        st.sampled_from(["minimum", "exclusiveMinimum"]),
        st.sampled_from(["maximum", "exclusiveMaximum"]),
    ),
    st.builds(lambda pattern: {"type": "string", "pattern": pattern}, st.sampled_from(PATTERNS)),
    st.builds(lambda step: {"multipleOf": step}, st.sampled_from([2, 3, 0.5])),
    st.builds(
        lambda name: {"type": "string", "format": name}, st.sampled_from(["date", "uuid", "email", "ipv4", "time"])
    ),
    st.sampled_from([True, {}, {"minLength": 1}, {"maxItems": 1}, {"required": ["a"]}, {"minimum": -1}]),
)


def _composites(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    some = st.lists(inner, min_size=1, max_size=3)
    properties = st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(_object, properties, st.sets(NAMES), st.one_of(st.none(), st.booleans(), inner)),
        st.builds(lambda keyword, parts: {keyword: parts}, st.sampled_from(["anyOf", "oneOf", "allOf"]), some),
        st.builds(lambda schema: {"not": schema}, inner),
        st.builds(lambda one, two, three: {"if": one, "then": two, "else": three}, inner, inner, inner),
        st.builds(lambda item, low: {"type": "array", "items": item, "minItems": low}, inner, st.integers(0, 2)),
        st.builds(lambda item: {"type": "array", "items": item, "uniqueItems": True}, inner),
        st.builds(lambda item, wanted: {"type": "array", "items": item, "contains": wanted}, inner, inner),
        st.builds(lambda first, rest: {"type": "array", "prefixItems": first, "items": rest}, some, inner),
        st.builds(lambda first: {"type": "array", "prefixItems": first, "unevaluatedItems": False}, some),
        st.builds(
            lambda props, low: {"type": "object", "properties": props, "minProperties": low, "maxProperties": 2},
            properties,
            st.integers(0, 2),
        ),
        st.builds(
            lambda value, low: {"type": "object", "additionalProperties": value, "minProperties": low},
            inner,
            st.integers(0, 2),
        ),
        st.builds(lambda props: {"type": "object", "properties": props, "dependentRequired": {"a": ["b"]}}, properties),
        st.builds(
            lambda props, then: {"type": "object", "properties": props, "dependentSchemas": {"b": then}},
            properties,
            inner,
        ),
        st.builds(
            lambda one, two: {
                "allOf": [{"properties": {"a": one}}, {"properties": {"b": two}}],
                "unevaluatedProperties": False,
            },
            inner,
            inner,
        ),
        st.builds(
            lambda one, two: {"patternProperties": {"^a": one, "b$": two}, "properties": {"ab": {}}}, inner, inner
        ),
        st.builds(lambda names, value: {"propertyNames": names, "additionalProperties": value}, inner, inner),
        st.builds(lambda one, two: {**_as_object(one), **_as_object(two)}, inner, inner),
    )


def _object(properties: dict[str, Json], required: set[str], others: Json) -> Json:
    schema: dict[str, Json] = {"type": "object", "properties": properties, "required": sorted(required)}
    return schema if others is None else {**schema, "additionalProperties": others}


def _as_object(schema: Json) -> dict[str, Json]:
    return schema if isinstance(schema, dict) else {}


schemas = st.recursive(scalars, _composites, max_leaves=8).map(
    lambda found: {"allOf": [found]} if isinstance(found, bool) else found
)
quiet = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def written(compiled: CompiledSchema) -> list[Json]:
    """Values that the grammar writes and the shape draws; those with a key twice are refused before any schema."""
    lark = value_grammar(compiled)
    found: list[Json] = [compiled.minimal, *(draw(compiled.shape, random.Random(seed)) for seed in range(3))]
    for seed in range(3):
        value = parse_value(walk(lark, seed))
        if isinstance(value, Problem):
            assert "twice" in value.sentence, value
        else:
            found.append(value)
    return found


@quiet
@given(schemas)
def test_what_the_grammar_writes_is_valid(schema: dict[str, Json]) -> None:
    try:
        compiled = compile_value(schema)
    except BrokenSchema:
        return
    values = written(compiled)
    if compiled.enforced != "full":
        return
    fast = jsonschema_rs.validator_for(schema, validate_formats=True)
    for value in values:
        assert check(value, schema) == (), value
        assert jsonschema.Draft202012Validator(schema).is_valid(value), value
        assert fast.is_valid(value), value


@quiet
@given(schemas, st.lists(st.one_of(literals, st.dictionaries(NAMES, literals, max_size=3)), max_size=20))
def test_the_check_agrees_with_others_and_no_satisfiable_schema_is_set_aside(
    schema: dict[str, Json], values: list[Json]
) -> None:
    stock = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    fast = jsonschema_rs.validator_for(schema, validate_formats=True)
    verdicts = [check(value, schema) == () for value in values]
    for value, verdict in zip(values, verdicts, strict=True):
        others = {stock.is_valid(value), fast.is_valid(value)}
        assert verdict in others, value
    try:
        compile_value(schema)
    except BrokenSchema:
        assert not any(verdicts)


@quiet
@given(schemas)
def test_the_same_schema_always_compiles_to_the_same_grammar(schema: dict[str, Json]) -> None:
    text = json.dumps(schema)
    try:
        first = compile_value(json.loads(text))
    except BrokenSchema:
        return
    compile_value.__globals__["_compile"].cache_clear()
    assert compile_value(json.loads(text)) == first
