"""How a function is shown to models of the card's family: its metadata form, with what a model must know in words.

Knows schemas and metadata; ignores prompts and markers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from fclocal.functions import Function, Json, JsonObject

MAX_DEPTH = 6
_STATED = ("required", "default")
_NESTED = ("description", "enum", "const", "format", "minimum", "maximum", "required")


def shown(function: Function) -> JsonObject:
    """The object that stands in the function block.

    Metadata in the card's form is shown as it was given; an argument that states `required` or `default` says so at
    the end of its description instead. Any other function is written in the card's form, and every argument says
    whether it is required, its default and its choices.
    """
    metadata = function.metadata
    listed = _listed(metadata) if metadata is not None else None
    if metadata is None or listed is None:
        return _from_schema(function)
    if not any(_states(argument) for argument in listed) and listed == metadata.get("arguments", []):
        return {key: value for key, value in metadata.items() if key != "parameters"}
    entry = {key: value for key, value in metadata.items() if key != "parameters"}
    entry["arguments"] = [_restated(argument) if _states(argument) else argument for argument in listed]
    return entry


def resolve(schema: Json, root: JsonObject) -> JsonObject:
    """`schema` with its local `$ref` and a lone `allOf` entry followed; what stands beside them wins."""
    seen: set[str] = set()
    found: JsonObject = schema if isinstance(schema, Mapping) else {}
    while True:
        reference = found.get("$ref")
        parts = found.get("allOf")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            target = _pointed(root, reference)
        elif isinstance(parts, Sequence) and len(parts) == 1:
            target = parts[0]
        else:
            return found
        beside = {key: value for key, value in found.items() if key not in ("$ref", "allOf")}
        found = {**(target if isinstance(target, Mapping) else {}), **beside}


def type_words(schema: JsonObject, root: JsonObject) -> str:
    """The type in words: "string", "string or null", "any" where nothing is said."""
    return " or ".join(dict.fromkeys(_types(schema, root, 0))) or "any"


def _listed(metadata: JsonObject) -> list[JsonObject] | None:
    """The arguments as a list of objects with names; None where the metadata does not list them."""
    arguments = metadata.get("arguments", None if "parameters" in metadata else [])
    if isinstance(arguments, Mapping):
        return [{"name": key, **value} for key, value in arguments.items() if isinstance(value, Mapping)]
    if isinstance(arguments, str) or not isinstance(arguments, Sequence):
        return None
    return [argument for argument in arguments if isinstance(argument, Mapping)]


def _states(argument: JsonObject) -> bool:
    return isinstance(argument.get("required"), bool) or "default" in argument


def _restated(argument: JsonObject) -> JsonObject:
    flag = argument.get("required")
    required = flag if isinstance(flag, bool) else "default" not in argument
    moved = (*_STATED, "enum") if isinstance(flag, bool) or flag is None else ("default", "enum")
    entry = {key: value for key, value in argument.items() if key not in moved}
    entry["description"] = _described(argument, argument, required=required)
    return entry


def _from_schema(function: Function) -> JsonObject:
    root = function.parameters
    outer = resolve(root, root)
    required = outer.get("required")
    needed = required if isinstance(required, Sequence) and not isinstance(required, str) else ()
    properties = outer.get("properties")
    arguments = [
        _argument(key, schema, root, required=key in needed)
        for key, schema in (properties.items() if isinstance(properties, Mapping) else ())
    ]
    return {"function": function.name, "description": function.description, "arguments": arguments}


def _argument(name: str, schema: Json, root: JsonObject, *, required: bool) -> JsonObject:
    resolved = resolve(schema, root)
    entry: dict[str, Json] = {"name": name, "type": type_words(resolved, root)}
    entry["description"] = _described(resolved, _chosen(resolved, root), required=required)
    return entry | _inner(resolved, root, 0)


def _described(stated: JsonObject, chosen: JsonObject, *, required: bool) -> str:
    parts = ["required" if required else "optional"]
    if "default" in stated:
        parts.append(f"default {_json(stated['default'])}")
    choices = _choices(chosen)
    if choices:
        parts.append("one of " + ", ".join(_json(choice) for choice in choices))
    description = stated.get("description")
    suffix = f"({'; '.join(parts)})"
    return f"{description} {suffix}" if isinstance(description, str) and description else suffix


def _choices(schema: JsonObject) -> Sequence[Json]:
    if "const" in schema:
        return [schema["const"]]
    choices = schema.get("enum")
    return choices if isinstance(choices, Sequence) and not isinstance(choices, str) else ()


def _chosen(schema: JsonObject, root: JsonObject) -> JsonObject:
    """Where the choices stand: in the schema, or collected from alternatives that are all choices (or null)."""
    if _choices(schema):
        return schema
    collected: list[Json] = []
    for branch in _branches(schema, root):
        if branch.get("type") == "null":
            collected.append(None)
        elif _choices(branch):
            collected.extend(_choices(branch))
        else:
            return {}
    return {"enum": collected} if any(choice is not None for choice in collected) else {}


def _inner(schema: JsonObject, root: JsonObject, depth: int) -> dict[str, Json]:
    """`items` and `properties` of a schema or, where they say nothing, of its only alternative that is not null."""
    entry: dict[str, Json] = {}
    if depth >= MAX_DEPTH:
        return entry
    if "items" in schema and isinstance(schema["items"], Mapping):
        entry["items"] = _simple(schema["items"], root, depth + 1)
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and properties:
        entry["properties"] = {key: _simple(inner, root, depth + 1) for key, inner in properties.items()}
        if depth == 0 and schema.get("required"):
            entry["required"] = schema["required"]
    if entry:
        return entry
    solid = [branch for branch in _branches(schema, root) if branch.get("type") != "null"]
    return _inner(solid[0], root, depth + 1) if len(solid) == 1 else entry


def _simple(schema: Json, root: JsonObject, depth: int) -> JsonObject:
    resolved = resolve(schema, root)
    entry: dict[str, Json] = {"type": type_words(resolved, root)}
    entry |= {key: resolved[key] for key in _NESTED if key in resolved}
    return entry | _inner(resolved, root, depth)


def _types(schema: JsonObject, root: JsonObject, depth: int) -> Iterator[str]:
    stated = schema.get("type")
    if isinstance(stated, str):
        yield stated
    elif isinstance(stated, Sequence):
        yield from (word for word in stated if isinstance(word, str))
    elif _choices(schema):
        yield from (_type_of(choice) for choice in _choices(schema))
    elif depth < MAX_DEPTH and (branches := list(_branches(schema, root))):
        for branch in branches:
            yield from _types(branch, root, depth + 1)
    elif "properties" in schema:
        yield "object"
    elif "items" in schema:
        yield "array"


def _branches(schema: JsonObject, root: JsonObject) -> Iterator[JsonObject]:
    for key in ("anyOf", "oneOf"):
        listed = schema.get(key)
        if isinstance(listed, Sequence) and not isinstance(listed, str):
            yield from (resolve(branch, root) for branch in listed)


def _type_of(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case _:
            return "array"


def _pointed(root: JsonObject, reference: str) -> Json:
    if reference != "#" and not reference.startswith("#/"):
        return {}
    found: Json = root
    for step in reference.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, default=dict)
