"""The result of an MCP tool as the text that a model is given. Knows the wire form, not the SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from fclocal.functions import Json, JsonObject

EMPTY = "The tool returned nothing."


def result_text(result: JsonObject) -> str:
    """The content of a `tools/call` result: text joined, structured content as JSON, anything else described.

    Text that only repeats the structured content is left out.
    """
    blocks = _blocks(result.get("content"))
    structured = result.get("structuredContent")
    parts = [_block_text(block) for block in blocks if structured is None or not _repeats(block, structured)]
    if structured is not None:
        parts.append(json.dumps(structured, ensure_ascii=False))
    return "\n".join(parts) if parts else EMPTY


def _blocks(content: Json) -> list[JsonObject]:
    if isinstance(content, str) or not isinstance(content, Sequence):
        return []
    return [block for block in content if isinstance(block, Mapping)]


def _block_text(block: JsonObject) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image" | "audio" as kind, "data": str(data)}:
            return f"[{kind}: {block.get('mimeType', 'unknown type')}, {_decoded_size(data):,} bytes]"
        case {"type": "resource", "resource": Mapping() as resource}:
            return _resource_text(resource)
        case {"type": "resource_link"}:
            size = block.get("size")
            known = f", {size:,} bytes" if isinstance(size, int) else ""
            return f"[resource: {block.get('uri', '?')}, {block.get('mimeType', 'unknown type')}{known}]"
        case _:
            return f"[{block.get('type', 'content')} of a kind that is not known here]"


def _resource_text(resource: JsonObject) -> str:
    kind = resource.get("mimeType", "unknown type")
    text, blob = resource.get("text"), resource.get("blob")
    if isinstance(text, str):
        return f"[resource: {resource.get('uri', '?')}, {kind}, {len(text.encode('utf-8', 'replace')):,} bytes]\n{text}"
    size = _decoded_size(blob) if isinstance(blob, str) else 0
    return f"[resource: {resource.get('uri', '?')}, {kind}, {size:,} bytes]"


def _repeats(block: JsonObject, structured: Json) -> bool:
    """Whether a text block says the structured content again, as servers do for older clients."""
    text = block.get("text")
    if block.get("type") != "text" or not isinstance(text, str):
        return False
    only = next(iter(structured.values())) if isinstance(structured, Mapping) and len(structured) == 1 else structured
    if text == only:
        return True
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return value in (structured, only) or (isinstance(only, list) and value in only)


def _decoded_size(data: str) -> int:
    """Bytes that base64 text stands for."""
    return max(0, len(data) * 3 // 4 - data[-2:].count("="))
