"""Ollama's /api/chat, /api/generate, /api/tags, /api/show, /api/ps and /api/version: lines of JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter_ns
from typing import Literal, TypeAlias

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fclocal import __version__
from fclocal.chat.receipt import plain
from fclocal.chat.reply import ReplyRequest
from fclocal.engine.request import Stopped
from fclocal.events import CallReady, ReplyFinished, TextDelta, ThinkingDelta, Timings
from fclocal.functions import Json, JsonObject
from fclocal.models.store import Store
from fclocal.runtime import Chosen
from fclocal.server.endpoint import Endpoint, Heard, reply_tokens
from fclocal.server.failures import body_of, failure_of, reject
from fclocal.server.ollama_bodies import (
    OllamaBody,
    OllamaChatBody,
    OllamaGenerateBody,
    ShowBody,
    chat_request,
    generate_request,
    ignored_by,
    limit_of,
    sampling_of,
    schema_of,
    seconds_of,
)
from fclocal.server.openai_bodies import stops_of
from fclocal.server.openai_models import served_names
from fclocal.server.raw import RawRequest, Written, prompt_tokens, write_on
from fclocal.server.streams import Chunks, Stream, ndjson, while_connected

Values: TypeAlias = AsyncGenerator[JsonObject, None]
LINES = "application/x-ndjson"


def ollama_routes(endpoint: Endpoint) -> APIRouter:
    """Every route of this file."""
    router = APIRouter()

    async def send(body: OllamaBody, answer: _Answer, values: Values, request: Request) -> Response:
        seconds = endpoint.settings.limits.reply
        if body.stream:
            return Stream(_lines(values), on_error=_failed_line, seconds=seconds, media_type=LINES)
        value = await while_connected(request.receive, answer.whole(values), seconds=seconds)
        return JSONResponse(plain(value))

    @router.post("/api/chat", summary="Chat with functions, Ollama's form")
    async def chat(body: OllamaChatBody, request: Request) -> Response:
        answer = _Answer(endpoint, body, await endpoint.models.find(body.model), "chat")
        values = answer.values(chat_request(body, endpoint)) if body.messages else answer.only_load()
        return await send(body, answer, values, request)

    @router.post("/api/generate", summary="Answer a prompt, Ollama's form")
    async def generate(body: OllamaGenerateBody, request: Request) -> Response:
        if body.suffix or body.images:
            raise reject("suffix and images are not understood; only a prompt is.")
        answer = _Answer(endpoint, body, await endpoint.models.find(body.model), "generate")
        if not body.prompt:
            values = answer.only_load()
        elif body.raw:
            values = answer.raw_values(body.prompt)
        else:
            values = answer.values(generate_request(body, endpoint))
        return await send(body, answer, values, request)

    @router.get("/api/tags", summary="Models on this machine")
    async def tags() -> Response:
        return JSONResponse(plain({"models": await _tags(endpoint)}))

    @router.get("/api/ps", summary="The model in memory")
    async def running() -> Response:
        loaded = endpoint.models.loaded
        return JSONResponse(
            plain({"models": [m for m in await _tags(endpoint) if loaded and m["name"] == loaded.name]})
        )

    @router.post("/api/show", summary="One model")
    async def show(body: ShowBody) -> Response:
        chosen = await endpoint.models.find(body.model or body.name)
        return JSONResponse(plain(_show(chosen)))

    @router.get("/api/version", summary="Version")
    async def version() -> Response:
        return JSONResponse({"version": __version__})

    return router


@dataclass(frozen=True, slots=True)
class _Answer:
    endpoint: Endpoint
    body: OllamaBody
    chosen: Chosen
    kind: Literal["chat", "generate"]
    began: int = field(default_factory=perf_counter_ns)

    async def whole(self, values: Values) -> JsonObject:
        """The values of a stream as one: texts joined, calls in order."""
        text, thinking = "", ""
        calls: list[Json] = []
        last: JsonObject = {}
        async with aclosing(values):
            async for value in values:
                last = value
                said = value.get("message", {}) if self.kind == "chat" else value
                assert isinstance(said, dict)
                text += str(said.get("content" if self.kind == "chat" else "response", ""))
                thinking += str(said.get("thinking", ""))
                calls += said.get("tool_calls", [])
        return {**last, **self._said(text, thinking, calls)}

    async def values(self, request: ReplyRequest) -> Values:
        """What each line says."""
        heard = Heard()
        seat = self.endpoint.seat(self.chosen, keep_alive=seconds_of(self.body.keep_alive))
        async with seat as model, aclosing(self.endpoint.reply(model, request)) as events:
            async for event in events:
                heard.add(event)
                match event:
                    case TextDelta(text=text):
                        yield self._line(text)
                    case ThinkingDelta(text=text):
                        yield self._line(thinking=text)
                    case CallReady(index=index, call=call):
                        function: JsonObject = {"index": index, "name": call.name, "arguments": call.arguments}
                        yield self._line(calls=[{"id": call.id, "function": function}])
                    case ReplyFinished(reason=reason, timings=timings):
                        about = dict(heard.about())
                        yield self._last("length" if reason in ("length", "cancelled") else "stop", timings, about)

    async def raw_values(self, prompt: str) -> Values:
        """What each line says when the prompt is taken as it is."""
        request = RawRequest(
            sampling_of(self.body, self.endpoint),
            limit_of(self.body, self.endpoint),
            stops_of(self.body.options.stop if self.body.options else None),
            schema_of(self.body),
        )
        async with self.endpoint.seat(self.chosen, keep_alive=seconds_of(self.body.keep_alive)) as model:
            tokens = prompt_tokens(model, prompt)
            async with aclosing(write_on(self.endpoint, model, tokens, request)) as pieces:
                async for piece in pieces:
                    match piece:
                        case Written(text=text):
                            yield self._line(text)
                        case Stopped(reason=reason, timings=timings):
                            yield self._last("length" if reason in ("length", "cancelled") else "stop", timings, {})

    async def only_load(self) -> Values:
        """Load the model, or with keep_alive 0 unload it."""
        async with self.endpoint.models.lease(self.chosen, keep_alive=seconds_of(self.body.keep_alive)):
            pass
        yield self._last("unload" if seconds_of(self.body.keep_alive) == 0 else "load", Timings(), {})

    def _line(self, text: str = "", thinking: str = "", calls: Sequence[Json] = ()) -> JsonObject:
        return {**self._head(), **self._said(text, thinking, calls), "done": False}

    def _said(self, text: str, thinking: str, calls: Sequence[Json]) -> JsonObject:
        more: dict[str, Json] = {"thinking": thinking} if thinking else {}
        if self.kind == "generate":
            return {"response": text, **more}
        if calls:
            more["tool_calls"] = list(calls)
        return {"message": {"role": "assistant", "content": text, **more}}

    def _last(self, reason: str, timings: Timings, about: dict[str, Json]) -> JsonObject:
        ignored = ignored_by(self.body)
        if ignored:
            about["ignored"] = ignored
        read, written = int(timings.prompt_ms * 1e6), int(timings.reply_ms * 1e6)
        total = perf_counter_ns() - self.began
        return {
            **self._head(),
            **self._said("", "", ()),
            "done": True,
            "done_reason": reason,
            "total_duration": total,
            "load_duration": max(0, total - read - written),
            "prompt_eval_count": timings.prompt_tokens,
            "prompt_eval_duration": read,
            "eval_count": reply_tokens(timings),
            "eval_duration": written,
            "fclocal": about,
        }

    def _head(self) -> dict[str, Json]:
        return {"model": self.chosen.source.name, "created_at": _stamp(datetime.now(UTC).timestamp())}


async def _lines(values: Values) -> Chunks:
    async with aclosing(values):
        async for value in values:
            yield ndjson(value)


async def _tags(endpoint: Endpoint) -> list[JsonObject]:
    return [_tag(endpoint, name, path) for name, path in await served_names(endpoint)]


def _tag(endpoint: Endpoint, name: str, path: Path) -> JsonObject:
    try:
        status = path.stat()
        size, changed = status.st_size, status.st_mtime
    except OSError:
        size, changed = 0, 0.0
    digest = Store().known_sha256(path) or ""
    details: JsonObject = {"format": "gguf", "parent_model": "", "family": "", "families": [], "parameter_size": ""}
    details = {**details, "quantization_level": name.partition(":")[2]}
    tag: JsonObject = {"name": name, "model": name, "modified_at": _stamp(changed), "size": size}
    return {**tag, "digest": digest, "details": details}


def _show(chosen: Chosen) -> JsonObject:
    source = chosen.source
    architecture = source.facts.architecture
    shown = {key: value for key, value in source.header.metadata.items() if isinstance(value, str | int | float)}
    details: JsonObject = {
        "format": "gguf",
        "parent_model": "",
        "family": architecture,
        "families": [architecture],
        "parameter_size": "",
        "quantization_level": source.quant,
    }
    return {
        "modelfile": f"FROM {source.path.name}\n",
        "parameters": "",
        "template": source.chat_template,
        "details": details,
        "model_info": shown,
        "capabilities": ["completion", "tools"],
        "modified_at": _stamp(source.path.stat().st_mtime),
        "fclocal": {"dialect": chosen.dialect.name},
    }


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _failed_line(error: Exception) -> bytes:
    return ndjson(body_of(failure_of(error), "ollama"))
