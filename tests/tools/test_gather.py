from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from fclocal.functions import Function, Json
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools.gather import Toolbox
from fclocal.tools.toolset import Proposed, Tool


def described(name: str, text: str = "Does it.", **properties: Json) -> Function:
    return Function(name, text, {"type": "object", "properties": properties})


class Fixed:
    """A toolset that answers with its origin."""

    def __init__(self, origin: str, *functions: Function, notices: Sequence[str] = ()) -> None:
        self.origin = origin
        self.functions = functions
        self.notices = notices
        self.closed = False

    async def list(self) -> Sequence[Tool]:
        return [Tool(function, self.origin, "unknown") for function in self.functions]

    async def call(self, call: FunctionCall) -> FunctionResult:
        return FunctionResult(call.id, self.origin, name=call.name)

    async def close(self) -> None:
        self.closed = True


class Failing(Fixed):
    """A toolset of which nothing works."""

    async def list(self) -> Sequence[Tool]:
        raise ConnectionError("gone")

    async def close(self) -> None:
        raise ConnectionError("gone again")


async def said(box: Toolbox, name: str) -> str:
    return (await box.call(FunctionCall("1", name, {}))).content


async def test_calls_reach_the_toolset_that_offers_the_function() -> None:
    box = Toolbox([Fixed("one", described("a")), Fixed("two", described("b"))])
    assert [tool.function.name for tool in await box.list()] == ["a", "b"]
    assert (await said(box, "a"), await said(box, "b")) == ("one", "two")
    assert json.loads(await said(box, "c")) == {"error": "There is no function c."}


async def test_a_call_without_a_list_before() -> None:
    assert await said(Toolbox([Fixed("one", described("a"))]), "a") == "one"


async def test_the_earlier_of_two_functions_of_one_name_is_offered() -> None:
    box = Toolbox([Fixed("one", described("a")), Fixed("two", described("a"), described("b"))])
    assert [(tool.function.name, tool.origin) for tool in await box.list()] == [("a", "one"), ("b", "two")]
    assert await said(box, "a") == "one"
    assert box.notices == ("a of two is set aside: one already has that name.",)


async def test_disabled_functions_are_neither_offered_nor_run_nor_in_the_way() -> None:
    box = Toolbox([Fixed("one", described("a"), described("b"))], disabled=["a"])
    assert [tool.function.name for tool in await box.list()] == ["b"]
    assert "error" in await said(box, "a")
    assert box.notices == ()


async def test_a_toolset_that_fails_does_not_stop_the_others() -> None:
    last = Fixed("last", described("a"), notices=["Look."])
    box = Toolbox([Failing("bad"), last])
    assert [tool.function.name for tool in await box.list()] == ["a"]
    await box.list()
    assert box.notices == ("Look.", "A source of functions is left out: ConnectionError: gone.")
    await box.close()
    assert last.closed


@pytest.mark.parametrize(
    "function",
    [
        described("a", "Nice.\x1b]52;c;x\x07"),
        described("a", "Nice\u202eevil"),
        described("a", "Nice\U000e0041"),
        described("a", city={"type": "string", "description": "The\x1b[31m city"}),
        described("a", **{"ci\u200bty": {"type": "string"}}),
        described("a", city={"enum": ["x", ["\x9b31m"]]}),
    ],
)
async def test_hidden_characters_are_reported(function: Function) -> None:
    box = Toolbox([Fixed("evil", function)])
    assert len(await box.list()) == 1
    assert box.notices == ("The description of a (evil) has hidden characters. Look at it first.",)


async def test_ordinary_texts_are_not_reported() -> None:
    box = Toolbox([Fixed("fine", described("größe", "Zeile eins\r\nzwei\tdrei 👨‍👩‍👧"))])
    await box.list()
    assert box.notices == ()


async def test_a_name_with_hidden_characters_is_set_aside() -> None:
    box = Toolbox([Fixed("evil", described("wea\u200bther"), described("b"))])
    assert [tool.function.name for tool in await box.list()] == ["b"]
    assert box.notices == ('"wea\\u200bther" of evil is set aside: its name has hidden characters.',)


async def test_a_call_that_takes_too_long_ends() -> None:
    class Slow(Fixed):
        async def call(self, call: FunctionCall) -> FunctionResult:
            await asyncio.Event().wait()
            raise AssertionError

    result = await Toolbox([Slow("slow", described("a"))], seconds=0.01).call(FunctionCall("1", "a", {}))
    assert not result.ok and "Timed out" in result.content


async def test_described_functions_do_not_run() -> None:
    box = Toolbox([Proposed((described("a"),), "functions.json")])
    assert [tool.effect for tool in await box.list()] == ["propose"]
    assert not (await box.call(FunctionCall("1", "a", {}))).ok
