"""OpenAI's POST /v1/responses, without memory: a reply as output items, whole or as a stream of events."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fclocal.chat.receipt import plain, receipt_json
from fclocal.chat.reply import ReplyRequest
from fclocal.events import (
    ArgumentsDelta,
    CallReady,
    CallStarted,
    PromptRead,
    ReplyEvent,
    ReplyFinished,
    TextDelta,
    ThinkingDelta,
    TokensScored,
)
from fclocal.functions import Json, JsonObject
from fclocal.runtime import Chosen
from fclocal.server.endpoint import Endpoint, Heard, reply_tokens
from fclocal.server.failures import failure_of
from fclocal.server.openai_chat import score_json
from fclocal.server.responses_bodies import ResponsesBody, responses_request
from fclocal.server.streams import Chunks, Stream, dumps, sse, while_connected


def responses_routes(endpoint: Endpoint) -> APIRouter:
    """The route of responses."""
    router = APIRouter()

    @router.post("/v1/responses", summary="Reply with output items")
    async def respond(body: ResponsesBody, request: Request) -> Response:
        wanted = responses_request(body, endpoint)
        chosen = await endpoint.models.find(body.model)
        answer = _Answer(endpoint, body, wanted, chosen)
        seconds = endpoint.settings.limits.reply
        if body.stream:
            return Stream(answer.chunks(), on_error=_failed_chunk, seconds=seconds)
        return JSONResponse(plain(await while_connected(request.receive, answer.whole(), seconds=seconds)))

    return router


@dataclass(slots=True)
class _Item:
    """An output item that grows: a call when it has a `name`, thinking, or a message."""

    kind: str
    id: str
    call_id: str = ""
    name: str = ""
    text: str = ""
    receipt: JsonObject | None = None
    logprobs: list[Json] = field(default_factory=list)

    def json(self, *, status: str) -> JsonObject:
        """The item as it stands."""
        head: dict[str, Json] = {"id": self.id, "type": self.kind, "status": status}
        match self.kind:
            case "function_call":
                call: dict[str, Json] = {"call_id": self.call_id, "name": self.name, "arguments": self.text}
                return {**head, **call, **({"fclocal": self.receipt} if self.receipt else {})}
            case "reasoning":
                return {**head, "summary": [], "content": [{"type": "reasoning_text", "text": self.text}]}
            case _:
                content = [self.part()] if self.text or status == "completed" else []
                return {**head, "role": "assistant", "content": content}

    def part(self) -> JsonObject:
        """The only content part of a message."""
        return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": self.logprobs}


@dataclass(slots=True)
class _Script:
    """The events of one reply. What each event is called and holds is OpenAI's."""

    items: list[_Item] = field(default_factory=list)
    open: _Item | None = None
    number: int = 0

    def write(self, event: ReplyEvent) -> Iterable[JsonObject]:
        """The stream events that one reply event makes."""
        match event:
            case TextDelta(text=text):
                yield from self._grow("message", text)
            case ThinkingDelta(text=text):
                yield from self._grow("reasoning", text)
            case TokensScored(tokens=tokens):
                scored = self.open if self.open and self.open.kind == "message" else None
                if scored:
                    scored.logprobs += [score_json(token) for token in tokens]
            case CallStarted(id=call_id, name=name):
                yield from self.close()
                yield from self._begin(_Item("function_call", f"fc_{secrets.token_hex(12)}", call_id, name))
            case ArgumentsDelta(text=text) if self.open:
                self.open.text += text
                yield self.event("response.function_call_arguments.delta", self._at(delta=text))
            case CallReady(call=call, receipt=receipt) if self.open:
                self.open.text = self.open.text or dumps(call.arguments)
                self.open.receipt = receipt_json(receipt)
                yield from self.close()
            case ReplyFinished():
                yield from self.close()

    def event(self, kind: str, values: JsonObject) -> JsonObject:
        """One event with its number."""
        self.number += 1
        return {"type": kind, "sequence_number": self.number - 1, **values}

    def close(self) -> Iterable[JsonObject]:
        """The events that end the item that is open."""
        item = self.open
        if item is None:
            return
        match item.kind:
            case "function_call":
                done = self._at(arguments=item.text, name=item.name)
                yield self.event("response.function_call_arguments.done", done)
            case "reasoning":
                yield self.event("response.reasoning_text.done", self._at(content_index=0, text=item.text))
            case _:
                text = self._at(content_index=0, text=item.text, logprobs=item.logprobs)
                yield self.event("response.output_text.done", text)
                yield self.event("response.content_part.done", self._at(content_index=0, part=item.part()))
        index = len(self.items) - 1
        closed: JsonObject = {"output_index": index, "item": item.json(status="completed")}
        yield self.event("response.output_item.done", closed)
        self.open = None

    def _grow(self, kind: str, text: str) -> Iterable[JsonObject]:
        if self.open is None or self.open.kind != kind:
            yield from self.close()
            item = _Item(kind, f"{'msg' if kind == 'message' else 'rs'}_{secrets.token_hex(12)}")
            yield from self._begin(item)
            if kind == "message":
                yield self.event("response.content_part.added", self._at(content_index=0, part=item.part()))
        assert self.open
        self.open.text += text
        if kind == "message":
            yield self.event("response.output_text.delta", self._at(content_index=0, delta=text, logprobs=[]))
        else:
            yield self.event("response.reasoning_text.delta", self._at(content_index=0, delta=text))

    def _begin(self, item: _Item) -> Iterable[JsonObject]:
        self.items.append(item)
        self.open = item
        begun: JsonObject = {"output_index": len(self.items) - 1, "item": item.json(status="in_progress")}
        yield self.event("response.output_item.added", begun)

    def _at(self, **values: Json) -> JsonObject:
        assert self.open
        return {"item_id": self.open.id, "output_index": len(self.items) - 1, **values}


@dataclass(frozen=True, slots=True)
class _Answer:
    endpoint: Endpoint
    body: ResponsesBody
    wanted: ReplyRequest
    chosen: Chosen
    id: str = field(default_factory=lambda: f"resp_{secrets.token_hex(16)}")
    created: int = field(default_factory=lambda: int(time.time()))

    async def whole(self) -> JsonObject:
        script, heard = _Script(), Heard()
        seat = self.endpoint.seat(self.chosen)
        async with seat as model, aclosing(self.endpoint.reply(model, self.wanted)) as events:
            async for event in events:
                heard.add(event)
                for _ in script.write(event):
                    pass
        return self._response(script.items, heard)

    async def chunks(self) -> Chunks:
        script, heard, begun = _Script(), Heard(), False
        seat = self.endpoint.seat(self.chosen)
        async with seat as model, aclosing(self.endpoint.reply(model, self.wanted)) as events:
            async for event in events:
                if isinstance(event, PromptRead) and not begun:
                    begun = True
                    yield _chunk(script.event("response.created", {"response": self._response((), None)}))
                    yield _chunk(script.event("response.in_progress", {"response": self._response((), None)}))
                heard.add(event)
                for made in script.write(event):
                    yield _chunk(made)
        ended = self._response(script.items, heard)
        yield _chunk(script.event(f"response.{ended['status']}", {"response": ended}))

    def _response(self, items: Sequence[_Item], heard: Heard | None) -> JsonObject:
        """The response object; without `heard`, as it is before anything is written."""
        body = self.body
        cut = heard is not None and heard.finished.reason in ("length", "cancelled")
        status = "in_progress" if heard is None else "incomplete" if cut else "completed"
        head: dict[str, Json] = {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": self.chosen.source.name,
            "output": [item.json(status="completed") for item in items],
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": _usage(heard) if heard else None,
        }
        said: dict[str, Json] = body.model_dump(
            include={"instructions", "metadata", "temperature", "top_p", "max_output_tokens", "user"}
        )
        asked: dict[str, Json] = {
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "tool_choice": _tool_choice(body),
            "tools": list(body.tools or ()),
            "text": {"format": body.text.format.model_dump(by_alias=True, exclude_none=True)}
            if body.text and body.text.format
            else {"format": {"type": "text"}},
            "previous_response_id": None,
            "store": False,
            "truncation": "disabled",
        }
        about = dict(heard.about()) if heard else {}
        if body.ignored:
            about["ignored"] = body.ignored
        return {**head, **said, **asked, "fclocal": about}


def _tool_choice(body: ResponsesBody) -> Json:
    choice = body.tool_choice
    if choice is None:
        return "auto"
    return choice if isinstance(choice, str) else choice.model_dump()


def _usage(heard: Heard) -> JsonObject:
    timings = heard.finished.timings
    written = reply_tokens(timings)
    return {
        "input_tokens": timings.prompt_tokens,
        "input_tokens_details": {"cached_tokens": timings.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": timings.prompt_tokens + written,
    }


def _chunk(event: JsonObject) -> bytes:
    return sse(event, event=str(event["type"]))


def _failed_chunk(error: Exception) -> bytes:
    failure = failure_of(error)
    values: JsonObject = {"type": "error", "code": failure.code, "message": failure.sentence, "param": failure.param}
    return sse({**values, "sequence_number": 0}, event="error")
