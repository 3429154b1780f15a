"""OpenAI's POST /v1/completions: prompts continued as they are."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from fclocal.chat.model import Model
from fclocal.chat.receipt import plain
from fclocal.engine.request import Prefilled, Stopped, StopReason, Token
from fclocal.functions import Json, JsonObject
from fclocal.runtime import Chosen
from fclocal.server.endpoint import Endpoint, reply_tokens
from fclocal.server.failures import reject
from fclocal.server.openai_bodies import SamplingBody, schema_of, stops_of
from fclocal.server.openai_chat import DONE, failed_chunk
from fclocal.server.raw import Prompt, RawRequest, Typed, Written, as_text, prompt_tokens, type_out, write_on
from fclocal.server.streams import Chunks, Stream, sse, while_connected

MAX_PROMPTS = 32
TokenId = Annotated[int, Field(ge=0, le=2**31)]


class TextBody(SamplingBody):
    """The body of POST /v1/completions."""

    prompt: str | list[str] | list[TokenId] | list[list[TokenId]]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: str | None = None


def text_routes(endpoint: Endpoint) -> APIRouter:
    """The route of text completions."""
    router = APIRouter()

    @router.post("/v1/completions", summary="Continue a prompt")
    async def complete(body: TextBody, request: Request) -> Response:
        if body.suffix:
            raise reject("A suffix cannot be used: this server does not fill in the middle.", param="suffix")
        chosen = await endpoint.models.find(body.model)
        answer = _Answer(endpoint, body, _raw_request(body, endpoint), _prompts(body), chosen)
        seconds = endpoint.settings.limits.reply
        if body.stream:
            return Stream(answer.chunks(), on_error=failed_chunk, seconds=seconds)
        return JSONResponse(plain(await while_connected(request.receive, answer.whole(), seconds=seconds)))

    return router


@dataclass(frozen=True, slots=True)
class _Answer:
    endpoint: Endpoint
    body: TextBody
    wanted: RawRequest
    prompts: Sequence[Prompt]
    chosen: Chosen
    id: str = field(default_factory=lambda: f"cmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    async def whole(self) -> JsonObject:
        choices: list[JsonObject] = []
        replies: list[Typed] = []
        async with self.endpoint.seat(self.chosen) as model:
            for prompt, request in self._requests():
                typed = await type_out(write_on(self.endpoint, model, prompt_tokens(model, prompt), request))
                replies.append(typed)
                lead = self._echo(model, prompt)
                scores = self._scores(model, typed.tokens, len(lead))
                choices.append(_choice(len(choices), lead + typed.text, scores, _reason(typed.reason)))
        return {**self._head(), "choices": choices, "usage": self._usage(replies)}

    async def chunks(self) -> Chunks:
        replies: list[Typed] = []
        async with self.endpoint.seat(self.chosen) as model:
            for index, (prompt, request) in enumerate(self._requests()):
                replies.append(Typed())
                lead = self._echo(model, prompt)
                async with aclosing(write_on(self.endpoint, model, prompt_tokens(model, prompt), request)) as pieces:
                    async for piece in pieces:
                        offset = len(lead) + len(replies[-1].text)
                        replies[-1].add(piece)
                        match piece:
                            case Prefilled(done=done, cached=cached) if done == cached:
                                yield self._chunk(_choice(index, lead, None, None))
                            case Written(text=text, tokens=tokens):
                                yield self._chunk(_choice(index, text, self._scores(model, tokens, offset), None))
                            case Stopped(reason=reason):
                                yield self._chunk(_choice(index, "", None, _reason(reason)))
        options = self.body.stream_options
        if options and options.include_usage:
            yield sse({**self._head(), "choices": [], "usage": self._usage(replies)})
        yield DONE

    def _requests(self) -> Iterable[tuple[Prompt, RawRequest]]:
        for prompt in self.prompts:
            for at in range(self.body.n or 1):
                sampling = replace(self.wanted.sampling, seed=(self.wanted.sampling.seed + at) % (1 << 64))
                yield prompt, replace(self.wanted, sampling=sampling)

    def _chunk(self, choice: JsonObject) -> bytes:
        return sse({**self._head(), "choices": [choice]})

    def _head(self) -> dict[str, Json]:
        about: dict[str, Json] = {"ignored": self.body.ignored} if self.body.ignored else {}
        head: dict[str, Json] = {"id": self.id, "object": "text_completion", "created": self.created}
        return {**head, "model": self.chosen.source.name, "fclocal": about}

    def _echo(self, model: Model, prompt: Prompt) -> str:
        if not self.body.echo:
            return ""
        return prompt if isinstance(prompt, str) else as_text(model, prompt)

    def _scores(self, model: Model, tokens: Sequence[Token], offset: int) -> JsonObject | None:
        """OpenAI's parallel lists; a token that the grammar forced has 0, which is certainty."""
        if self.body.logprobs is None:
            return None
        texts = [token.piece.decode("utf-8", "replace") for token in tokens]
        offsets: list[int] = []
        for text in texts:
            offsets.append(offset)
            offset += len(text)
        top = [{model.engine.token_text(other): logprob for other, logprob in token.top} for token in tokens]
        logprobs = [token.logprob or 0.0 for token in tokens]
        return {"tokens": texts, "token_logprobs": logprobs, "top_logprobs": top, "text_offset": offsets}

    def _usage(self, replies: Sequence[Typed]) -> JsonObject:
        each = self.body.n or 1
        prompt = sum(typed.timings.prompt_tokens for typed in replies[::each])
        written = sum(reply_tokens(typed.timings) for typed in replies)
        return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _raw_request(body: TextBody, endpoint: Endpoint) -> RawRequest:
    return RawRequest(
        sampling=endpoint.sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            seed=body.seed,
            frequency_penalty=body.frequency_penalty,
            presence_penalty=body.presence_penalty,
            logit_bias=body.logit_bias or {},
        ),
        max_tokens=body.max_tokens or endpoint.settings.max_tokens,
        stop=stops_of(body.stop),
        schema=schema_of(body.response_format),
        top_logprobs=body.logprobs or 0,
    )


def _prompts(body: TextBody) -> list[Prompt]:
    given = body.prompt
    if isinstance(given, str):
        return [given]
    prompts: list[Prompt] = []
    if given and isinstance(given[0], int):
        prompts.append([item for item in given if isinstance(item, int)])
    else:
        prompts += [item for item in given if not isinstance(item, int)]
    if not 1 <= len(prompts) <= MAX_PROMPTS:
        raise reject(f"1 to {MAX_PROMPTS} prompts can be given, not {len(prompts)}.", param="prompt")
    return prompts


def _choice(index: int, text: str, scores: JsonObject | None, reason: str | None) -> JsonObject:
    return {"index": index, "text": text, "logprobs": scores, "finish_reason": reason}


def _reason(reason: StopReason) -> str:
    return "length" if reason in ("length", "cancelled") else "stop"
