"""Hostile schemas: bounded time, never a failed request, at worst no grammar and the check alone."""

from __future__ import annotations

import json
import time

import pytest

from fclocal.functions import Json
from fclocal.grammar.schema import BrokenSchema, compile_schema, compile_value
from tests.grammar.walks import matcher, value_grammar

TEXT: Json = {"type": "string"}
SECONDS = 2.0  # Of the processor; the promise is 1 s, a test machine may be slow.


def arguments(properties: dict[str, Json], required: bool = True, **rest: Json) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "required": list(properties) if required else [], **rest}


def chain(count: int, link: str) -> dict[str, Json]:
    """`count` definitions, each holding the next twice."""
    defs: dict[str, Json] = {f"d{n}": {link: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(count)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{count}": {"type": "object"}}}


def twice(count: int) -> dict[str, Json]:
    defs: dict[str, Json] = {
        f"d{n}": arguments({"l": {"$ref": f"#/$defs/d{n + 1}"}, "r": {"$ref": f"#/$defs/d{n + 1}"}})
        for n in range(count)
    }
    return arguments({"x": {"$ref": "#/$defs/d0"}}, **{"$defs": {**defs, f"d{count}": TEXT}})


def mutual(count: int) -> dict[str, Json]:
    links: dict[str, Json] = {f"k{n}": {"$ref": f"#/$defs/d{n}"} for n in range(count)}
    return arguments(
        {"x": {"$ref": "#/$defs/d0"}}, **{"$defs": {f"d{n}": arguments(links, False) for n in range(count)}}
    )


REDOS = [
    "(a+)+$",
    "^(a|aa)+$",
    "(x+x+)+y",
    "((a{1,100}){1,100}){1,100}",
    "(.*a.{15}){3}",
    "^.*(a|b).{200}$",
    "(" * 1900,
]
HOSTILE: dict[str, dict[str, Json]] = {
    "100 KB of properties": arguments(
        {f"p{n}": arguments({f"q{m}": {**TEXT, "description": "d" * 20} for m in range(10)}) for n in range(130)}
    ),
    "100 KB of descriptions": arguments({f"p{n}": {**TEXT, "description": "word " * 200} for n in range(100)}, False),
    "10,000 choices": arguments({"a": {"enum": [f"value {n}" for n in range(10_000)]}}),
    "1,000 optional keys": arguments({f"p{n}": TEXT for n in range(1000)}, False),
    "1,000 required keys": arguments({f"p{n}": TEXT for n in range(1000)}),
    "300 optional keys of which 5": arguments({f"p{n}": TEXT for n in range(300)}, False, minProperties=5),
    "2,000 keys and others": arguments({f"property_{n}": TEXT for n in range(2000)}, False, additionalProperties=True),
    "500 alternatives": arguments(
        {"a": {"anyOf": [arguments({"k": {"const": n}, f"v{n}": TEXT}) for n in range(500)]}}
    ),
    "300 exclusive alternatives": arguments({"a": {"oneOf": [arguments({"k": {"const": n}}) for n in range(300)]}}),
    "40 overlapping alternatives": arguments({"a": {"oneOf": [arguments({f"v{n}": TEXT}) for n in range(40)]}}),
    "2 to the 20 combinations": arguments(
        {"a": {"allOf": [{"anyOf": [{"minimum": n}, {"maximum": -n}]} for n in range(20)]}}
    ),
    "doubling allOf": chain(40, "allOf"),
    "doubling anyOf": chain(40, "anyOf"),
    "doubling values": twice(25),
    "mutual recursion": mutual(60),
    "catastrophic patterns": arguments(
        {f"a{n}": {**TEXT, "pattern": pattern} for n, pattern in enumerate(REDOS)}, False
    ),
    "100 patterns": arguments({f"a{n}": {**TEXT, "pattern": f"^[a-z]{{{n},}}x{n}$"} for n in range(100)}),
    "200 pattern properties": {"type": "object", "patternProperties": {f"^p{n}_[a-z]+$": TEXT for n in range(200)}},
    "long strings": arguments({"a": {**TEXT, "maxLength": 10**12}}),
    "long lists": arguments({"a": {"type": "array", "items": TEXT, "maxItems": 10**12}}),
    "many wanted items": arguments({"a": {"type": "array", "contains": TEXT, "minContains": 50_000}}),
    "huge numbers": arguments(
        {"a": {"type": "integer", "minimum": 10**40}, "b": {"type": "number", "multipleOf": 1e-12}}
    ),
    "30 dependents": arguments(
        {f"a{n}": TEXT for n in range(30)}, False, dependentRequired={f"a{n}": [f"a{(n + 1) % 30}"] for n in range(30)}
    ),
    "deep negation": arguments({"a": {"not": {"not": {"not": {"not": {"not": {"type": "null"}}}}}}}),
    "too deep": {"type": "object", "properties": {"a": json.loads('{"items": ' * 300 + "{}" + "}" * 300)}},
    "too big": arguments({"a": {"enum": ["x" * 2_000_000]}}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_bounded_and_the_grammar_works(name: str) -> None:
    began = time.process_time()
    try:
        compiled = compile_schema(HOSTILE[name])
    except BrokenSchema as broken:
        assert time.process_time() - began < SECONDS
        assert broken.reason
        return
    assert time.process_time() - began < SECONDS
    began = time.process_time()
    found = matcher(value_grammar(compiled))
    found.compute_bitmask()
    found.consume_token(ord("{"))
    found.compute_bitmask()
    assert not found.is_error(), found.get_error()
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize("name", ["doubling allOf", "doubling values", "many wanted items", "too deep", "too big"])
def test_what_can_never_be_called_is_set_aside(name: str) -> None:
    with pytest.raises(BrokenSchema):
        compile_schema(HOSTILE[name])


@pytest.mark.parametrize(
    "name", ["10,000 choices", "500 alternatives", "mutual recursion", "30 dependents", "100 KB of properties"]
)
def test_big_is_not_hostile(name: str) -> None:
    assert compile_schema(HOSTILE[name]).enforced == "full"


@pytest.mark.parametrize("step", [7, 3600, 100_000, 0.01, 86_400, 65_536, 9_000_000, 1_000_000_007, 1e300])
@pytest.mark.parametrize("bounds", [{}, {"minimum": 1, "maximum": 10**12}])
def test_multiples_are_enforced_or_left_to_the_check(step: float, bounds: dict[str, Json]) -> None:
    schema = {"type": "integer", "multipleOf": step, **bounds}
    try:
        compiled = compile_value(schema)
    except BrokenSchema as broken:
        assert step > 10**12 and "can satisfy it" in broken.reason
        return
    began = time.process_time()
    found = matcher(value_grammar(compiled))
    for byte in str(0 if step > 10**12 else int(max(step, 1) * 7)).encode():
        found.compute_bitmask()
        assert found.consume_token(byte), found.get_error()
    found.compute_bitmask()
    assert not found.is_error() and found.is_accepting(), found.get_error()
    assert time.process_time() - began < SECONDS
    assert dict(compiled.unenforced) == ({"/multipleOf": "multipleOf"} if 5000 < step != 100_000 else {})


def test_without_a_grammar_the_check_stands_alone() -> None:
    compiled = compile_schema(HOSTILE["1,000 optional keys"])
    assert compiled.enforced == "none"
    assert compiled.enforcing == ()
    assert list(compiled.unenforced) == [""]
