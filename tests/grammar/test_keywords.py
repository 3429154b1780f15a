"""What the grammar admits for each keyword, and that no walk through it writes anything invalid."""

from __future__ import annotations

import json

import pytest

from fclocal.functions import Json
from fclocal.grammar.check import check
from fclocal.grammar.schema import compile_value
from tests.grammar.walks import admits, value_grammar, walk

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
CIRCLE: Json = {"type": "object", "properties": {"kind": {"const": "circle"}, "r": WHOLE}, "required": ["kind", "r"]}
SQUARE: Json = {"type": "object", "properties": {"kind": {"const": "square"}, "a": WHOLE}, "required": ["kind", "a"]}
LINKED: Json = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {"type": "object", "properties": {"v": WHOLE, "next": {"$ref": "#/$defs/node"}}, "required": ["v"]}
    },
}

# (schema, texts of the grammar, texts that are not)
ENFORCED: list[tuple[Json, list[str], list[str]]] = [
    (TEXT, ['""', '"a b"', '"é😀"', '"\\n\\"\\\\"'], ['"\\ud800"', '"\\u0041"', '"a', "1", '"\n"']),
    ({"type": "null"}, ["null"], ["0", '""']),
    ({"type": "boolean"}, ["true", "false"], ["null", "1"]),
    (WHOLE, ["0", "-1", "12345678901234567"], ["01", "1.5", "1e3", "-0", '"1"', "1" * 30]),
    ({"type": "number"}, ["0", "-1.5", "1e3", "2.5E-3"], [".5", "1.", "1e999", "+1", "NaN"]),
    ({"type": ["string", "null"]}, ['"a"', "null"], ["1", "[]"]),
    (True, ["null", "1.5", '"a"', "[1, [2]]", '{"a": {"b": 1}}'], ["nul", "[1,2]", "{'a': 1}"]),
    ({}, ["null", "[]"], ["None"]),
    (
        {"enum": ["a", 1, None, [1, 2], {"b": True}]},
        ['"a"', "1", "null", "[1, 2]", '{"b": true}'],
        ['"b"', "2", "true"],
    ),
    ({"const": {"a": [1.5]}}, ['{"a": [1.5]}'], ["{}"]),
    ({"enum": ["a", 1], "type": "string"}, ['"a"'], ["1"]),
    ({"type": "integer", "minimum": 3, "maximum": 12}, ["3", "12"], ["2", "13", "-5"]),
    ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 6}, ["4", "5"], ["3", "6"]),
    ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, ["4"], ["3"]),
    ({"type": "integer", "minimum": -5, "maximum": -2}, ["-5", "-2"], ["-1", "-6", "2"]),
    ({"type": "number", "minimum": 0, "maximum": 1}, ["0", "0.25", "1", "1.0"], ["-0.1", "1.1", "2"]),
    ({"type": "number", "exclusiveMinimum": 0}, ["0.001", "3"], ["0", "0.0", "-1"]),
    ({"type": "number", "maximum": -1.5}, ["-1.5", "-2"], ["-1.4", "0"]),
    ({"type": "integer", "multipleOf": 7}, ["0", "14", "-7"], ["1", "15"]),
    ({"type": "integer", "multipleOf": 0.5, "minimum": 0, "maximum": 2}, ["0", "1", "2"], ["0.5", "3"]),
    ({"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 1}, ["0", "0.25", "1"], ["0.3", "1.25"]),
    ({"allOf": [{"multipleOf": 4}, {"multipleOf": 6}], "type": "integer"}, ["0", "12", "24"], ["4", "6"]),
    ({"type": "integer", "format": "int32"}, ["2147483647"], ["2147483648"]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, ['"ab"', '"é😀a"', '"\\n\\n"'], ['"a"', '"abcd"']),
    ({"type": "string", "pattern": "^[A-Z]{2}\\d+$"}, ['"AB1"'], ['"ab1"', '"AB"', '"AB1 "']),
    ({"type": "string", "pattern": "o"}, ['"foo bar"'], ['"bar"']),
    ({"type": "string", "pattern": "^(?=.*\\d)(?=.*[a-z]).{4,6}$"}, ['"a123"'], ['"abcd"', '"1234"', '"a1"']),
    ({"type": "string", "pattern": "^(?:(?:ab){1,100}){1,100}$", "maxLength": 8}, ['"ab"', '"abab"'], ['"aba"', '""']),
    ({"type": "string", "pattern": "^[0-9a-f]{128}$"}, ['"' + "0f" * 64 + '"'], ['"' + "0f" * 63 + '"']),
    ({"type": "string", "pattern": "^a", "maxLength": 2}, ['"ab"'], ['"abc"', '"b"']),
    ({"type": "string", "not": {"enum": ["a", "ab"]}}, ['""', '"b"', '"abc"'], ['"a"', '"ab"']),
    ({"type": ["integer", "null"], "not": {"const": 0}}, ["1", "-1", "null", "10"], ["0"]),
    ({"not": {"type": ["object", "array", "number"]}}, ['"a"', "null", "true"], ["1", "[]", "{}"]),
    (
        {"type": "string", "format": "date"},
        ['"2024-02-29"', '"1999-12-31"'],
        ['"2023-02-29"', '"0000-01-01"', '"1900-02-29"'],
    ),
    ({"type": "string", "format": "time"}, ['"23:59:59Z"', '"01:02:03.5+02:00"'], ['"24:00:00Z"', '"12:00:00"']),
    ({"type": "string", "format": "date-time"}, ['"2024-02-29T12:00:00Z"'], ['"2024-02-30T12:00:00Z"', '"2024-02-29"']),
    ({"type": "string", "format": "email"}, ['"a.b+c@example.org"'], ['"a"', '"@b"', '"a b@c"']),
    ({"type": "string", "format": "uuid"}, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123e4567"']),
    ({"type": "string", "format": "ipv4"}, ['"192.168.0.1"'], ['"256.1.1.1"', '"01.1.1.1"']),
    ({"type": "string", "format": "ipv6"}, ['"::1"', '"2001:db8::8a2e:370:7334"'], ['"1::2::3"', '"12345::"']),
    (
        {"type": "string", "format": "uri"},
        ['"https://a.org/b?c=d#e"', '"mailto:a@b.c"', '"file:///tmp/x"', '"db://u:p@h_1:27017/x"'],
        ['"a b"', '"no scheme"'],
    ),
    ({"type": "string", "format": "hostname"}, ['"a-b.example"'], ['"-a"', '"a_b"']),
    ({"type": "string", "format": "duration"}, ['"P1DT2H"', '"PT5M"', '"P2W"'], ['"P"', '"1D"']),
    ({"type": "array", "items": WHOLE}, ["[]", "[1, 2]"], ["[1.5]", "[1,2]", "[1, ]"]),
    ({"type": "array", "items": WHOLE, "minItems": 1, "maxItems": 2}, ["[1]", "[1, 2]"], ["[]", "[1, 2, 3]"]),
    (
        {"type": "array", "prefixItems": [TEXT, WHOLE], "items": False},
        ["[]", '["a"]', '["a", 1]'],
        ["[1]", '["a", 1, 2]'],
    ),
    (
        {"type": "array", "prefixItems": [TEXT], "items": WHOLE, "minItems": 1},
        ['["a"]', '["a", 1, 2]'],
        ["[]", '["a", "b"]'],
    ),
    (
        {"type": "array", "items": [TEXT, WHOLE], "additionalItems": {"type": "null"}},
        ['["a", 1, null]'],
        ['["a", 1, 2]'],
    ),
    (
        {"type": "array", "items": {"enum": ["x", "y", "z"]}, "uniqueItems": True, "minItems": 1},
        ['["x"]', '["z", "x"]', '["y", "x", "z"]'],
        ["[]", '["x", "x"]', '["x", "y", "x"]'],
    ),
    ({"type": "array", "contains": {"const": 5}}, ["[5]", "[1, 5]", "[1, 2, 5, 3]"], ["[]", "[1]"]),
    (
        {"type": "array", "items": WHOLE, "contains": {"minimum": 9}, "minContains": 2},
        ["[9, 10]", "[1, 9, 9, 2]"],
        ["[9]", "[1, 2]"],
    ),
    ({"type": "array", "items": {"anyOf": [WHOLE, TEXT]}}, ['[1, "a"]'], ["[null]"]),
    ({"type": "object"}, ["{}", '{"a": 1, "b": [2]}'], ["[]"]),
    ({"type": "object", "properties": {"a": WHOLE}}, ["{}", '{"a": 1}'], ['{"b": 1}', '{"a": "x"}']),
    (
        {"type": "object", "properties": {"a": WHOLE, "b": TEXT}, "required": ["b"]},
        ['{"b": ""}', '{"a": 1, "b": ""}'],
        ["{}", '{"a": 1}'],
    ),
    ({"type": "object", "required": ["x"]}, ['{"x": 1}', '{"x": null, "y": 2}'], ["{}", '{"y": 2}']),
    ({"type": "object", "properties": {"a": False, "b": WHOLE}}, ["{}", '{"b": 1}'], ['{"a": 1}']),
    ({"type": "object", "additionalProperties": WHOLE}, ["{}", '{"k": 1, "l": 2}'], ['{"k": "x"}']),
    (
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": WHOLE},
        ['{"a": "x", "b": 1}'],
        ['{"a": 1}', '{"a": "x", "a": 1}'],
    ),
    (
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": True},
        ['{"a": "x", "b": null}'],
        ['{"b": 1, "a": 2}'],
    ),
    (
        {"type": "object", "patternProperties": {"^s_": TEXT, "^n_": WHOLE}, "additionalProperties": False},
        ['{"s_a": "x", "n_b": 1}'],
        ['{"s_a": 1}', '{"z": 1}'],
    ),
    ({"type": "object", "propertyNames": {"pattern": "^[a-c]+$"}}, ['{"abc": 1}'], ['{"x": 1}']),
    (
        {"type": "object", "propertyNames": {"enum": ["p", "q"]}, "additionalProperties": WHOLE},
        ["{}", '{"p": 1, "q": 2}'],
        ['{"r": 1}', '{"p": "x"}'],
    ),
    (
        {"type": "object", "properties": {"a": WHOLE, "b": WHOLE, "c": WHOLE}, "minProperties": 1, "maxProperties": 2},
        ['{"a": 1}', '{"b": 1, "c": 2}'],
        ["{}", '{"a": 1, "b": 1, "c": 1}'],
    ),
    (
        {"type": "object", "additionalProperties": WHOLE, "minProperties": 1, "maxProperties": 2},
        ['{"x": 1}', '{"x": 1, "y": 2}'],
        ["{}", '{"x": 1, "y": 2, "z": 3}'],
    ),
    (
        {"type": "object", "properties": {"a": WHOLE, "b": WHOLE}, "dependentRequired": {"a": ["b"]}},
        ["{}", '{"b": 1}', '{"a": 1, "b": 2}'],
        ['{"a": 1}'],
    ),
    (
        {"type": "object", "properties": {"a": WHOLE, "b": WHOLE}, "dependencies": {"a": ["b"]}},
        ['{"b": 1}'],
        ['{"a": 1}'],
    ),
    (
        {
            "type": "object",
            "properties": {"a": WHOLE},
            "dependentSchemas": {"a": {"properties": {"b": TEXT}, "required": ["b"]}},
        },
        ["{}", '{"a": 1, "b": "x"}'],
        ['{"a": 1}', '{"a": 1, "b": 2}'],
    ),
    ({"anyOf": [WHOLE, {"type": "string", "maxLength": 1}]}, ["1", '"a"'], ['"ab"', "null"]),
    (
        {"anyOf": [CIRCLE, SQUARE]},
        ['{"kind": "circle", "r": 1}', '{"kind": "square", "a": 1}'],
        ['{"kind": "circle", "a": 1}'],
    ),
    (
        {"oneOf": [CIRCLE, SQUARE]},
        ['{"kind": "circle", "r": 1}', '{"kind": "square", "a": 1}'],
        ['{"kind": "circle", "a": 1}'],
    ),
    ({"oneOf": [WHOLE, TEXT]}, ["1", '"a"'], ["1.5"]),
    ({"type": "integer", "oneOf": [{"minimum": 3}, {"maximum": 5}]}, ["2", "6"], ["3", "4", "5"]),
    (
        {"type": "object", "properties": {"a": WHOLE, "b": WHOLE}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        ['{"a": 1}', '{"b": 1}'],
        ["{}", '{"a": 1, "b": 1}'],
    ),
    (
        {"allOf": [{"type": "object", "properties": {"a": WHOLE}, "required": ["a"]}, {"properties": {"b": TEXT}}]},
        ['{"a": 1}', '{"a": 1, "b": "x"}'],
        ["{}", '{"a": 1, "b": 2}'],
    ),
    ({"allOf": [TEXT, {"minLength": 2}, {"maxLength": 3}]}, ['"ab"'], ['"a"', '"abcd"', "1"]),
    (
        {
            "type": "object",
            "properties": {"pay": {"enum": ["card", "cash"]}, "number": TEXT},
            "required": ["pay"],
            "if": {"properties": {"pay": {"const": "card"}}},
            "then": {"required": ["number"]},
            "else": {"properties": {"number": False}},
        },
        ['{"pay": "card", "number": "1"}', '{"pay": "cash"}'],
        ['{"pay": "card"}', '{"pay": "cash", "number": "1"}'],
    ),
    (
        {
            "allOf": [{"type": "object", "properties": {"a": WHOLE}}],
            "properties": {"b": WHOLE},
            "unevaluatedProperties": False,
        },
        ['{"b": 1, "a": 2}'],
        ['{"b": 1, "c": 2}'],
    ),
    ({"type": "array", "prefixItems": [WHOLE], "unevaluatedItems": False}, ["[1]"], ["[1, 2]"]),
    (LINKED, ['{"v": 1}', '{"v": 1, "next": {"v": 2, "next": {"v": 3}}}'], ["{}", '{"v": 1, "next": null}']),
    ({"$ref": "#/definitions/x", "definitions": {"x": WHOLE}}, ["1"], ['"a"']),
    ({"$ref": "#x", "$defs": {"x": {"$anchor": "x", "type": "integer"}}}, ["1"], ['"a"']),
    (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/x",
            "minimum": 5,
            "definitions": {"x": WHOLE},
        },
        ["1"],
        ['"a"'],
    ),
    ({"$ref": "#/$defs/x", "minimum": 5, "$defs": {"x": WHOLE}}, ["5"], ["1"]),
    (
        {"type": "string", "title": "T", "description": "D", "default": "x", "examples": ["y"], "x-own": 3},
        ['"z"'],
        ["1"],
    ),
]


@pytest.mark.parametrize(("schema", "inside", "outside"), ENFORCED, ids=lambda value: json.dumps(value)[:60])
def test_the_grammar_enforces(schema: dict[str, Json] | bool, inside: list[str], outside: list[str]) -> None:
    compiled = compile_value(schema)
    assert compiled.enforced == "full", (compiled.unenforced, compiled.unchecked)
    lark = value_grammar(compiled)
    for text in inside:
        assert admits(lark, text), text
        assert check(json.loads(text), schema) == (), text
    for text in outside:
        assert not admits(lark, text), text
    assert check(compiled.minimal, schema) == ()
    for seed in range(4):
        value = json.loads(walk(lark, seed))
        assert check(value, schema) == (), value
