"""One generation with scripted replies: events, receipts, retries, refusals."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fclocal.chat.model import Model
from fclocal.chat.receipt import receipt_json, receipt_lines
from fclocal.chat.reply import ReplyRequest, reply
from fclocal.errors import BadCall, ContextFull, UsageError
from fclocal.events import (
    ArgumentsDelta,
    ArgumentsReset,
    CallReady,
    CallStarted,
    ReplyEvent,
    ReplyFinished,
    TextDelta,
)
from fclocal.functions import Function, Json, from_openai
from fclocal.grammar.calls import NamedChoice
from fclocal.messages import UserMessage
from tests.scripted import scripted_model


def function(name: str, **properties: object) -> Function:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return from_openai({"type": "function", "function": {"name": name, "parameters": schema}}, origin="test")


BOOK = function("book", day={"type": "string", "format": "date"}, people={"type": "integer"})
ASK = ReplyRequest((UserMessage("Book a table"),), (BOOK,))


async def events_of(model: Model, request: ReplyRequest = ASK) -> list[ReplyEvent]:
    return [event async for event in reply(model, request)]


def call(day: str) -> str:
    return f'{{"function": "book", "arguments": {{"day": "{day}", "people": 2}}}}'


def kinds(events: Sequence[ReplyEvent]) -> list[str]:
    names = [type(event).__name__ for event in events]
    return [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]


async def test_a_call_streams_and_ends_with_its_receipt() -> None:
    events = await events_of(scripted_model(call("2024-02-28")))
    assert kinds(events) == ["PromptRead", "CallStarted", "ArgumentsDelta", "CallReady", "ReplyFinished"]
    ready = next(event for event in events if isinstance(event, CallReady))
    assert ready.call.arguments == {"day": "2024-02-28", "people": 2}
    assert ready.receipt.valid and ready.receipt.retries == 0
    assert ready.receipt.tokens_sampled == len(call("2024-02-28"))
    assert ready.receipt.argument_logprobs["people"] == pytest.approx(-0.1)
    assert ready.receipt.name_logprob == pytest.approx(-0.4)
    streamed = "".join(event.text for event in events if isinstance(event, ArgumentsDelta))
    assert streamed == '{"day": "2024-02-28", "people": 2}'
    assert events[-1] == ReplyFinished("calls", events[-1].timings)  # type: ignore[union-attr]


async def test_an_invalid_value_is_taken_back_to_its_beginning_and_tried_again() -> None:
    model = scripted_model(call("2023-02-29"), '"2023-02-28", "people": 2}}')
    events = await events_of(model)
    reset = next(event for event in events if isinstance(event, ArgumentsReset))
    assert reset.text == '{"day": '
    ready = next(event for event in events if isinstance(event, CallReady))
    assert ready.call.arguments == {"day": "2023-02-28", "people": 2}
    assert ready.receipt.retries == 1
    assert model.engine.rewinds == [len('{"function": "book", "arguments": {"day": ')]  # type: ignore[attr-defined]
    started = next(event for event in events if isinstance(event, CallStarted))
    assert started.id == ready.call.id


async def test_every_call_of_a_reply_has_its_own_retries() -> None:
    first = [call("2023-02-29"), '"2023-02-29", "people": 2}}']
    second = ['"2023-02-28", "people": 2}}\n' + call("2023-02-30"), '"2023-02-30", "people": 2}}']
    events = await events_of(scripted_model(*first, *second, '"2023-03-01", "people": 2}}'))
    ready = [event for event in events if isinstance(event, CallReady)]
    assert [(event.call.arguments["day"], event.receipt.retries) for event in ready] == [
        ("2023-02-28", 2),
        ("2023-03-01", 2),
    ]


async def test_the_receipt_names_what_nobody_could_check() -> None:
    at: Json = {"type": "string", "pattern": r"^(a|b)\1$"}
    stop = function("stop", at=at, paint={"type": "string", "format": "color"})
    said = '{"function": "stop", "arguments": {"at": "x", "paint": "y"}}'
    events = await events_of(scripted_model(said), ReplyRequest(ASK.messages, (stop,)))
    receipt = next(event for event in events if isinstance(event, CallReady)).receipt
    assert receipt.grammar == "partial" and receipt.unenforced == {}
    assert receipt.unchecked == {"/properties/at/pattern": "pattern", "/properties/paint/format": "format"}
    assert receipt_json(receipt)["unchecked"] == receipt.unchecked
    assert "CHECKED BY NOBODY: format, pattern" in receipt_lines(receipt)[0]


async def test_a_call_that_stays_invalid_is_no_call() -> None:
    wrong = '"2023-02-29", "people": 2}}'
    model = scripted_model(call("2023-02-29"), wrong, wrong, '{"day": ' + wrong)
    with pytest.raises(BadCall, match="book stayed invalid after 3 retries"):
        await events_of(model)


@pytest.mark.parametrize("cut", [30, 50, len(call("2024-02-28")) - 1])
async def test_an_unfinished_call_is_never_a_call(cut: int) -> None:
    with pytest.raises(BadCall):
        await events_of(scripted_model(call("2024-02-28")[:cut]))


async def test_text_then_two_calls() -> None:
    events = await events_of(scripted_model("Sure.\n" + call("2024-02-28") + "\n" + call("2024-03-01")))
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text.strip() == "Sure."
    ready = [event for event in events if isinstance(event, CallReady)]
    assert [event.index for event in ready] == [0, 1]
    assert len({event.call.id for event in ready}) == 2


async def test_a_reply_in_text() -> None:
    events = await events_of(scripted_model('For which day? {"a": 1}'))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == 'For which day? {"a": 1}'
    assert isinstance(events[-1], ReplyFinished) and events[-1].reason == "stop"


async def test_a_broken_schema_sets_its_function_aside_and_says_so() -> None:
    broken = function("broken", x={"type": "no such type"})
    model = scripted_model("Hello.")
    events = await events_of(model, ReplyRequest(ASK.messages, (BOOK, broken)))
    assert isinstance(events[-1], ReplyFinished)
    assert len(events[-1].notes) == 1 and events[-1].notes[0].startswith("broken is set aside: ")


async def test_choices_that_cannot_be_made() -> None:
    broken = function("broken", x={"type": "no such type"})
    for functions, choice, words in (
        ((BOOK,), NamedChoice("nothing"), "No function 'nothing'"),
        ((BOOK, broken), NamedChoice("broken"), "broken cannot be called"),
        ((), "required", "there are no functions"),
        ((broken,), "auto", "No function is left"),
    ):
        with pytest.raises(UsageError, match=words):
            await events_of(scripted_model("x"), ReplyRequest(ASK.messages, functions, choice=choice))  # type: ignore[arg-type]


async def test_a_prompt_that_does_not_fit_is_refused_before_anything_is_generated() -> None:
    model = scripted_model("x", context=200)
    with pytest.raises(ContextFull, match="largest parts: functions"):
        await events_of(model)
    assert model.engine.requests == []  # type: ignore[attr-defined]


async def test_the_generation_is_closed_when_the_consumer_leaves() -> None:
    model = scripted_model("a long reply")
    events = reply(model, ASK)
    async for event in events:
        if isinstance(event, TextDelta):
            break
    await events.aclose()
    assert model.engine.closed == 1  # type: ignore[attr-defined]
