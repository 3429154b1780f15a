"""Functions as values: the seed's metadata form and OpenAI's `tools` form, read and written without loss.

Knows JSON, not prompts, grammars or how a function runs.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fclocal.errors import UsageError

# Any JSON value. Containers are typed loosely on purpose: schemas are open-ended.
Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = "Mapping[str, Json]"

MAX_NAME = 128
MAX_DIGITS = 4300
_NAME = re.compile(r"[^\x00-\x20\x7f\"\\]+")
_TYPE_WORDS = {"str": "string", "text": "string", "int": "integer", "float": "number", "bool": "boolean"}
_TYPE_WORDS |= {"list": "array", "dict": "object"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function that a model may call.

    `parameters` is a JSON Schema of type object. `metadata` is the seed's form exactly as it was given, or None
    when the function came as an OpenAI tool or from Python; `tool` is the OpenAI form as it was given, or None.
    """

    name: str
    description: str
    parameters: JsonObject
    metadata: JsonObject | None = None
    tool: JsonObject | None = None

    @property
    def properties(self) -> JsonObject:
        """Argument name -> its schema, in the declared order."""
        found = self.parameters.get("properties")
        return found if isinstance(found, Mapping) else {}

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the arguments that every call must have."""
        found = self.parameters.get("required")
        if isinstance(found, str) or not isinstance(found, Sequence):
            return ()
        return tuple(name for name in found if isinstance(name, str))


def parse_functions(text: str, *, origin: str) -> tuple[Function, ...]:
    """Read functions from `text`: one object, an array, `{"tools": [...]}`, or objects one after the other.

    `origin` names the source in errors. Raises UsageError when the text is not JSON, a function has no usable name,
    or two have the same name.
    """
    functions = tuple(from_json(entry, origin=origin) for entry in _entries(_values(text, origin), origin))
    if not functions:
        raise UsageError(f"{origin} holds no functions.", "Describe at least one, as shown in the README.")
    refuse_duplicates(functions, origin=origin)
    return functions


def refuse_duplicates(functions: Iterable[Function], *, origin: str) -> None:
    """Raise UsageError if two functions share a name."""
    seen: set[str] = set()
    for function in functions:
        if function.name in seen:
            raise UsageError(f"{origin} has two functions named {function.name!r}.", "Rename or remove one.")
        seen.add(function.name)


def from_json(entry: Json, *, origin: str) -> Function:
    """One function from either form. Raises UsageError with `origin` in the sentence."""
    if not isinstance(entry, Mapping):
        raise UsageError(f"{origin}: a function must be a JSON object, not {_kind(entry)}.")
    wrapped = entry.get("functionMetadata")
    if isinstance(wrapped, Mapping):
        return from_json(wrapped, origin=origin)
    if isinstance(entry.get("function"), Mapping) or "parameters" in entry or "name" in entry:
        return from_openai(entry, origin=origin)
    return from_metadata(entry, origin=origin)


def from_metadata(entry: JsonObject, *, origin: str) -> Function:
    """The seed's form: `function`, `description`, `arguments` (a list; absent `required` means required
    unless there is a default)."""
    name = _name(entry.get("function"), origin)
    arguments = entry.get("arguments", [])
    if isinstance(arguments, Mapping):
        arguments = [{"name": key, **_schema_of(value, name, origin)} for key, value in arguments.items()]
    if isinstance(arguments, str) or not isinstance(arguments, Sequence):
        raise UsageError(f"{origin}: the arguments of {name!r} must be a list, not {_kind(arguments)}.")
    properties: dict[str, Json] = {}
    required: list[str] = []
    for argument in arguments:
        if not isinstance(argument, Mapping):
            raise UsageError(f"{origin}: an argument of {name!r} must be an object, not {_kind(argument)}.")
        key = argument.get("name")
        if not isinstance(key, str) or not key:
            raise UsageError(f"{origin}: an argument of {name!r} has no name.", 'Add "name": "...".')
        if key in properties:
            raise UsageError(f"{origin}: {name!r} has two arguments named {key!r}.", "Rename or remove one.")
        schema, needed = _argument_schema(argument)
        properties[key] = schema
        if needed:
            required.append(key)
    parameters = entry.get("parameters")
    if not isinstance(parameters, Mapping):
        parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Function(name, _text(entry.get("description"), name, origin), parameters, metadata=dict(entry))


def from_openai(entry: JsonObject, *, origin: str) -> Function:
    """OpenAI's forms: `{"type": "function", "function": {...}}`, its flat form, and the legacy `functions` entry."""
    kind = entry.get("type", "function")
    if kind != "function":
        raise UsageError(f"{origin}: tools of type {kind!r} are not known here.", 'Use "type": "function".')
    inner = entry.get("function")
    body = inner if isinstance(inner, Mapping) else entry
    name = _name(body.get("name"), origin)
    parameters = body.get("parameters")
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    if not isinstance(parameters, Mapping):
        raise UsageError(f"{origin}: the parameters of {name!r} must be a JSON Schema object.")
    return Function(name, _text(body.get("description"), name, origin), parameters, tool=dict(entry))


def to_metadata(function: Function) -> JsonObject:
    """The seed's form. `from_metadata` reads it back to an equal schema."""
    if function.metadata is not None:
        return function.metadata
    entry: dict[str, Json] = {"function": function.name, "description": function.description}
    entry["arguments"] = [_argument(key, schema, key in function.required) for key, schema in _listable(function)]
    if from_metadata(entry, origin="metadata").parameters != function.parameters:
        entry["parameters"] = function.parameters
    return entry


def to_openai(function: Function) -> JsonObject:
    """OpenAI's `tools` form; a tool read from that form is given back as it was."""
    if function.tool is not None and isinstance(function.tool.get("function"), Mapping):
        return function.tool
    body: JsonObject = {"name": function.name, "description": function.description, "parameters": function.parameters}
    return {"type": "function", "function": body}


def distinct(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """The object of these pairs, for decoders. Raises ValueError when a key occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add returns None
        raise ValueError(f"the key {key[:80]!r} occurs twice")
    return found


def _argument_schema(argument: JsonObject) -> tuple[JsonObject, bool]:
    """JSON Schema of one argument in the seed's form, and whether it is required."""
    flag = argument.get("required")
    schema = {key: value for key, value in argument.items() if key != "name"}
    if isinstance(flag, bool):
        del schema["required"]
    word = schema.get("type")
    if isinstance(word, str):
        schema["type"] = _TYPE_WORDS.get(word, word)
    return schema, flag if isinstance(flag, bool) else "default" not in argument


def _argument(key: str, schema: Json, required: bool) -> JsonObject:
    entry: dict[str, Json] = {"name": key}
    if isinstance(schema, Mapping):
        entry |= schema
    if not isinstance(entry.get("required"), Sequence):
        entry["required"] = required
    return entry


def _listable(function: Function) -> Iterable[tuple[str, Json]]:
    return ((key, schema) for key, schema in function.properties.items() if key)


def _values(text: str, origin: str) -> list[Json]:
    """Every JSON value in `text`; the seed's own list writes several objects one after the other."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=distinct, parse_int=_whole)
    text = text.removeprefix("\ufeff")
    values: list[Json] = []
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n,":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UsageError(
                f"{origin} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
                "It must hold function metadata or OpenAI tools.",
            ) from None
        except ValueError as error:
            raise UsageError(f"{origin} is not JSON that can be used: {error}.", "Repair it there.") from None
        except RecursionError:
            raise UsageError(f"{origin} is not JSON that can be used: it is nested too deeply.") from None
        values.append(value)
    return values


def _refuse_constant(word: str) -> Json:
    raise ValueError(f"{word} is not a JSON number")


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits, and at most {MAX_DIGITS} can be used")
    return int(digits)


def _entries(values: Sequence[Json], origin: str) -> Iterable[Json]:
    for value in values:
        within = [value.get("tools"), value.get("functions")] if isinstance(value, Mapping) else [value]
        lists = [listed for listed in within if isinstance(listed, Sequence) and not isinstance(listed, str)]
        yield from itertools.chain(*lists) if lists else (value,)


def _name(value: Json, origin: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{origin}: a function has no name.", 'Add "function": "name", or "name" in a tool.')
    if len(value) > MAX_NAME or not _NAME.fullmatch(value):
        raise UsageError(
            f"{origin}: {value[:40]!r} cannot be a function name.",
            f"Use at most {MAX_NAME} characters without spaces, quotes or backslashes.",
        )
    return value


def _text(value: Json, name: str, origin: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"{origin}: the description of {name!r} must be a string, not {_kind(value)}.")
    return value


def _schema_of(value: Json, name: str, origin: str) -> JsonObject:
    if isinstance(value, Mapping):
        return value
    raise UsageError(f"{origin}: an argument of {name!r} must be an object, not {_kind(value)}.")


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case _:
            return "a list"
