"""Any Python value as JSON text for a model: plain data as it is, bytes and images described, the rest as str()."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePath

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from fclocal.escapes import whole_characters
from fclocal.functions import Json
from fclocal.tools.described import described

MAX_CONTENT = 50_000
MAX_DEPTH = 50


def json_text(value: object) -> str:
    """`value` as JSON text; an object that cannot be shown is named by its type."""
    try:
        return json.dumps(plain(value), ensure_ascii=False)
    except (ValueError, RecursionError, OverflowError) as error:
        return json.dumps(f"({type(value).__name__} that cannot be shown: {type(error).__name__})")


def plain(value: object, depth: int = 0) -> Json:
    """`value` as plain JSON data."""
    match value:
        case None | bool() | int():
            return value if value is None or isinstance(value, bool) else int(value)
        case float():
            return float(value) if math.isfinite(value) else str(value)
        case str():
            return whole_characters(str.__str__(value))
        case bytes() | bytearray() | memoryview():
            return f"({described(bytes(value))})"
        case PurePath():
            return str(value)
        case Mapping() if depth < MAX_DEPTH:
            return {_key(key): plain(inner, depth + 1) for key, inner in value.items()}
        case Sequence() | AbstractSet() if depth < MAX_DEPTH:
            return [plain(inner, depth + 1) for inner in value]
    return _other(value, depth)


def _key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return whole_characters(str(key))


def _other(value: object, depth: int) -> Json:
    """Models and dataclasses by their fields, arrays by their values, images by their size; dates, decimals and enums
    as pydantic writes them; the rest by str()."""
    library = type(value).__module__.partition(".")[0]
    if depth >= MAX_DEPTH:
        return "..."
    if isinstance(value, BaseModel):
        return plain(value.model_dump(by_alias=True), depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), depth + 1) for field in dataclasses.fields(value)}
    if library == "PIL":
        size = getattr(value, "size", None)
        return f"(an image, {size[0]} x {size[1]})" if isinstance(size, tuple) and len(size) == 2 else "(an image)"
    if library == "numpy" and callable(values := getattr(value, "tolist", None)):
        return plain(values(), depth + 1)
    if isinstance(value, Iterator) or callable(value):
        return _said(value)
    try:
        made = to_jsonable_python(value, inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError, TypeError, RecursionError):
        return _said(value)
    return made if isinstance(made, str | int | float | bool) or made is None else _said(value)


def _said(value: object) -> str:
    try:
        return whole_characters(str(value))
    except Exception as error:  # any object may have a __str__ that fails
        return f"({type(value).__name__} that cannot be shown: {type(error).__name__})"
