"""JSON Schema of a function's parameters -> what the grammar enforces, and what is left to the final check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from jsonschema import SchemaError
from jsonschema.validators import Draft202012Validator, validator_for
from llguidance import LLMatcher

from fclocal.errors import UsageError
from fclocal.events import Enforcement
from fclocal.functions import Json, JsonObject

GUIDANCE = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", ", "lenient": True}


class BrokenSchema(UsageError):
    """A schema that no call can be checked against; `reason` is half a sentence for the tool's status."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The schema cannot be used: {reason}.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """What the grammar makes of one JSON Schema.

    `unenforced` maps the JSON pointer of a keyword in the schema to the keyword that only the final check enforces,
    `unchecked` the same for keywords that nobody can check, `caps` a pointer to the limit put on an unbounded value.
    `minimal` is a shortest value. `rules` are Lark rules, `one_line` and `indented` name the rule of the whole value in
    either layout, `closing` is an upper bound of the bytes that close the value from anywhere.
    """

    parameters: JsonObject
    enforced: Enforcement
    unenforced: Mapping[str, str]
    unchecked: Mapping[str, str]
    caps: Mapping[str, int]
    minimal: Json
    rules: Mapping[str, str]
    one_line: str
    indented: str
    closing: int


def compile_schema(parameters: JsonObject) -> CompiledSchema:
    """Compile the parameters of one function. Raises BrokenSchema."""
    return _compile(json.dumps(parameters, ensure_ascii=False))


def compile_value(schema: JsonObject | bool) -> CompiledSchema:
    """Compile the schema of any JSON value. Raises BrokenSchema."""
    return _compile(json.dumps(schema, ensure_ascii=False))


@lru_cache(maxsize=512)
def _compile(text: str) -> CompiledSchema:
    schema = json.loads(text)
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        raise BrokenSchema(error.message) from None
    if schema.get("type") != "object":
        raise BrokenSchema("its type is not object")
    schema.setdefault("properties", {})
    if schema["properties"]:
        schema.setdefault("additionalProperties", False)
    blob = {**schema, "x-guidance": GUIDANCE}
    failed, messages = LLMatcher.validate_grammar_with_warnings(LLMatcher.grammar_from_json_schema(json.dumps(blob)))
    if failed:
        raise BrokenSchema(messages[0])
    rule = {"args": "%json " + json.dumps(blob)}
    unenforced = {"": "; ".join(messages)} if messages else {}
    return CompiledSchema(
        schema, "partial" if messages else "full", unenforced, {}, {}, {}, rule, "args", "args", len(text)
    )
