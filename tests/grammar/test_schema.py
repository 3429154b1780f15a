"""What the grammar leaves to the check, which limits it adds, and which schemas are set aside."""

from __future__ import annotations

import json

import pytest

from fclocal.functions import Json, from_openai
from fclocal.grammar.check import check
from fclocal.grammar.schema import BrokenSchema, compile_schema, compile_value, report
from tests.grammar.walks import admits, value_grammar, walk

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}

LEFT: list[tuple[Json, dict[str, str]]] = [
    ({"type": "array", "items": WHOLE, "uniqueItems": True}, {"/uniqueItems": "uniqueItems"}),
    ({"type": "string", "pattern": "^(?!foo)[a-z]+$"}, {"/pattern": "pattern"}),
    ({"type": "string", "pattern": "\\bfoo\\b"}, {"/pattern": "pattern"}),
    ({"type": "string", "format": "iri"}, {"/format": "format"}),
    ({"type": "number", "not": {"type": "integer"}}, {"/not": "not"}),
    ({"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]}, {"/oneOf": "oneOf"}),
    ({"type": "object", "properties": {"a": {"not": {"multipleOf": 2}}}}, {"/properties/a/not": "not"}),
]


@pytest.mark.parametrize(("schema", "left"), LEFT, ids=lambda value: json.dumps(value)[:60])
def test_what_a_grammar_cannot_hold_is_left_to_the_check_at_its_pointer(
    schema: dict[str, Json], left: dict[str, str]
) -> None:
    compiled = compile_value(schema)
    assert compiled.enforced == "partial"
    assert compiled.unenforced == left
    assert compiled.unchecked == {}


@pytest.mark.parametrize(
    ("schema", "unchecked"),
    [
        ({"type": "string", "format": "topic"}, {"/format": "format"}),
        ({"type": "string", "pattern": "(a)\\1"}, {"/pattern": "pattern"}),
        ({"type": "string", "pattern": "("}, {"/pattern": "pattern"}),
        ({"type": "object", "properties": {"a/b": {"pattern": "x(?=y)z"}}}, {"/properties/a~1b/pattern": "pattern"}),
    ],
)
def test_what_nobody_can_check_is_said(schema: dict[str, Json], unchecked: dict[str, str]) -> None:
    compiled = compile_value(schema)
    assert compiled.unchecked == unchecked
    assert compiled.enforced == "partial"


BROKEN: list[tuple[Json, str]] = [
    ({"type": "objekt"}, "type must be one or more of"),
    ({"type": "array"}, "its type is array, not object"),
    ({"type": "object", "properties": []}, "properties must be an object"),
    ({"type": "object", "properties": {"a": 3}}, "must be"),
    ({"type": "object", "properties": {"a": {"type": "string", "minLength": -1}}}, "minLength must be a whole number"),
    ({"type": "object", "required": "a"}, "required must be a list of names"),
    ({"type": "object", "properties": {"a": {"anyOf": []}}}, "anyOf must be a list of schemas"),
    ({"type": "object", "properties": {"a": {"enum": 3}}}, "enum must be a list"),
    ({"$ref": "#/nowhere"}, "which is not in it"),
    ({"properties": {"a": {"$ref": "https://example.org/schema.json"}}}, "which is not in it"),
    ({"$ref": "#"}, "leads back to itself"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "leads back to itself"),
    ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "leads back to itself"),
    ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "can satisfy it"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "can satisfy it"),
    (
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 10**6}}, "required": ["a"]},
        "can satisfy it",
    ),
]


@pytest.mark.parametrize(("schema", "reason"), BROKEN, ids=lambda value: str(value)[:60])
def test_broken_schemas_are_set_aside_with_their_reason(schema: dict[str, Json], reason: str) -> None:
    with pytest.raises(BrokenSchema) as caught:
        compile_schema(schema)
    assert reason in caught.value.reason
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    found = report(from_openai(tool, origin="test"))
    assert (found.status, found.reason) == ("set aside", caught.value.reason)


def nested(levels: int) -> dict[str, Json]:
    schema: dict[str, Json] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def test_nesting_is_bounded() -> None:
    assert compile_schema(nested(32)).enforced == "full"
    with pytest.raises(BrokenSchema, match="32 levels"):
        compile_schema(nested(33))
    with pytest.raises(BrokenSchema, match="32 levels"):
        compile_schema(nested(300))


def test_recursion_is_unrolled_a_few_levels_and_ends() -> None:
    tree: dict[str, Json] = {
        "type": "object",
        "properties": {"name": TEXT, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name", "children"],
    }
    compiled = compile_schema(tree)
    lark = value_grammar(compiled)
    leaf = '{"name": "", "children": []}'
    assert compiled.minimal == {"name": "", "children": []}
    assert admits(lark, '{"name": "", "children": [' + leaf + ", " + leaf + "]}")
    assert check(json.loads(walk(lark, 3)), tree) == ()


def test_limits_on_unbounded_values_are_noted() -> None:
    properties: Json = {
        "text": TEXT,
        "short": {"type": "string", "maxLength": 5},
        "tags": {"type": "array", "items": TEXT},
    }
    compiled = compile_schema({"type": "object", "properties": properties})
    assert compiled.caps == {
        "/properties/text/maxLength": 2000,
        "/properties/tags/maxItems": 64,
        "/properties/tags/items/maxLength": 2000,
    }
    lark = value_grammar(compiled)
    assert admits(lark, json.dumps({"text": "a" * 2000}))
    assert not admits(lark, json.dumps({"text": "a" * 2001}))


def test_an_object_without_declared_keys_stays_open_and_an_empty_list_of_arguments_is_meant() -> None:
    assert admits(value_grammar(compile_schema({"type": "object"})), '{"a": 1}')
    assert not admits(value_grammar(compile_schema({"type": "object", "properties": {}})), '{"a": 1}')
    nested_open: dict[str, Json] = {"type": "object", "properties": {"m": {"type": "object"}}}
    assert admits(value_grammar(compile_schema(nested_open)), '{"m": {"a": 1}}')


def test_equal_schemas_are_compiled_once() -> None:
    schema: dict[str, Json] = {"type": "object", "properties": {"once": {"type": "string", "maxLength": 77}}}
    assert compile_schema(schema) is compile_schema(json.loads(json.dumps(schema)))


def test_declared_order_is_kept_whatever_is_required() -> None:
    schema: dict[str, Json] = {"type": "object", "properties": {"z": WHOLE, "a": WHOLE}, "required": ["a", "z"]}
    lark = value_grammar(compile_schema(schema))
    assert admits(lark, '{"z": 1, "a": 2}')
    assert not admits(lark, '{"a": 2, "z": 1}')


def test_a_report_names_every_keyword_once() -> None:
    parameters: dict[str, Json] = {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date"},
            "tags": {"type": "array", "items": TEXT, "uniqueItems": True},
            "topic": {"type": "string", "format": "topic"},
        },
        "required": ["day"],
    }
    found = report(from_openai({"name": "f", "parameters": parameters}, origin="test"))
    assert (found.name, found.status) == ("f", "ok")
    assert found.checked == ("/properties/tags/uniqueItems",)
    assert found.refused == ("/properties/topic/format",)
    assert set(found.enforced) == {
        "/type",
        "/properties",
        "/required",
        "/properties/day/type",
        "/properties/day/format",
        "/properties/tags/type",
        "/properties/tags/items",
        "/properties/tags/items/type",
        "/properties/topic/type",
    }


def _at(schema: Json, pointer: str) -> Json:
    found = schema
    for part in pointer.split("/")[1:]:
        assert isinstance(found, dict | list)
        found = found[int(part)] if isinstance(found, list) else found[part.replace("~1", "/").replace("~0", "~")]
    return found


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": False, "properties": {"a": False, "b": {"items": False}}},
        {"type": "object", "properties": {}},
        {
            "type": "object",
            "properties": {"k": {"enum": ["a", "b"]}},
            "required": ["k"],
            "if": {"properties": {"k": {"const": "a"}}},
            "then": {"required": ["a"]},
        },
        {"type": "object", "properties": {"a": {"$ref": "#x"}}, "$defs": {"n": {"$anchor": "x", "not": {"const": 3}}}},
    ],
)
def test_a_report_points_only_at_what_the_schema_says(schema: Json) -> None:
    found = report(from_openai({"name": "f", "parameters": schema}, origin="test"))
    pointers = (*found.enforced, *found.checked, *found.refused)
    assert found.status == "ok" and pointers
    for pointer in pointers:
        _at(schema, pointer)
