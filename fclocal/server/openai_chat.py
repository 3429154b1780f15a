"""OpenAI's POST /v1/chat/completions: replies as one JSON object or as a stream of chunks."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fclocal.chat.model import Model
from fclocal.chat.receipt import plain
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
    TokenScore,
    TokensScored,
)
from fclocal.functions import Json, JsonObject
from fclocal.runtime import Chosen
from fclocal.server.endpoint import Endpoint, Heard, hear, reply_tokens
from fclocal.server.failures import body_of, failure_of
from fclocal.server.openai_bodies import ChatBody, reply_request
from fclocal.server.streams import Chunks, Stream, dumps, sse, while_connected

DONE = b"data: [DONE]\n\n"


def chat_routes(endpoint: Endpoint) -> APIRouter:
    """The route of chat completions."""
    router = APIRouter()

    @router.post("/v1/chat/completions", summary="Chat with functions")
    async def chat(body: ChatBody, request: Request) -> Response:
        wanted = reply_request(body, endpoint)
        chosen = await endpoint.models.find(body.model)
        answer = _Answer(endpoint, body, wanted, chosen)
        if body.stream:
            return Stream(answer.chunks(), on_error=failed_chunk, seconds=endpoint.settings.limits.reply)
        value = await while_connected(request.receive, answer.whole(), seconds=endpoint.settings.limits.reply)
        return JSONResponse(plain(value))

    return router


def failed_chunk(error: Exception) -> bytes:
    """How a stream that has begun says that it cannot go on."""
    return sse(body_of(failure_of(error), "openai"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """One chat request on its way to its answer."""

    endpoint: Endpoint
    body: ChatBody
    wanted: ReplyRequest
    chosen: Chosen
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    async def whole(self) -> JsonObject:
        """The reply as one object."""
        choices: list[JsonObject] = []
        heard: list[Heard] = []
        async with self.endpoint.seat(self.chosen) as model:
            for index, request in enumerate(self._requests()):
                heard.append(await hear(self.endpoint.reply(model, request)))
                choices.append(self._choice(index, heard[-1]))
            fingerprint = f"fc-{model.sha256[:12]}"
        return {
            **self._head("chat.completion", fingerprint),
            "choices": choices,
            "usage": usage(heard),
        }

    async def chunks(self) -> Chunks:
        """The reply as server-sent events."""
        heard: list[Heard] = []
        async with self.endpoint.seat(self.chosen) as model:
            fingerprint = f"fc-{model.sha256[:12]}"
            for index, request in enumerate(self._requests()):
                heard.append(Heard())
                async with aclosing(self._deltas(model, request, heard[-1])) as deltas:
                    async for part in deltas:
                        choice: JsonObject = {"index": index, "delta": {}, "finish_reason": None, **part}
                        yield sse({**self._head("chat.completion.chunk", fingerprint), "choices": [choice]})
        options = self.body.stream_options
        if options and options.include_usage:
            yield sse({**self._head("chat.completion.chunk", fingerprint), "choices": [], "usage": usage(heard)})
        yield DONE

    async def _deltas(self, model: Model, request: ReplyRequest, heard: Heard) -> AsyncGenerator[JsonObject, None]:
        """What each chunk of one choice says."""
        begun = False
        scored: list[TokenScore] = []
        async with aclosing(self.endpoint.reply(model, request)) as events:
            async for event in events:
                heard.add(event)
                if isinstance(event, TokensScored):
                    scored += event.tokens
                delta = self._delta(event)
                if isinstance(event, PromptRead) and not begun:
                    begun, delta = True, {"role": "assistant", "content": ""}
                if isinstance(event, ReplyFinished):
                    delta = {"fclocal": self._about(heard)}
                if delta is None:
                    continue
                part: dict[str, Json] = {"delta": delta}
                if isinstance(event, TextDelta | ReplyFinished) and scored and not heard.calls:
                    part["logprobs"] = {"content": [score_json(token) for token in scored], "refusal": None}
                    scored.clear()
                if isinstance(event, ReplyFinished):
                    part["finish_reason"] = self._reason(event)
                yield part

    def _delta(self, event: ReplyEvent) -> JsonObject | None:
        match event:
            case TextDelta(text=text):
                return {"content": text}
            case ThinkingDelta(text=text):
                return {"reasoning_content": text}
            case CallStarted(name=name) if self.body.legacy:
                return {"function_call": {"name": name, "arguments": ""}}
            case ArgumentsDelta(text=text) if self.body.legacy:
                return {"function_call": {"arguments": text}}
            case CallStarted(index=at, id=call_id, name=name):
                function: JsonObject = {"name": name, "arguments": ""}
                return {"tool_calls": [{"index": at, "id": call_id, "type": "function", "function": function}]}
            case ArgumentsDelta(index=at, text=text):
                return {"tool_calls": [{"index": at, "function": {"arguments": text}}]}
            case _:
                return None

    def _choice(self, index: int, heard: Heard) -> JsonObject:
        message: dict[str, Json] = {"role": "assistant", "content": heard.text or None, "refusal": None}
        if heard.thinking:
            message["reasoning_content"] = heard.thinking
        calls: list[Json] = [
            {"id": ready.call.id, "type": "function", "function": _function(ready)} for ready in heard.calls
        ]
        if calls and self.body.legacy:
            message["function_call"] = _function(heard.calls[0])
        elif calls:
            message["tool_calls"] = calls
        else:
            message["content"] = heard.text
        message["fclocal"] = self._about(heard)
        scores = heard.scores if self.wanted.scores and not calls else None
        logprobs = None if scores is None else {"content": [score_json(token) for token in scores], "refusal": None}
        reason = self._reason(heard.finished)
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}

    def _about(self, heard: Heard) -> JsonObject:
        about = dict(heard.about())
        if self.body.ignored:
            about["ignored"] = self.body.ignored
        return about

    def _reason(self, finished: ReplyFinished) -> str:
        match finished.reason:
            case "calls":
                return "function_call" if self.body.legacy else "tool_calls"
            case "length" | "cancelled":
                return "length"
            case "stop":
                return "stop"

    def _requests(self) -> Iterable[ReplyRequest]:
        """One request a choice; each has its own seed."""
        for index in range(self.body.n or 1):
            sampling = self.wanted.sampling
            yield replace(self.wanted, sampling=replace(sampling, seed=(sampling.seed + index) % (1 << 64)))

    def _head(self, kind: str, fingerprint: str) -> dict[str, Json]:
        name = self.chosen.source.name
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": name,
            "system_fingerprint": fingerprint,
        }


def usage(replies: Iterable[Heard]) -> JsonObject:
    """OpenAI's token counts; the prompt is counted once for all choices."""
    timings = [heard.finished.timings for heard in replies]
    prompt = timings[0].prompt_tokens if timings else 0
    written = sum(reply_tokens(each) for each in timings)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": timings[0].cached_tokens if timings else 0},
    }


def score_json(token: TokenScore) -> JsonObject:
    """One token with its log-probability; a token that the grammar forced has 0, which is certainty."""
    top = [_entry(piece, logprob) for piece, logprob in token.top]
    return {**_entry(token.piece, token.logprob or 0.0), "top_logprobs": top}


def _entry(piece: bytes, logprob: float) -> dict[str, Json]:
    return {"token": piece.decode("utf-8", "replace"), "logprob": max(logprob, -9999.0), "bytes": list(piece)}


def _call(ready: CallReady) -> JsonObject:
    return {"id": ready.call.id, "type": "function", "function": _function(ready)}


def _function(ready: CallReady) -> JsonObject:
    return {"name": ready.call.name, "arguments": dumps(ready.call.arguments)}
