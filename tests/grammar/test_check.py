"""The final check: formats, linear patterns, strict JSON, every draft's spelling, bounded time."""

from __future__ import annotations

import time

import pytest

from fclocal.functions import Json
from fclocal.grammar.check import Problem, check, parse_arguments, parse_value

FORMATS: dict[str, tuple[list[str], list[str]]] = {
    "date": (["2024-02-29", "0001-01-01"], ["2023-02-29", "0000-01-01", "2024-2-9", "20240229", "２０24-01-01"]),
    "time": (["12:00:00Z", "23:59:60Z", "00:29:60.5+00:30"], ["12:00:00", "24:00:00Z", "12:00:60Z", "12:00Z"]),
    "date-time": (
        ["2024-02-29T12:00:00.25+02:00", "2024-01-01t00:00:00z"],
        ["2024-01-01 00:00:00Z", "2024-02-30T00:00:00Z"],
    ),
    "duration": (["P1Y2M3DT4H5M6S", "PT36H", "P4W"], ["P", "PT", "P1H", "1D", "P1W2D"]),
    "email": (
        ["a@b", "first.last+tag@example.org", '"a b"@c.d', "a@[127.0.0.1]"],
        ["a", "a@", "a b@c", ".a@b", "a..b@c"],
    ),
    "idn-email": (["用户@例子.公司"], ["例子"]),
    "hostname": (["example.org", "a-1", "xn--nxasmq6b"], ["-a", "a_b", "a..b", "a" * 64, ""]),
    "idn-hostname": (["例子.公司", "example.org"], ["a b", "-例"]),
    "ipv4": (["0.0.0.0", "255.255.255.255"], ["256.0.0.1", "1.2.3", "01.2.3.4"]),
    "ipv6": (["::", "2001:db8::1", "::ffff:192.0.2.1"], ["1:2", ":::", "fe80::1%eth0", "12345::"]),
    "uri": (["https://a.org/b?c#d", "urn:isbn:12", "mailto:a@b"], ["a", "//a/b", "http://a b", "1a:b"]),
    "uri-reference": (["/a/b", "a", "#x", "https://a.org"], ["a b", "\\a"]),
    "iri": (["https://例子.公司/ü"], ["例子"]),
    "uri-template": (["/users/{id}{?q,page}"], ["/users/{id", "a b"]),
    "uuid": (["123E4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000", "x"]),
    "json-pointer": (["", "/a~1b/0"], ["a", "/~2"]),
    "relative-json-pointer": (["0", "1/a", "2#"], ["/a", "01"]),
    "regex": (["^a+$", "(?=a)b"], ["(", "["]),
    "byte": (["aGk=", ""], ["aGk", "*"]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str) -> None:
    good, bad = FORMATS[name]
    schema: dict[str, Json] = {"format": name}
    assert [text for text in good if check(text, schema)] == []
    assert [text for text in bad if not check(text, schema)] == []
    assert check(3, schema) == ()


def test_integer_formats() -> None:
    assert check(2**31, {"format": "int32"}) != ()
    assert check(2**31 - 1, {"format": "int32"}) == ()
    assert check(-1, {"format": "uint8"}) != ()


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"x": {"a": 1, "a": 1}}',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1} x',
        '{"a": 1,}',
        "{'a': 1}",
        "",
        "[1]",
        '"text"',
        '{"a":' * 70 + "1" + "}" * 70,
        '{"a":' * 100_000,
    ],
)
def test_only_strict_json_objects_are_arguments(text: str) -> None:
    assert isinstance(parse_arguments(text), Problem)


def test_arguments_are_read_as_they_stand() -> None:
    assert parse_arguments('{"é": [1, 2.5, null, true, "\\u4e2d"]}') == {"é": [1, 2.5, None, True, "中"]}
    assert parse_value("[1]") == [1]


def test_problems_say_where_and_why_in_the_order_of_the_arguments() -> None:
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {"z": {"type": "integer"}, "a/b": {"items": {"maximum": 3}}},
        "required": ["q"],
    }
    problems = check({"a/b": [1, 9], "z": "x"}, schema)
    assert [(problem.pointer, problem.keyword) for problem in problems] == [
        ("", "required"),
        ("/a~1b/1", "maximum"),
        ("/z", "type"),
    ]
    assert "9 is greater" in problems[1].sentence


def test_sentences_stay_short() -> None:
    problems = check("x" * 10_000, {"enum": ["y" * 5000]})
    assert len(problems[0].sentence) <= 300


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)+$", "(.*a){12}$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_catastrophic_patterns_take_linear_time(pattern: str) -> None:
    began = time.process_time()
    check("a" * 2000 + "!", {"pattern": pattern})
    assert time.process_time() - began < 0.5


def test_patterns_search_and_lookaheads_at_the_start_are_decided() -> None:
    assert check("xay", {"pattern": "a"}) == ()
    password: dict[str, Json] = {"pattern": "^(?=.*\\d)(?!admin)[a-z0-9]{4,}$"}
    assert check("abc1", password) == ()
    assert check("admin1", password) != ()
    assert check("abcd", password) != ()
    assert check("anything", {"pattern": "(a)\\1"}) == ()


def test_pattern_keys_never_run_on_the_backtracking_engine() -> None:
    schema: dict[str, Json] = {"patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False}
    began = time.process_time()
    assert check({"a" * 40 + "!": 1}, schema) != ()
    assert check({"aaa": 1}, schema) == ()
    assert check({"aaa": "x"}, schema) != ()
    unevaluated: dict[str, Json] = {"allOf": [{"patternProperties": {"^(a+)+$": True}}], "unevaluatedProperties": False}
    assert check({"a" * 40 + "!": 1}, unevaluated) != ()
    assert check({"aaa": 1}, unevaluated) == ()
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("value", "step", "valid"),
    [(0.3, 0.1, True), (19.99, 0.01, True), (0.35, 0.1, False), (10**30, 7, False), (1e22, 1, True)],
)
def test_multiples_are_decimal(value: float, step: float, valid: bool) -> None:
    assert (check(value, {"multipleOf": step}) == ()) is valid


def test_older_spellings_are_understood_without_a_schema_keyword() -> None:
    assert check(3, {"minimum": 3, "exclusiveMinimum": True}) != ()
    assert check(["a", "b"], {"items": [{"type": "string"}, {"type": "integer"}]}) != ()
    assert check({"a": 1}, {"dependencies": {"a": ["b"]}}) != ()
    assert check({"x": 1}, {"$ref": "#/definitions/d", "definitions": {"d": {"required": ["y"]}}}) != ()
    stated: dict[str, Json] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/d",
        "maximum": 1,
    }
    assert check(5, {**stated, "definitions": {"d": {"type": "integer"}}}) == ()


def test_unevaluated_properties_see_through_combinations() -> None:
    schema: dict[str, Json] = {
        "anyOf": [
            {"properties": {"a": {"const": 1}}, "required": ["a"]},
            {"properties": {"b": True}, "required": ["b"]},
        ],
        "if": {"properties": {"k": {"const": 1}}, "required": ["k"]},
        "then": {"properties": {"l": True}},
        "unevaluatedProperties": False,
    }
    assert check({"a": 1}, schema) == ()
    assert check({"a": 1, "b": 2}, schema) == ()
    assert check({"a": 2, "b": 2}, schema) != ()
    assert check({"b": 1, "k": 1, "l": 3}, schema) == ()
    assert check({"b": 1, "l": 3}, schema) != ()


def test_nothing_is_fetched_and_nothing_runs_for_ever() -> None:
    assert check({}, {"$ref": "https://example.org/x.json"})[0].keyword == "$ref"
    assert check({}, {"$ref": "#"})[0].keyword == "$ref"
    doubled: dict[str, Json] = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    began = time.process_time()
    problems = check({}, {"$ref": "#/$defs/d0", "$defs": {**doubled, "d40": {"type": "object"}}})
    assert problems[0].sentence == "The schema takes too long to check."
    assert time.process_time() - began < 2
