"""What a model is told about a function."""

from __future__ import annotations

import pytest

from fclocal.dialects.shown import shown
from fclocal.functions import Function, Json, JsonObject, from_json, from_metadata


def described(schema: Json, *, required: bool = True, definitions: JsonObject | None = None) -> JsonObject:
    parameters: dict[str, Json] = {"type": "object", "properties": {"x": schema}, "$defs": definitions or {}}
    if required:
        parameters["required"] = ["x"]
    arguments = shown(Function("f", "", parameters))["arguments"]
    assert isinstance(arguments, list)
    (argument,) = arguments
    return dict(argument)


def test_card_form_goes_verbatim() -> None:
    metadata: JsonObject = {
        "function": "f",
        "description": "d",
        "arguments": [{"type": "string", "name": "a", "enum": ["x"], "extra": [1]}, {"name": "b"}],
        "version": 2,
    }
    assert shown(from_metadata(metadata, origin="t")) == metadata


def test_stated_arguments_say_so_and_the_others_stay() -> None:
    metadata: JsonObject = {
        "function": "f",
        "description": "",
        "arguments": [
            {"name": "a", "type": "string", "description": "City", "required": True},
            {"name": "b", "type": "string", "description": "Unit", "enum": ["C", "F"], "default": "C"},
            {"name": "c", "type": "integer", "description": "", "required": False},
            {"name": "d", "type": "string", "enum": ["x"], "description": "Verbatim"},
        ],
    }
    assert shown(from_metadata(metadata, origin="t"))["arguments"] == [
        {"name": "a", "type": "string", "description": "City (required)"},
        {"name": "b", "type": "string", "description": 'Unit (optional; default "C"; one of "C", "F")'},
        {"name": "c", "type": "integer", "description": "(optional)"},
        {"name": "d", "type": "string", "enum": ["x"], "description": "Verbatim"},
    ]


def test_openai_arguments_all_say_so() -> None:
    tool: JsonObject = {
        "type": "function",
        "function": {
            "name": "f",
            "description": "Weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "The city"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                    "tags": {"type": "array", "items": {"type": "string"}, "description": "标签"},
                },
                "required": ["city"],
            },
        },
    }
    assert shown(from_json(tool, origin="t")) == {
        "function": "f",
        "description": "Weather",
        "arguments": [
            {"name": "city", "type": "string", "description": "The city (required)"},
            {
                "name": "unit",
                "type": "string",
                "description": '(optional; default "celsius"; one of "celsius", "fahrenheit")',
            },
            {"name": "tags", "type": "array", "description": "标签 (optional)", "items": {"type": "string"}},
        ],
    }


@pytest.mark.parametrize(
    ("schema", "type_words", "description"),
    [
        ({"type": ["string", "null"]}, "string or null", "(required)"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "N"}, "integer or null", "N (required)"),
        ({"enum": ["a", 1, None]}, "string or integer or null", '(required; one of "a", 1, null)'),
        ({"const": "only"}, "string", '(required; one of "only")'),
        ({}, "any", "(required)"),
        (True, "any", "(required)"),
        ({"$ref": "#/$defs/Size"}, "string", 'How big (required; one of "S", "L")'),
        ({"$ref": "#/$defs/Size", "description": "Mine"}, "string", 'Mine (required; one of "S", "L")'),
        (
            {"allOf": [{"$ref": "#/$defs/Size"}], "default": "S"},
            "string",
            'How big (required; default "S"; one of "S", "L")',
        ),
        (
            {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]},
            "string or null",
            '(required; one of "S", "L", null)',
        ),
        ({"$ref": "#/$defs/Missing"}, "any", "(required)"),
        ({"$ref": "#/$defs/Loop"}, "any", "(required)"),
        ({"properties": {}}, "object", "(required)"),
        ({"type": "boolean", "default": False}, "boolean", "(required; default false)"),
        ({"type": "string", "default": None}, "string", "(required; default null)"),
    ],
)
def test_types_and_choices(schema: Json, type_words: str, description: str) -> None:
    definitions: JsonObject = {
        "Size": {"type": "string", "enum": ["S", "L"], "description": "How big"},
        "Loop": {"$ref": "#/$defs/Loop"},
    }
    argument = described(schema, definitions=definitions)
    assert (argument["type"], argument["description"]) == (type_words, description)


def test_objects_show_their_properties() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"street": {"type": "string", "description": "S"}, "zip": {"$ref": "#/$defs/Zip"}},
        "required": ["zip"],
    }
    argument = described(schema, definitions={"Zip": {"type": "string", "pattern": "[0-9]+", "title": "Zip"}})
    assert argument["properties"] == {"street": {"type": "string", "description": "S"}, "zip": {"type": "string"}}
    assert argument["required"] == ["zip"]


def test_recursive_schemas_end() -> None:
    tree: JsonObject = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/T"}}}}
    assert len(str(described({"$ref": "#/$defs/T"}, definitions={"T": tree}))) < 2_000


def test_full_schema_beside_the_list_is_not_shown() -> None:
    parameters: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}, "minProperties": 1}
    metadata: JsonObject = {"function": "f", "description": "d", "arguments": [{"name": "a"}], "parameters": parameters}
    assert shown(from_metadata(metadata, origin="t")) == {
        "function": "f",
        "description": "d",
        "arguments": [{"name": "a"}],
    }


def test_arguments_by_name_become_a_list() -> None:
    metadata: JsonObject = {"function": "f", "description": "", "arguments": {"a": {"type": "string"}}}
    assert shown(from_metadata(metadata, origin="t"))["arguments"] == [{"name": "a", "type": "string"}]
