from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Optional, Required, TypedDict

import pytest
from pydantic import BaseModel, Field

from fclocal.errors import UsageError
from fclocal.functions import Json
from fclocal.grammar.check import check
from fclocal.tools.signature import BadArguments, function, function_of, is_marked, python_function


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int = 0


class Node(BaseModel):
    name: str
    children: list[Node] = []


def properties(made: Callable[..., object]) -> dict[str, Json]:
    return dict(function_of(made).properties)


def google(city: str, days: int = 1) -> str:
    """Say the weather.

    Asks a friend
    in town.

    Args:
        city: The name of
            the city
        days (int): How many days

    Returns:
        A sentence.
    """
    return f"{city} {days}"


def numpy(city: str, days: int = 1) -> str:
    """Say the weather.

    Asks a friend
    in town.

    Parameters
    ----------
    city : str
        The name of
        the city
    days : int
        How many days
    """
    return f"{city} {days}"


def sphinx(city: str, days: int = 1) -> str:
    """Say the weather.

    Asks a friend
    in town.

    :param city: The name of
        the city
    :param days: How many days
    :return: A sentence.
    """
    return f"{city} {days}"


@pytest.mark.parametrize("made", [google, numpy, sphinx])
def test_docstrings_of_three_styles_say_the_same(made: Callable[..., object]) -> None:
    described = function_of(made)
    assert described.description == "Say the weather.\nAsks a friend\nin town."
    assert described.properties == {
        "city": {"type": "string", "description": "The name of the city"},
        "days": {"type": "integer", "description": "How many days", "default": 1},
    }
    assert described.required == ("city",)
    assert described.parameters["additionalProperties"] is False


def test_types() -> None:
    def made(
        a: Literal["c", "f"],
        b: Color,
        c: list[str],
        d: dict[str, int],
        e: Point,
        f: date,
        g: Annotated[int, Field(description="From the type", ge=1)],
        h: float | str,
        i: tuple[int, str],
        j,  # type: ignore[no-untyped-def]  # an argument without a hint is part of the test
    ) -> None:
        """Do.

        Args:
            g: from the docstring
        """

    shown = properties(made)
    point = shown["e"]
    assert isinstance(point, dict) and point["required"] == ["x"]
    assert point["properties"] == {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}}
    assert shown == {
        "a": {"type": "string", "enum": ["c", "f"]},
        "b": {"type": "string", "enum": ["red", "blue"]},
        "c": {"type": "array", "items": {"type": "string"}},
        "d": {"type": "object", "additionalProperties": {"type": "integer"}},
        "e": shown["e"],
        "f": {"type": "string", "format": "date"},
        "g": {"type": "integer", "description": "From the type", "minimum": 1},
        "h": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        "i": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
        "j": {},
    }
    assert set(function_of(made).required) == set("abcdefghij")


def test_an_optional_argument_is_left_out_instead_of_null() -> None:
    def made(
        a: Optional[str] = None,  # noqa: UP045  # the old spelling is part of the test
        b: int | str | None = None,
        c: str | None = "x",
        d: Point | None = None,
    ) -> None: ...

    shown = properties(made)
    assert shown["a"] == {"type": "string"}
    assert shown["b"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert shown["c"] == {"anyOf": [{"type": "string"}, {"type": "null"}], "default": "x"}
    assert function_of(made).required == ()


def test_names_that_a_model_has_itself() -> None:
    def made(schema: int, json: int, copy: int, model_config: int, self: int, _private: int = 1) -> object:
        return (schema, json, copy, model_config, self, _private)

    described = python_function(made)
    assert list(described.function.properties) == ["schema", "json", "copy", "model_config", "self", "_private"]
    assert described.bound({"schema": 1, "json": 2, "copy": 3, "model_config": 4, "self": 5})() == (1, 2, 3, 4, 5, 1)


def test_a_type_that_holds_itself_stays_a_definition() -> None:
    def made(node: Node) -> str:
        return node.children[0].name

    described = python_function(made)
    assert "$defs" in described.function.parameters
    good: Json = {"node": {"name": "a", "children": [{"name": "b"}]}}
    assert not check(good, described.function.parameters)
    assert check({"node": {"children": []}}, described.function.parameters)
    assert described.bound(good)() == "b"  # type: ignore[arg-type]  # an object


def test_arguments_are_converted_and_checked() -> None:
    def made(point: Point, color: Color = Color.RED, when: date | None = None) -> object:
        return point, color, when

    described = python_function(made)
    value = described.bound({"point": {"x": 3}, "color": "blue", "when": "2026-02-03"})()
    assert value == (Point(3), Color.BLUE, date(2026, 2, 3))
    assert described.bound({"point": {"x": 3}})() == (Point(3), Color.RED, None)
    for wrong in ({}, {"point": 3}, {"point": {"x": 1}, "color": "green"}, {"point": {"x": 1}, "more": 1}):
        with pytest.raises(BadArguments, match="Invalid arguments"):
            described.bound(wrong)


def test_defaults_stay_the_functions_own() -> None:
    missing = object()

    def made(a: int = 1, b: object = missing, c: int = Field(default=3, le=5)) -> object:
        return a, b is missing, c

    assert python_function(made).bound({})() == (1, True, 3)


def test_positional_only_and_keyword_only_arguments() -> None:
    def made(a: int, b: int = 2, /, *, c: int) -> object:
        return a, b, c

    described = python_function(made)
    assert list(described.function.properties) == ["a", "b", "c"]
    assert described.bound({"a": 1, "c": 3})() == (1, 2, 3)


def test_arguments_without_names_and_functions_without_one_are_refused() -> None:
    def many(*rest: int) -> None: ...

    def more(a: int, **others: int) -> None: ...

    def steps(n: int) -> Iterator[int]:
        yield n

    async def later(n: int) -> AsyncIterator[int]:
        yield n

    refused_ones = (
        (many, r"\*rest"),
        (more, r"\*\*others"),
        (lambda x: x, "lambda"),
        (steps, "yields"),
        (later, "yields"),
    )
    for made, said in refused_ones:
        with pytest.raises(UsageError, match=said) as refused:
            python_function(made)  # type: ignore[arg-type]  # a lambda
        assert refused.value.cure
    assert python_function(function(name="same")(lambda x: x)).function.name == "same"


class Inner(TypedDict):
    """What is inside."""

    k: int


class Outer(TypedDict, total=False):
    inner: Required[Inner]
    many: list[Inner]
    perhaps: Inner | None


def test_typed_dicts_of_the_standard_library() -> None:
    def made(outer: Outer, others: dict[str, Inner], one: Inner | None = None) -> object:
        return outer, others, one

    described = python_function(made)
    outer = described.function.properties["outer"]
    assert outer["required"] == ["inner"] and outer["properties"]["many"]["type"] == "array"  # type: ignore[index,call-overload]
    assert outer["properties"]["inner"]["properties"] == {"k": {"type": "integer"}}  # type: ignore[index,call-overload]
    given = {"outer": {"inner": {"k": 1}, "many": [{"k": 2}]}, "others": {"x": {"k": 3}}}
    assert described.bound(given)() == ({"inner": {"k": 1}, "many": [{"k": 2}]}, {"x": {"k": 3}}, None)
    with pytest.raises(BadArguments, match="inner"):
        described.bound({"outer": {}, "others": {}})


def test_a_text_in_annotated_describes_the_argument() -> None:
    def made(a: Annotated[int, "How many"]) -> int:
        return a

    assert python_function(made).function.properties["a"] == {"type": "integer", "description": "How many"}


def test_objects_that_can_be_called() -> None:
    class Greeter:
        def __call__(self, who: str) -> str:
            """Greet someone.

            Args:
                who: Whom
            """
            return f"Hello, {who}"

        def method(self, who: str) -> str:
            return who

    described = python_function(Greeter())
    assert described.function.name == "Greeter"
    assert described.function.description == "Greet someone."
    assert described.bound({"who": "Ann"})() == "Hello, Ann"
    assert list(function_of(Greeter().method).properties) == ["who"]


def test_the_mark_names_and_describes() -> None:
    @function(name="say", description="Says it.")
    def made(text: str) -> str:
        """Something else."""
        return text

    @function
    async def plain() -> None: ...

    assert (function_of(made).name, function_of(made).description) == ("say", "Says it.")
    assert made("x") == "x"
    assert is_marked(made) and is_marked(plain) and not is_marked(google)
    assert python_function(plain).is_async and not python_function(made).is_async


class Odd:
    """No schema."""


@pytest.mark.parametrize("hint", [Odd, "Nowhere", Callable[[], int]])
def test_what_cannot_be_described_is_refused(hint: object) -> None:
    def made(a) -> None:  # type: ignore[no-untyped-def]  # the hint is set below
        ...

    made.__annotations__["a"] = hint
    with pytest.raises(UsageError, match="made cannot be described"):
        function_of(made)
