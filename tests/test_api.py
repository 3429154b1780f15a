"""The Python face as a program uses it: the real engine and the built-in model, whatever it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

import fclocal
from fclocal.chat.decide import Waiting
from fclocal.events import CallFinished, CallReady, TextDelta, TurnFinished
from fclocal.functions import JsonObject

TOOL: JsonObject = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Find a thing.",
        "parameters": {"type": "object", "properties": {"thing": {"type": "string"}}, "required": ["thing"]},
    },
}


def get_weather(city: str) -> str:
    """Get the weather in a city.

    Args:
        city: The city.
    """
    return f"Sunny in {city}"


async def wait_for(seconds: int) -> int:
    """Wait."""
    return seconds


@pytest_asyncio.fixture
async def talk() -> AsyncIterator[fclocal.Talk]:
    async with fclocal.open_model(functions=[get_weather, wait_for, TOOL]) as opened:
        yield opened


async def outcomes(session: fclocal.api.Session) -> list[tuple[str, str]]:
    """(outcome, result) of the calls of one turn."""
    found = []
    async for event in session.send("What is the weather in Paris?"):
        if isinstance(event, CallFinished):
            found.append((event.outcome, event.result.content))
    assert isinstance(event, TurnFinished)
    return found


async def test_one_call_in_one_line() -> None:
    made = await fclocal.call("What is the weather in Paris?", get_weather, choice="required")
    assert made.name == "get_weather" and list(made.arguments) == ["city"] and made.receipt.valid


async def test_descriptions_are_proposed_and_functions_run(talk: fclocal.Talk) -> None:
    made = await talk.call("Find my keys", choice="find")
    assert made.name == "find" and list(made.arguments) == ["thing"]
    (first, *_) = await outcomes(talk.session(choice="find", missing="off"))
    assert first[0] == "proposed"


async def test_calls_at_the_same_time(talk: fclocal.Talk) -> None:
    made = await asyncio.gather(*(talk.call(f"Weather in {city}", choice="get_weather") for city in ("Rome", "Oslo")))
    assert [each.name for each in made] == ["get_weather"] * 2


async def test_text_streams(talk: fclocal.Talk) -> None:
    parts = []
    async for event in talk.session(choice="none", max_tokens=20).send("Hello"):
        assert not isinstance(event, CallReady)
        if isinstance(event, TextDelta):
            parts.append(event.text)
    assert "".join(parts).strip()


def plainly(waiting: Waiting) -> fclocal.Decision | fclocal.Answer:
    return fclocal.Decision(allow=True)


async def later(waiting: Waiting) -> fclocal.Decision | fclocal.Answer:
    return fclocal.Decision(allow=True, arguments={"city": "Graz"})


@pytest.mark.parametrize(
    ("decide", "outcome", "result"),
    [
        (plainly, "done", "Sunny in"),
        (later, "done", "Sunny in Graz"),
        (lambda waiting: True, "done", "Sunny in"),
        (lambda waiting: False, "denied", ""),
        (lambda waiting: fclocal.Decision(allow=False, reason="Not today"), "denied", "Not today"),
    ],
)
async def test_decide(talk: fclocal.Talk, decide: Callable[[Waiting], bool], outcome: str, result: str) -> None:
    (first, *_) = await outcomes(talk.session(decide=decide, choice="get_weather", missing="off"))
    assert first[0] == outcome and result in first[1]


async def test_without_decide_nothing_runs(talk: fclocal.Talk) -> None:
    (first, *_) = await outcomes(talk.session(choice="get_weather", missing="off"))
    assert first[0] == "denied"


async def test_an_answer_that_does_not_fit_is_an_error_that_says_what_does(talk: fclocal.Talk) -> None:
    session = talk.session(decide=lambda waiting: "yes", choice="get_weather", missing="off")  # type: ignore[arg-type,return-value]
    with pytest.raises(fclocal.FclocalError, match=r"ApprovalNeeded with 'yes'.*fclocal\.Decision"):
        await outcomes(session)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"temperature": -3}, "temperature=-3"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"max_tokens": 0}, "max_tokens=0"),
    ],
)
async def test_values_out_of_range_are_refused(talk: fclocal.Talk, values: dict[str, float], said: str) -> None:
    with pytest.raises(fclocal.FclocalError, match=said):
        await talk.call("Hi", **values)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(fclocal.FclocalError, match=said):
        talk.session(**values)  # type: ignore[arg-type]  # wrong on purpose


async def test_other_mistakes_are_refused_with_a_cure(talk: fclocal.Talk) -> None:
    with pytest.raises(fclocal.FclocalError, match="missing='nope'"):
        talk.session(missing="nope")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(fclocal.FclocalError, match="The prompt is empty"):
        await talk.call("  ")
    with pytest.raises(fclocal.FclocalError, match="No function 'nope'"):
        await talk.call("Hi", choice="nope")
    with pytest.raises(fclocal.NoCall) as text:
        await talk.call("Hello", choice="none", max_tokens=8)
    assert text.value.text and "--choice" not in str(text.value)


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        (["get_weather"], "'get_weather' is not a function"),
        ("get_weather", "'get_weather' is not a function"),
        ([get_weather, get_weather], "two functions named"),
        ([TOOL, TOOL], "two functions named"),
        ([{"name": ""}], "has no name"),
        ([], "no function to call"),
    ],
)
async def test_bad_functions_are_refused(functions: object, said: str) -> None:
    with pytest.raises(fclocal.FclocalError, match=said):
        await fclocal.call("Hi", functions)  # type: ignore[arg-type]  # wrong on purpose


async def test_a_model_that_was_closed_says_so() -> None:
    async with fclocal.open_model(functions=[get_weather]) as talk:
        session = talk.session()
    with pytest.raises(fclocal.FclocalError, match="closed"):
        await talk.call("Weather in Rome")
    with pytest.raises(fclocal.FclocalError, match="closed"):
        await outcomes(session)


async def test_files_of_functions(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text('def double(number: int) -> int:\n    """Double it."""\n    return 2 * number\n')
    async with fclocal.open_model(tools=[tmp_path / "mine.py"]) as talk:
        decide = lambda waiting: fclocal.Decision(allow=True, arguments={"number": 21})  # noqa: E731
        (first, *_) = await outcomes(talk.session(decide=decide, choice="double", missing="off"))
    assert first == ("done", "42")
