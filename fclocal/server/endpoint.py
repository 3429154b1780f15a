"""What every route works with: the models, the queue, the counters; and one reply from them as events or as a whole."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

from fclocal.chat.model import Model
from fclocal.chat.receipt import receipt_json
from fclocal.chat.reply import ReplyRequest, reply
from fclocal.engine.request import Sampling
from fclocal.errors import BadCall
from fclocal.events import (
    ArgumentsDelta,
    ArgumentsReset,
    CallReady,
    CallStarted,
    ReplyEvent,
    ReplyFinished,
    TextDelta,
    ThinkingDelta,
    Timings,
    TokenScore,
    TokensScored,
)
from fclocal.functions import Function, Json, JsonObject
from fclocal.grammar.schema import compile_schema
from fclocal.grammar.source import BrokenSchema
from fclocal.messages import Message, SystemMessage
from fclocal.runtime import Chosen
from fclocal.server.line import Line
from fclocal.server.metrics import Metrics
from fclocal.server.models import Models
from fclocal.server.settings import Settings
from fclocal.server.streams import dumps


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The state of one server. `closing` is set when replies under way must end."""

    settings: Settings
    models: Models
    line: Line
    metrics: Metrics
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def seat(self, chosen: Chosen, *, keep_alive: float | None = None) -> AsyncIterator[Model]:
        """Wait for a turn, then for the model. Raises Rejected (429) and CannotLoad."""
        async with self.line.turn(), self.models.lease(chosen, keep_alive=keep_alive) as model:
            yield model

    async def reply(self, model: Model, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """One reply whose argument deltas are never taken back, counted."""
        live = await asyncio.to_thread(surely_valid, request.functions)
        async with aclosing(reply(model, request)) as events, aclosing(steady(events, live=live)) as kept:
            async for event in kept:
                if isinstance(event, ReplyFinished):
                    self.metrics.count_reply(event.timings)
                elif isinstance(event, CallReady):
                    self.metrics.calls += 1
                yield event

    def sampling(
        self,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        frequency_penalty: float | None = None,
        presence_penalty: float | None = None,
        **more: object,
    ) -> Sampling:
        """What a request asks for over what the server was started with. Without a seed anywhere, a random one."""
        base = self.settings.sampling
        return replace(
            base,
            temperature=base.temperature if temperature is None else temperature,
            top_p=base.top_p if top_p is None else top_p,
            seed=self._seed() if seed is None else seed % (1 << 64),
            frequency_penalty=frequency_penalty or 0.0,
            presence_penalty=presence_penalty or 0.0,
            **more,  # type: ignore[arg-type]  # the remaining fields of Sampling, named by the wire formats
        )

    def _seed(self) -> int:
        return self.settings.sampling.seed if self.settings.seeded else secrets.randbits(32)

    def with_system(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """`messages`, led by the server's own system message when they have none."""
        if self.settings.system and not any(isinstance(message, SystemMessage) for message in messages):
            return (SystemMessage(self.settings.system), *messages)
        return messages


@dataclass(slots=True)
class Heard:
    """A whole reply."""

    text: str = ""
    thinking: str = ""
    calls: list[CallReady] = field(default_factory=list)
    scores: list[TokenScore] = field(default_factory=list)
    finished: ReplyFinished = field(default_factory=lambda: ReplyFinished("stop", Timings()))

    @property
    def completion_tokens(self) -> int:
        """Tokens of the reply, sampled and forced."""
        return reply_tokens(self.finished.timings)

    def add(self, event: ReplyEvent) -> None:
        """Take one event in."""
        match event:
            case TextDelta(text=text):
                self.text += text
            case ThinkingDelta(text=text):
                self.thinking += text
            case TokensScored(start=start, tokens=tokens):
                self.scores[start:] = tokens
            case CallReady():
                self.calls.append(event)
            case ReplyFinished():
                self.finished = event

    def about(self) -> JsonObject:
        """The `fclocal` field: a receipt for each call in order, and what was left out or changed."""
        about: dict[str, Json] = {"receipts": [receipt_json(ready.receipt) for ready in self.calls]}
        if self.finished.notes:
            about["notes"] = list(self.finished.notes)
        return about


async def hear(events: AsyncGenerator[ReplyEvent, None]) -> Heard:
    """Listen to the end."""
    heard = Heard()
    async with aclosing(events):
        async for event in events:
            heard.add(event)
    return heard


def reply_tokens(timings: Timings) -> int:
    """Tokens of a reply, sampled and forced."""
    return timings.sampled_tokens + timings.forced_tokens


def surely_valid(functions: Collection[Function]) -> frozenset[str]:
    """Names of the functions whose schema the grammar enforces wholly: their arguments are never refused afterwards."""
    return frozenset(function.name for function in functions if _fully_enforced(function))


def _fully_enforced(function: Function) -> bool:
    try:
        return compile_schema(function.parameters).enforced == "full"
    except BrokenSchema:
        return False


async def steady(
    events: AsyncGenerator[ReplyEvent, None], *, live: Collection[str]
) -> AsyncGenerator[ReplyEvent, None]:
    """The same events without ArgumentsReset, which no wire format can say.

    Arguments of the functions in `live` pass as they come; those of others, which the final check may still refuse,
    come in one piece when they are valid.
    """
    passing = False
    given = ""
    async for event in events:
        match event:
            case CallStarted(name=name):
                passing, given = name in live, ""
                yield event
            case ArgumentsDelta(text=text):
                if passing:
                    given += text
                    yield event
            case ArgumentsReset(index=index, text=text):
                if not text.startswith(given):
                    raise BadCall("The call had to be made again after a part of it was sent.")
                if passing and text != given:
                    yield ArgumentsDelta(index, text[len(given) :])
                    given = text
            case CallReady(index=index, call=call):
                if not passing:
                    yield ArgumentsDelta(index, dumps(call.arguments))
                yield event
            case _:
                yield event
