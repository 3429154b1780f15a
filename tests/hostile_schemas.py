"""More than a hundred parameter schemas of every kind: nested, recursive, odd keywords, free strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Schema = Mapping[str, object]

STRING = {"type": "string"}
INTEGER = {"type": "integer"}

# Schemas of single arguments, several of which make an object below.
VALUES: tuple[Schema, ...] = (
    STRING,
    {"type": "string", "minLength": 3, "maxLength": 8},
    {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
    {"type": "string", "pattern": "(a+)+b"},
    {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,2})?$"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "time"},
    {"type": "string", "format": "email"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "ipv4"},
    {"type": "string", "format": "no-such-format"},
    {"enum": ["red", "green", "blue"]},
    {"enum": [1, "one", None, True, 2.5, ["x"], {"k": "v"}]},
    {"const": "fixed"},
    {"const": {"a": [1, 2, {"b": None}]}},
    INTEGER,
    {"type": "integer", "minimum": -5, "maximum": 5},
    {"type": "integer", "exclusiveMinimum": 0, "multipleOf": 7, "maximum": 70},
    {"type": "number"},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "multipleOf": 0.5, "minimum": 0, "maximum": 10},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"type": ["integer", "string", "boolean"]},
    {"type": "array", "items": STRING},
    {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": {"enum": ["a", "b", "c", "d"]}, "uniqueItems": True},
    {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 3}, "uniqueItems": True, "minItems": 2},
    {"type": "array", "prefixItems": [STRING, INTEGER], "items": False, "minItems": 2},
    {"type": "array", "prefixItems": [{"type": "number"}], "items": {"type": "boolean"}},
    {"type": "array", "contains": {"const": "must"}, "items": {"enum": ["must", "may"]}},
    {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": INTEGER}}},
    {"type": "object", "properties": {"a": STRING, "b": INTEGER}, "required": ["a"]},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 1, "maxProperties": 3},
    {"type": "object", "patternProperties": {"^x_": STRING}, "additionalProperties": False},
    {"type": "object", "propertyNames": {"pattern": "^[a-z]{1,4}$"}, "additionalProperties": STRING},
    {"type": "object", "properties": {"a": INTEGER, "b": INTEGER}, "dependentRequired": {"a": ["b"]}},
    {"type": "object", "properties": {"a": INTEGER, "b": INTEGER, "c": INTEGER}, "minProperties": 2},
    {
        "type": "object",
        "properties": {
            "kind": {"enum": ["circle", "square"]},
            "radius": {"type": "number"},
            "side": {"type": "number"},
        },
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "circle"}}},
        "then": {"required": ["radius"]},
        "else": {"required": ["side"]},
    },
    {"anyOf": [STRING, INTEGER, {"type": "array", "items": STRING}]},
    {"oneOf": [{"type": "integer", "maximum": 3}, {"type": "string", "maxLength": 5}]},
    {"oneOf": [{"type": "integer", "multipleOf": 2}, {"type": "integer", "multipleOf": 3}]},
    {
        "oneOf": [
            {"type": "object", "properties": {"type": {"const": "a"}, "x": STRING}, "required": ["type", "x"]},
            {"type": "object", "properties": {"type": {"const": "b"}, "y": INTEGER}, "required": ["type", "y"]},
        ]
    },
    {"allOf": [{"type": "integer"}, {"minimum": 3}, {"maximum": 9}]},
    {"allOf": [{"type": "object", "properties": {"p": STRING}, "required": ["p"]}, {"properties": {"q": INTEGER}}]},
    {"type": "string", "not": {"enum": ["no", "never"]}},
    {"type": "integer", "not": {"const": 0}},
    {"not": {"type": "string"}},
    {"type": "object", "properties": {"a": STRING, "b": STRING}, "not": {"required": ["a", "b"]}},
    {},
    {"type": "string", "title": "T", "examples": ["x"], "$comment": "c", "deprecated": True, "readOnly": True},
    {"type": "string", "contentEncoding": "base64"},
)

WHOLE: tuple[Schema, ...] = (
    {"type": "object"},
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {}, "additionalProperties": False},
    {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "required": ["root"],
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"value": STRING, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                "required": ["value", "children"],
                "additionalProperties": False,
            }
        },
    },
    {
        "type": "object",
        "properties": {"list": {"$ref": "#/definitions/cell"}},
        "required": ["list"],
        "definitions": {
            "cell": {
                "anyOf": [
                    {"type": "null"},
                    {
                        "type": "object",
                        "properties": {"head": INTEGER, "tail": {"$ref": "#/definitions/cell"}},
                        "required": ["head", "tail"],
                    },
                ]
            }
        },
    },
    {
        "type": "object",
        "properties": {"expression": {"$ref": "#/$defs/e"}},
        "required": ["expression"],
        "$defs": {
            "e": {"oneOf": [{"type": "number"}, {"$ref": "#/$defs/binary"}]},
            "binary": {
                "type": "object",
                "properties": {
                    "op": {"enum": ["+", "-"]},
                    "left": {"$ref": "#/$defs/e"},
                    "right": {"$ref": "#/$defs/e"},
                },
                "required": ["op", "left", "right"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "object", "properties": {"me": {"$ref": "#"}}},
    {
        "type": "object",
        "properties": {'quo"te': STRING, "back\\slash": INTEGER, "é 中 🌧": STRING},
        "required": ['quo"te'],
    },
    {"type": "object", "properties": {f"p{i}": STRING for i in range(12)}},
    {"type": "object", "properties": {f"r{i}": INTEGER for i in range(12)}, "required": [f"r{i}" for i in range(12)]},
    {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"type": "array", "items": [STRING, INTEGER], "additionalItems": False}, "b": STRING},
        "dependencies": {"b": ["a"]},
    },
    {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}},
        "required": ["n"],
    },
    {
        "type": "object",
        "properties": {
            "deep": {"type": "object", "properties": {"er": {"type": "object", "properties": {"x": INTEGER}}}}
        },
        "required": ["deep"],
        "unevaluatedProperties": False,
    },
)


def schemas() -> Sequence[Schema]:
    """Every schema: each value alone, each with another one optional, and the whole ones."""
    alone: list[Schema] = [{"type": "object", "properties": {"v": value}, "required": ["v"]} for value in VALUES]
    pairs: list[Schema] = [
        {"type": "object", "properties": {"first": VALUES[-index - 1], "second": value}, "required": ["second"]}
        for index, value in enumerate(VALUES)
    ]
    return (*alone, *pairs, *WHOLE)
