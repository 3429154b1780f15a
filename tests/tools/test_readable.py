from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fclocal.tools.described import described
from fclocal.tools.readable import json_text


class Level(enum.Enum):
    HIGH = "high"


class Kind(enum.StrEnum):
    A = "a"


@dataclass
class Point:
    x: int
    raw: bytes = b"\x89PNG\r\n\x1a\n"


class Item(BaseModel):
    name: str
    at: date


class Loud:
    def __str__(self) -> str:
        return "loud\ud800"


class Broken:
    def __str__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("grün", "grün"),
        ({"a": [1, (2, 3)]}, {"a": [1, [2, 3]]}),
        ({1: "x", None: "y", False: "z"}, {"1": "x", "null": "y", "false": "z"}),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (b"\xff\xd8\xff\xe0", "(a JPEG image, 4 bytes)"),
        (Level.HIGH, "high"),
        (Kind.A, "a"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 2, 3), "2026-02-03"),
        (datetime(2026, 2, 3, tzinfo=UTC), "2026-02-03T00:00:00Z"),
        (PurePosixPath("a/b"), "a/b"),
        (Point(1), {"x": 1, "raw": "(a PNG image, 8 bytes)"}),
        (Item(name="n", at=date(2026, 1, 1)), {"name": "n", "at": "2026-01-01"}),
        ([Item(name="n", at=date(2026, 1, 1))], [{"name": "n", "at": "2026-01-01"}]),
        (Loud(), "loud\ufffd"),
        ("a\ud800b", "a\ufffdb"),
        (Broken(), "(Broken that cannot be shown: ValueError)"),
    ],
)
def test_values(value: object, expected: object) -> None:
    assert json.loads(json_text(value)) == expected


def test_a_value_that_holds_itself_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert len(json_text(loop)) < 1000


def test_an_endless_generator_is_not_followed() -> None:
    def numbers() -> object:
        while True:
            yield 1

    assert "generator" in json_text(numbers())


def test_an_integer_too_long_for_text() -> None:
    assert "cannot be shown" in json_text(10**5000)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "binary data, 0 bytes"),
        (b"x", "binary data, 1 byte"),
        (b"%PDF-1.7", "a PDF document, 8 bytes"),
        (b"RIFF\0\0\0\0WAVE", "a WAV audio, 12 bytes"),
        (b"\0\0\0\x18ftypmp42", "an MP4 video, 12 bytes"),
        (b"GIF89a" + bytes([2, 1, 3, 0]), "a GIF image, 258 x 3, 10 bytes"),
    ],
)
def test_binary_data_is_described(data: bytes, words: str) -> None:
    assert described(data) == words


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_stays_as_it_is(value: object) -> None:
    assert json.loads(json_text(value)) == value
