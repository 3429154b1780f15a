"""Anthropic's POST /v1/messages: replies as content blocks, whole or as a stream of events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fclocal.chat.receipt import plain
from fclocal.chat.reply import ReplyRequest, prompt
from fclocal.events import (
    ArgumentsDelta,
    CallReady,
    CallStarted,
    PromptRead,
    ReplyEvent,
    ReplyFinished,
    TextDelta,
    ThinkingDelta,
)
from fclocal.functions import Json, JsonObject
from fclocal.runtime import Chosen
from fclocal.server.anthropic_bodies import CountBody, MessagesBody, messages_request
from fclocal.server.endpoint import Endpoint, Heard, hear, reply_tokens
from fclocal.server.failures import body_of, failure_of
from fclocal.server.streams import Chunks, Stream, sse, while_connected


def anthropic_routes(endpoint: Endpoint) -> APIRouter:
    """Every route of this file."""
    router = APIRouter()

    @router.post("/v1/messages", summary="Chat with functions, Anthropic's form")
    async def messages(body: MessagesBody, request: Request) -> Response:
        wanted = messages_request(body, endpoint)
        answer = _Answer(endpoint, body, wanted, await endpoint.models.find(body.model))
        seconds = endpoint.settings.limits.reply
        if body.stream:
            return Stream(answer.chunks(), on_error=_failed_chunk, seconds=seconds)
        return JSONResponse(plain(await while_connected(request.receive, answer.whole(), seconds=seconds)))

    @router.post("/v1/messages/count_tokens", summary="Tokens of a prompt")
    async def count_tokens(body: CountBody) -> Response:
        wanted = messages_request(body, endpoint)
        async with endpoint.models.lease(await endpoint.models.find(body.model)) as model:
            book = await asyncio.to_thread(prompt, model, wanted)
        return JSONResponse({"input_tokens": len(book.tokens), "fclocal": {"parts": dict(book.parts)}})

    return router


@dataclass(slots=True)
class _Blocks:
    """The events of one reply. Each block has its number; at most one is open."""

    count: int = 0
    kind: str = ""

    def write(self, event: ReplyEvent) -> Iterable[bytes]:
        """The stream events that one reply event makes."""
        match event:
            case TextDelta(text=text):
                yield from self._begin("text", {"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": text})
            case ThinkingDelta(text=text):
                yield from self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                yield self._delta({"type": "thinking_delta", "thinking": text})
            case CallStarted(id=call_id, name=name):
                yield from self.close()
                yield from self._begin("tool_use", {"type": "tool_use", "id": call_id, "name": name, "input": {}})
            case ArgumentsDelta(text=text):
                yield self._delta({"type": "input_json_delta", "partial_json": text})
            case CallReady() | ReplyFinished():
                yield from self.close()

    def close(self) -> Iterable[bytes]:
        """End the open block."""
        if self.kind:
            yield _event("content_block_stop", {"index": self.count - 1})
        self.kind = ""

    def _begin(self, kind: str, block: JsonObject) -> Iterable[bytes]:
        if self.kind == kind and kind != "tool_use":
            return
        yield from self.close()
        self.kind = kind
        self.count += 1
        yield _event("content_block_start", {"index": self.count - 1, "content_block": block})

    def _delta(self, delta: JsonObject) -> bytes:
        return _event("content_block_delta", {"index": self.count - 1, "delta": delta})


@dataclass(frozen=True, slots=True)
class _Answer:
    endpoint: Endpoint
    body: MessagesBody
    wanted: ReplyRequest
    chosen: Chosen
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")

    async def whole(self) -> JsonObject:
        async with self.endpoint.seat(self.chosen) as model:
            heard = await hear(self.endpoint.reply(model, self.wanted))
        content: list[Json] = []
        if heard.thinking:
            content.append({"type": "thinking", "thinking": heard.thinking, "signature": ""})
        if heard.text:
            content.append({"type": "text", "text": heard.text})
        for call in (ready.call for ready in heard.calls):
            content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
        return {**self._head(content), **self._end(heard), "usage": _usage(heard), "fclocal": self._about(heard)}

    async def chunks(self) -> Chunks:
        blocks, heard, begun = _Blocks(), Heard(), False
        seat = self.endpoint.seat(self.chosen)
        async with seat as model, aclosing(self.endpoint.reply(model, self.wanted)) as events:
            async for event in events:
                if isinstance(event, PromptRead) and not begun:
                    begun = True
                    usage: JsonObject = {"input_tokens": event.total, "output_tokens": 0}
                    nothing: JsonObject = {"stop_reason": None, "stop_sequence": None}
                    message: JsonObject = {**self._head([]), **nothing, "usage": usage}
                    yield _event("message_start", {"message": message})
                heard.add(event)
                for chunk in blocks.write(event):
                    yield chunk
        ended: JsonObject = {"delta": self._end(heard), "usage": _usage(heard), "fclocal": self._about(heard)}
        yield _event("message_delta", ended)
        yield _event("message_stop", {})

    def _head(self, content: list[Json]) -> dict[str, Json]:
        head: dict[str, Json] = {"id": self.id, "type": "message", "role": "assistant"}
        return {**head, "model": self.chosen.source.name, "content": content}

    def _end(self, heard: Heard) -> JsonObject:
        finished = heard.finished
        stops = self.wanted.stop
        match finished.reason:
            case "calls":
                reason = "tool_use"
            case "length" | "cancelled":
                reason = "max_tokens"
            case "stop":
                reason = "stop_sequence" if finished.at_stop else "end_turn"
        sequence = stops[0] if finished.at_stop and len(stops) == 1 else None
        return {"stop_reason": reason, "stop_sequence": sequence}

    def _about(self, heard: Heard) -> JsonObject:
        about = dict(heard.about())
        if self.body.ignored:
            about["ignored"] = self.body.ignored
        return about


def _usage(heard: Heard) -> JsonObject:
    timings = heard.finished.timings
    return {
        "input_tokens": timings.prompt_tokens - timings.cached_tokens,
        "cache_read_input_tokens": timings.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": reply_tokens(timings),
    }


def _event(kind: str, values: JsonObject) -> bytes:
    return sse({"type": kind, **values}, event=kind)


def _failed_chunk(error: Exception) -> bytes:
    return sse(body_of(failure_of(error), "anthropic"), event="error")
