from __future__ import annotations

import json

import pytest

from fclocal.functions import Json
from fclocal.tools.mcp.content import EMPTY, result_text


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def test_text_is_joined() -> None:
    assert result_text({"content": [text("a"), text(""), text("b")]}) == "a\n\nb"


@pytest.mark.parametrize("content", [{"content": []}, {}, {"content": None}, {"content": "text"}, {"content": [3]}])
def test_nothing_is_said_to_be_nothing(content: dict[str, Json]) -> None:
    assert result_text(content) == EMPTY


@pytest.mark.parametrize(
    ("structured", "blocks"),
    [
        ({"x": 1, "y": None}, [text('{"y": null, "x": 1}')]),
        ({"result": "hello"}, [text("hello")]),
        ({"result": 3}, [text("3")]),
        ({"result": [1, 2]}, [text("1"), text("2")]),
        ([1, 2], []),
        (False, []),
    ],
)
def test_structured_content_replaces_the_text_that_repeats_it(structured: Json, blocks: list[Json]) -> None:
    assert json.loads(result_text({"content": blocks, "structuredContent": structured})) == structured


def test_other_text_is_kept_beside_structured_content() -> None:
    both = {"content": [text("Warm today."), text('{"t": 21}')], "structuredContent": {"t": 21}}
    assert result_text(both) == 'Warm today.\n{"t": 21}'


@pytest.mark.parametrize(("data", "size"), [("", 0), ("QQ==", 1), ("QUI=", 2), ("QUJD", 3)])
def test_binary_content_is_described_by_type_and_size(data: str, size: int) -> None:
    image = {"type": "image", "data": data, "mimeType": "image/png"}
    assert result_text({"content": [image]}) == f"[image: image/png, {size} bytes]"


def test_resources_are_described_and_their_text_is_kept() -> None:
    blocks: list[Json] = [
        {"type": "resource_link", "uri": "file:///a", "name": "a"},
        {"type": "resource", "resource": {"uri": "file:///b", "mimeType": "text/plain", "text": "héllo"}},
        {"type": "resource", "resource": {"uri": "file:///c", "blob": "QUJD"}},
        {"type": "hologram", "data": "x" * 50},
    ]
    assert result_text({"content": blocks}).split("\n") == [
        "[resource: file:///a, unknown type]",
        "[resource: file:///b, text/plain, 6 bytes]",
        "héllo",
        "[resource: file:///c, unknown type, 3 bytes]",
        "[hologram of a kind that is not known here]",
    ]
