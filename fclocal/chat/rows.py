"""Messages, calls and receipts as the JSON and text of database columns, and back. Knows no SQL.

A later version may add fields: reading leaves out those that it does not know. A field that is gone or means something
else needs a new format in migrations.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fclocal.chat.receipt import plain
from fclocal.events import Origin, Receipt
from fclocal.functions import Function, Json


def clean(text: str) -> str:
    """`text` as SQLite can keep it: halves of a surrogate pair joined, lone ones replaced by U+FFFD."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def dump(value: Json) -> str:
    """JSON text without lone surrogates."""
    return clean(json.dumps(plain(value), ensure_ascii=False))


def load_object(text: str | None) -> dict[str, Json]:
    """The object in a column; empty for NULL."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def write_receipt(receipt: Receipt) -> str:
    """A receipt as JSON text, every field kept."""
    fields = {name: getattr(receipt, name) for name in Receipt.__slots__ if name != "origins"}
    fields["origins"] = {name: _origin_fields(origin) for name, origin in receipt.origins.items()}
    return dump(fields)


def read_receipt(text: str | None) -> Receipt | None:
    """What `write_receipt` wrote, or None when there is none."""
    fields: dict[str, object] = _known(Receipt.__slots__, load_object(text))
    if not fields:
        return None
    origins = fields.get("origins")
    pairs = origins.items() if isinstance(origins, Mapping) else ()
    fields["origins"] = {name: _read_origin(found) for name, found in pairs}
    return Receipt(**fields)  # type: ignore[arg-type]  # written by write_receipt from the same fields


def write_functions(functions: tuple[Function, ...]) -> str:
    """Functions as JSON text, in both of their forms."""
    return dump([{name: getattr(function, name) for name in Function.__slots__} for function in functions])


def read_functions(text: str) -> tuple[Function, ...]:
    """What `write_functions` wrote."""
    return tuple(Function(**_known(Function.__slots__, entry)) for entry in json.loads(text or "[]"))


def _known(names: Iterable[str], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}


def _origin_fields(origin: Origin) -> dict[str, Json]:
    return {name: getattr(origin, name) for name in Origin.__slots__}


def _read_origin(fields: Mapping[str, Json]) -> Origin:
    span = fields.get("span")
    pair = (span[0], span[1]) if isinstance(span, list) and len(span) == 2 else None
    return Origin(**{**_known(Origin.__slots__, fields), "span": pair})
