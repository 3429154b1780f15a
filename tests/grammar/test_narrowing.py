"""The last try: a smaller language that the check accepts."""

from __future__ import annotations

import json

import pytest

from fclocal.functions import Json
from fclocal.grammar.check import Problem, check
from fclocal.grammar.narrowing import narrowed
from fclocal.grammar.schema import compile_schema
from tests.grammar.walks import admits, value_grammar, walk

WHOLE: Json = {"type": "integer"}
TEXT: Json = {"type": "string"}


def arguments(value: Json, **more: Json) -> dict[str, Json]:
    return {"type": "object", "properties": {"a": value, "z": TEXT}, "required": ["a"], **more}


HARD: list[dict[str, Json]] = [
    arguments({"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]}),
    arguments({"type": "string", "pattern": "\\bfoo\\b"}),
    arguments({"type": "string", "pattern": "^(?!foo)[a-z]{3}$"}),
    arguments({"type": "string", "format": "iri"}),
    arguments({"type": "string", "format": "idn-email"}),
    arguments({"type": "string", "format": "regex"}),
    arguments({"type": "array", "items": TEXT, "uniqueItems": True}),
    arguments({"type": "array", "items": WHOLE, "uniqueItems": True, "minItems": 3}),
    arguments({"type": "array", "items": WHOLE, "contains": {"const": 3}, "maxContains": 1}),
    arguments({"type": "number", "not": {"type": "integer"}}),
    arguments({"type": "object", "propertyNames": {"pattern": "^[ab]$"}, "additionalProperties": WHOLE}),
    arguments({"not": {"multipleOf": 2}, "type": "integer"}),
    arguments({"type": "number", "multipleOf": 1e300, "minimum": 1}),
    arguments({"type": "integer", "multipleOf": 10**30 + 1, "maximum": -1}),
    arguments({"type": "integer", "multipleOf": 86_400, "minimum": 1}),
    arguments(WHOLE, **{"not": {"required": ["z"], "properties": {"z": {"pattern": "x"}}}}),
]


@pytest.mark.parametrize("schema", HARD, ids=lambda schema: json.dumps(schema)[:90])
@pytest.mark.parametrize("where", ["/a", ""])
def test_everything_in_the_smaller_language_is_valid(schema: dict[str, Json], where: str) -> None:
    compiled = narrowed(compile_schema(schema), (Problem(where, "any", "any"),))
    for indented in (False, True):
        lark = value_grammar(compiled, indented=indented)
        for seed in range(12):
            value = json.loads(walk(lark, seed))
            assert check(value, schema) == (), value


def test_only_the_offending_argument_is_cut_down() -> None:
    schema = arguments({"type": "array", "items": WHOLE, "uniqueItems": True})
    lark = value_grammar(narrowed(compile_schema(schema), (Problem("/a", "uniqueItems", ""),)))
    assert admits(lark, '{"a": [7], "z": "anything the user said"}')
    assert not admits(lark, '{"a": [7, 7]}')


def test_the_last_try_at_a_multiple_has_more_than_one() -> None:
    lark = value_grammar(narrowed(compile_schema(arguments({"type": "integer", "multipleOf": 86_400}))))
    assert len({json.loads(walk(lark, seed))["a"] for seed in range(12)}) > 3


def test_a_key_written_twice_leads_to_an_object_without_others() -> None:
    schema: dict[str, Json] = {"type": "object", "properties": {"a": WHOLE}, "additionalProperties": WHOLE}
    lark = value_grammar(narrowed(compile_schema(schema), (Problem("", "", "twice"),)))
    assert admits(lark, "{}")
    assert not admits(lark, '{"b": 1}')
