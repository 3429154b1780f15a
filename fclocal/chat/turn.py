"""The loop over replies and functions: call, decide, run, hand the result back, until the model answers.

Knows the protocol of toolsets and the one callback `decide`; knows no screen and no store.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from fclocal.chat.decide import Answer, ApprovalNeeded, ArgumentMissing, Decide, Decision, Missing
from fclocal.chat.grounding import question
from fclocal.chat.model import Model
from fclocal.chat.reply import ReplyRequest, reply
from fclocal.events import (
    CallFinished,
    CallReady,
    CallRunning,
    CallWaiting,
    Event,
    Notice,
    Origin,
    QuestionAsked,
    Receipt,
    ReplyFinished,
    TextDelta,
    ThinkingDelta,
    TurnFinished,
)
from fclocal.functions import Function
from fclocal.grammar.check import check
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message
from fclocal.tools.policy import Policy
from fclocal.tools.toolset import Tool, Toolset

MAX_STEPS = 25
MAX_IDENTICAL = 3


class Recorder(Protocol):
    """What a turn writes down as it happens; `calls` are written before they run."""

    def message(self, message: Message, receipts: Mapping[str, Receipt]) -> None: ...
    def began(self, call: FunctionCall, *, verdict: str, original: FunctionCall | None) -> None: ...
    def ended(self, call: FunctionCall, result: FunctionResult, *, ms: float) -> None: ...


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """How a turn runs; `request` carries choice, sampling and limits, its messages and functions are filled in."""

    request: ReplyRequest
    missing: Missing = "ask"
    max_steps: int = MAX_STEPS


@dataclass(slots=True)
class _Turn:
    model: Model
    toolset: Toolset
    policy: Policy
    settings: TurnSettings
    decide: Decide
    record: Recorder
    history: list[Message]
    tools: Mapping[str, Tool] = field(default_factory=dict)
    results: dict[str, list[FunctionResult]] = field(default_factory=dict)
    proposed: bool = False
    asked: bool = False


async def turn(
    model: Model,
    toolset: Toolset,
    policy: Policy,
    history: list[Message],
    *,
    settings: TurnSettings,
    decide: Decide,
    record: Recorder,
) -> AsyncGenerator[Event, None]:
    """Go on from `history`, whose last message is the user's, until the model answers in text.

    Appends every message to `history` as soon as it is whole. Ends with TurnFinished. Raises what `reply` raises.
    """
    state = _Turn(model, toolset, policy, settings, decide, record, history)
    state.tools = {tool.function.name: tool for tool in await toolset.list()}
    functions = tuple(tool.function for tool in state.tools.values())
    request = settings.request
    for _ in range(settings.max_steps):
        request = replace(request, messages=tuple(history), functions=functions)
        step = _Step()
        async with aclosing(reply(model, request)) as events:
            async for event in events:
                step.see(event)
                yield event
        _append(state, AssistantMessage(step.text, tuple(step.calls), step.thinking), step.receipts)
        if not step.calls:
            yield TurnFinished(step.end)
            return
        for call in step.calls:
            async for happening in _carry_out(state, call, step.receipts[call.id].origins):
                yield happening
        if state.asked or state.proposed:
            yield TurnFinished("asked" if state.asked else "proposed")
            return
        request = replace(request, choice="auto")
    yield Notice(f"Stopped after {settings.max_steps} steps without an answer.")
    yield TurnFinished("steps")


class _Step:
    """What one reply came to."""

    def __init__(self) -> None:
        self.text = ""
        self.thinking = ""
        self.calls: list[FunctionCall] = []
        self.receipts: dict[str, Receipt] = {}
        self.end: Literal["answered", "length", "cancelled"] = "answered"

    def see(self, event: Event) -> None:
        match event:
            case TextDelta(text=text):
                self.text += text
            case ThinkingDelta(text=text):
                self.thinking += text
            case CallReady(call=call, receipt=receipt):
                self.calls.append(call)
                self.receipts[call.id] = receipt
            case ReplyFinished(reason="length" | "cancelled" as reason):
                self.end = reason


def _append(state: _Turn, message: Message, receipts: Mapping[str, Receipt]) -> None:
    state.history.append(message)
    state.record.message(message, receipts)


async def _carry_out(state: _Turn, call: FunctionCall, origins: Mapping[str, Origin]) -> AsyncGenerator[Event, None]:
    """One call: ask for what is missing, decide, run, append the result."""
    tool = state.tools[call.name]
    if tool.effect == "propose":
        state.proposed = True
        yield CallFinished(call, FunctionResult(call.id, "", name=call.name), 0.0, "proposed")
        return
    completed: FunctionCall | None = call
    for argument in _unsupported(state, tool.function, origins):
        asked = _question(call, tool.function, argument)
        yield QuestionAsked(call, argument, asked.question)
        completed = await _ask(state, completed, asked)
        if completed is None:
            denied = FunctionResult(call.id, f"The user did not say: {asked.question}", ok=False, name=call.name)
            state.asked = True
            yield _finish(state, call, denied, 0.0, "unanswered")
            return
    async for event in _approve_and_run(state, tool, completed or call, original=call, origins=origins):
        yield event


def _unsupported(state: _Turn, function: Function, origins: Mapping[str, Origin]) -> list[str]:
    if state.settings.missing != "ask" or state.settings.request.choice not in ("auto", "none"):
        return []
    return [name for name in function.required if name in origins and origins[name].source == "unsupported"]


def _question(call: FunctionCall, function: Function, argument: str) -> ArgumentMissing:
    schema = function.properties.get(argument)
    return ArgumentMissing(call, function, argument, question(function, argument), schema)


async def _ask(state: _Turn, call: FunctionCall | None, asked: ArgumentMissing) -> FunctionCall | None:
    if call is None:
        return None
    answer = await state.decide(asked)
    if not isinstance(answer, Answer) or not answer.given:
        return None
    return replace(call, arguments={**call.arguments, asked.argument: answer.value})


async def _approve_and_run(
    state: _Turn, tool: Tool, call: FunctionCall, *, original: FunctionCall, origins: Mapping[str, Origin]
) -> AsyncGenerator[Event, None]:
    verdict = state.policy.decide(tool, call)
    by = f"{verdict.action} by {verdict.why}"
    if verdict.action == "ask":
        yield CallWaiting(call)
        decision = await state.decide(ApprovalNeeded(call, tool.function, tool.effect, origins, verdict.why))
        if not isinstance(decision, Decision) or not decision.allow:
            reason = decision.reason if isinstance(decision, Decision) else ""
            yield _finish(state, call, _denial(call, reason or "The user said no."), 0.0, "denied")
            return
        if decision.remember:
            state.policy.remember(tool)
        by = "allow by the user"
        if decision.arguments is not None:
            call = replace(call, arguments=decision.arguments)
    elif verdict.action == "deny":
        yield _finish(state, call, _denial(call, verdict.why), 0.0, "denied")
        return
    problems = check(call.arguments, tool.function.parameters)
    if problems:
        failed = FunctionResult(call.id, f"Invalid arguments: {problems[0].sentence}", ok=False, name=call.name)
        yield _finish(state, call, failed, 0.0, "failed")
        return
    async for event in _run(state, call, original=original, verdict=by):
        yield event


async def _run(
    state: _Turn, call: FunctionCall, *, original: FunctionCall, verdict: str
) -> AsyncGenerator[Event, None]:
    if original != call:
        _correct(state, call)
    key = json.dumps([call.name, call.arguments], sort_keys=True, default=str)
    earlier = state.results.setdefault(key, [])
    if len(earlier) >= MAX_IDENTICAL - 1:
        yield Notice(
            f"{call.name} was called with the same arguments {MAX_IDENTICAL} times: its last result is reused."
        )
        again = replace(earlier[-1], call_id=call.id)
        yield _finish(state, call, again, 0.0, "cached")
        return
    state.record.began(call, verdict=verdict, original=original if original != call else None)
    yield CallRunning(call)
    began = time.perf_counter()
    result = await state.toolset.call(call)
    ms = (time.perf_counter() - began) * 1000
    earlier.append(result)
    yield _finish(state, call, replace(result, name=call.name), ms, "done" if result.ok else "failed")


def _correct(state: _Turn, call: FunctionCall) -> None:
    """Let the history show the call that really runs, with the arguments the user gave or edited."""
    for index in range(len(state.history) - 1, -1, -1):
        message = state.history[index]
        if isinstance(message, AssistantMessage) and any(made.id == call.id for made in message.calls):
            calls = tuple(call if made.id == call.id else made for made in message.calls)
            state.history[index] = replace(message, calls=calls)
            return


def _denial(call: FunctionCall, reason: str) -> FunctionResult:
    return FunctionResult(call.id, f"Not run. {reason}", ok=False, name=call.name)


def _finish(state: _Turn, call: FunctionCall, result: FunctionResult, ms: float, outcome: str) -> CallFinished:
    state.history.append(result)
    state.record.ended(call, result, ms=ms)
    return CallFinished(call, result, ms, outcome)  # type: ignore[arg-type]  # callers pass the literals


def pending(history: Sequence[Message]) -> list[FunctionCall]:
    """Calls that have no result yet, the oldest first."""
    answered = {message.call_id for message in history if isinstance(message, FunctionResult)}
    replies = (message for message in history if isinstance(message, AssistantMessage))
    return [call for made in replies for call in made.calls if call.id not in answered]
