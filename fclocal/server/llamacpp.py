"""llama.cpp's own server routes: /completion with the prompt as given, /tokenize, /detokenize, /props, /health."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field, JsonValue
from starlette.responses import JSONResponse, Response

from fclocal import __version__
from fclocal.chat.model import Model
from fclocal.chat.receipt import plain
from fclocal.engine.engine import MAX_TOP_LOGPROBS
from fclocal.engine.owner import DEFAULT_CONTEXT
from fclocal.engine.request import Stopped, Token
from fclocal.events import Timings
from fclocal.functions import Json, JsonObject
from fclocal.runtime import Chosen
from fclocal.server.endpoint import Endpoint, reply_tokens
from fclocal.server.failures import body_of, failure_of, reject
from fclocal.server.openai_bodies import Lenient, Number, Stop, stops_of
from fclocal.server.openai_text import MAX_PROMPTS, TokenId
from fclocal.server.raw import Prompt, RawRequest, Typed, Written, as_text, prompt_tokens, type_out, write_on
from fclocal.server.streams import Chunks, Stream, sse, while_connected

Bias = Annotated[float, Field(ge=-100, le=100)]
Positive = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]


class CompletionBody(Lenient):
    """The body of POST /completion. `n_predict` and `seed` -1 mean llama.cpp's own defaults: to the end of the context,
    and a random one."""

    prompt: str | list[TokenId | str | list[TokenId | str]]
    model: str | None = None
    n_predict: Annotated[int, Field(ge=-2, le=2**31)] | None = None
    max_tokens: Annotated[int, Field(ge=-1, le=2**31)] | None = None
    stream: bool = False
    stop: Stop | None = None
    seed: Annotated[int, Field(ge=-1, le=2**64 - 1)] | None = None
    temperature: Number | None = None
    top_k: Annotated[int, Field(le=2**31)] | None = None
    top_p: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    repeat_penalty: Positive | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: list[tuple[int | str, Bias | bool]] | dict[int, Bias] | None = None
    n_probs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] = 0
    json_schema: dict[str, JsonValue] | bool | None = None
    grammar: str | None = None
    return_tokens: bool = False
    cache_prompt: bool = True
    id_slot: int = -1
    timings_per_token: bool = False


class TokenizeBody(Lenient):
    """The body of POST /tokenize."""

    content: str
    add_special: bool = False
    parse_special: bool = True
    with_pieces: bool = False


class DetokenizeBody(Lenient):
    """The body of POST /detokenize."""

    tokens: list[TokenId]


def llamacpp_routes(endpoint: Endpoint) -> APIRouter:
    """Every route of this file."""
    router = APIRouter()

    @router.post("/completions", summary="Continue a prompt as it is", include_in_schema=False)
    @router.post("/completion", summary="Continue a prompt as it is")
    async def completion(body: CompletionBody, request: Request) -> Response:
        if body.grammar:
            raise reject("GBNF grammars are not taken; use json_schema.", param="grammar")
        prompts = prompts_of(body)
        if body.stream and len(prompts) > 1:
            raise reject("Only one prompt can be streamed.", param="prompt")
        answer = _Answer(endpoint, body, await endpoint.models.find(body.model))
        seconds = endpoint.settings.limits.reply
        if body.stream:
            return Stream(answer.chunks(prompts[0]), on_error=_failed_chunk, seconds=seconds)
        values = await while_connected(request.receive, answer.whole(prompts), seconds=seconds)
        return JSONResponse(plain(values[0] if len(values) == 1 else values))

    @router.post("/tokenize", summary="Text to tokens")
    async def tokenize(body: TokenizeBody) -> Response:
        async with endpoint.models.lease(await endpoint.models.find(None)) as model:
            tokens = await asyncio.to_thread(model.engine.tokenize, body.content, special=body.parse_special)
            tokens = (*model.engine.bos(), *tokens) if body.add_special else tokens
            if not body.with_pieces:
                return JSONResponse({"tokens": list(tokens)})
            pieces = [{"id": token, "piece": _piece(model.engine.detokenize((token,)))} for token in tokens]
        return JSONResponse({"tokens": pieces})

    @router.post("/detokenize", summary="Tokens to text")
    async def detokenize(body: DetokenizeBody) -> Response:
        async with endpoint.models.lease(await endpoint.models.find(None)) as model:
            text = model.engine.detokenize(body.tokens)
        return JSONResponse({"content": text.decode("utf-8", "replace")})

    @router.get("/props", summary="What is served and how")
    async def props() -> Response:
        return JSONResponse(plain(_props(endpoint, await endpoint.models.find(None))))

    @router.get("/health", summary="Whether the server lives")
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    return router


@dataclass(frozen=True, slots=True)
class _Answer:
    endpoint: Endpoint
    body: CompletionBody
    chosen: Chosen

    async def whole(self, prompts: Sequence[Prompt]) -> list[JsonObject]:
        answers: list[JsonObject] = []
        async with self.endpoint.seat(self.chosen) as model:
            request = self._request(model)
            for index, prompt in enumerate(prompts):
                tokens = prompt_tokens(model, prompt)
                typed = await type_out(write_on(self.endpoint, model, tokens, request))
                answers.append(self._final(model, index, typed, request, prompt))
        return answers

    async def chunks(self, prompt: Prompt) -> Chunks:
        typed = Typed()
        async with self.endpoint.seat(self.chosen) as model:
            request = self._request(model)
            tokens = prompt_tokens(model, prompt)
            async with aclosing(write_on(self.endpoint, model, tokens, request)) as pieces:
                async for piece in pieces:
                    typed.add(piece)
                    match piece:
                        case Written(text=text, tokens=written):
                            yield sse(self._more(model, text, written, len(typed.tokens), len(tokens)))
                        case Stopped():
                            yield sse({**self._final(model, 0, typed, request, prompt), "content": ""})

    def _request(self, model: Model) -> RawRequest:
        body = self.body
        limit = body.n_predict if body.n_predict is not None else body.max_tokens
        most = self.endpoint.settings.max_tokens if limit is None else limit if limit >= 0 else model.engine.context
        sampling = self.endpoint.sampling(
            temperature=None if body.temperature is None else min(10.0, max(0.0, body.temperature)),
            top_p=None if body.top_p is None else min(1.0, max(1e-6, body.top_p)),
            seed=None if body.seed == -1 else body.seed,
            frequency_penalty=body.frequency_penalty,
            presence_penalty=body.presence_penalty,
            top_k=max(0, body.top_k or 0),
            min_p=body.min_p or 0.0,
            repeat_penalty=body.repeat_penalty or 1.0,
            logit_bias=_biases(model, body.logit_bias),
        )
        return RawRequest(sampling, max(1, most), stops_of(body.stop), body.json_schema, body.n_probs)

    def _more(self, model: Model, text: str, tokens: Sequence[Token], count: int, prompt: int) -> JsonObject:
        more: dict[str, Json] = {"index": 0, "content": text, "tokens": [token.id for token in tokens], "stop": False}
        more |= {"id_slot": -1, "tokens_predicted": count, "tokens_evaluated": prompt}
        if self.body.n_probs:
            more["completion_probabilities"] = [_probabilities(model, token) for token in tokens]
        return more

    def _final(self, model: Model, index: int, typed: Typed, request: RawRequest, prompt: Prompt) -> JsonObject:
        timings = typed.timings
        final: dict[str, Json] = {
            "index": index,
            "content": typed.text,
            "tokens": [token.id for token in typed.tokens] if self.body.return_tokens else [],
            "id_slot": -1,
            "stop": True,
            "model": self.chosen.source.name,
            "tokens_predicted": reply_tokens(timings),
            "tokens_evaluated": timings.prompt_tokens,
            "generation_settings": _settings(request),
            "prompt": prompt if isinstance(prompt, str) else as_text(model, prompt),
            "has_new_line": "\n" in typed.text,
            "truncated": False,
            "stop_type": {"end": "eos", "stop": "word", "length": "limit"}.get(typed.reason, "none"),
            "stopping_word": request.stop[0] if typed.reason == "stop" and len(request.stop) == 1 else "",
            "tokens_cached": timings.prompt_tokens + reply_tokens(timings),
            "timings": timings_json(timings),
        }
        if self.body.ignored:
            final["fclocal"] = {"ignored": self.body.ignored}
        if self.body.n_probs:
            final["completion_probabilities"] = [_probabilities(model, token) for token in typed.tokens]
        return final


def prompts_of(body: CompletionBody) -> list[Prompt]:
    """The prompts of a request: one text, one list of tokens and texts, or a list of either. Raises Rejected."""
    given = body.prompt
    if isinstance(given, str):
        return [given]
    flat = [item for item in given if not isinstance(item, list)]
    if len(flat) == len(given) and any(isinstance(item, int) for item in flat):
        return [flat]
    prompts: list[Prompt] = [[item] if isinstance(item, int) else item for item in given]
    if not 1 <= len(prompts) <= MAX_PROMPTS:
        raise reject(f"1 to {MAX_PROMPTS} prompts can be given, not {len(prompts)}.", param="prompt")
    return prompts


def timings_json(timings: Timings) -> JsonObject:
    """llama.cpp's `timings`: milliseconds and tokens per second."""
    read = timings.prompt_tokens - timings.cached_tokens
    written = reply_tokens(timings)
    return {
        "cache_n": timings.cached_tokens,
        "prompt_n": read,
        "prompt_ms": timings.prompt_ms,
        "prompt_per_token_ms": timings.prompt_ms / max(1, read),
        "prompt_per_second": 1000 * read / timings.prompt_ms if timings.prompt_ms else 0.0,
        "predicted_n": written,
        "predicted_ms": timings.reply_ms,
        "predicted_per_token_ms": timings.reply_ms / max(1, written),
        "predicted_per_second": 1000 * written / timings.reply_ms if timings.reply_ms else 0.0,
    }


def _failed_chunk(error: Exception) -> bytes:
    return sse(body_of(failure_of(error), "llamacpp"))


def _biases(
    model: Model, given: Sequence[tuple[int | str, float | bool]] | dict[int, float] | None
) -> dict[int, float]:
    """Biases by token; `false` forbids a token, a text means each of its tokens."""
    if isinstance(given, dict):
        return given
    biases: dict[int, float] = {}
    for token, bias in given or ():
        if bias is True:
            raise reject("A bias is a number, or false.", param="logit_bias")
        ids = [token] if isinstance(token, int) else model.engine.tokenize(token, special=False)
        biases |= dict.fromkeys(ids, -1e9 if bias is False else float(bias))
    return biases


def _probabilities(model: Model, token: Token) -> JsonObject:
    top = [_scored(other, model.engine.detokenize((other,)), logprob) for other, logprob in token.top]
    return {**_scored(token.id, token.piece, token.logprob or 0.0), "top_logprobs": top}


def _scored(token: int, piece: bytes, logprob: float) -> JsonObject:
    return {"id": token, "token": piece.decode("utf-8", "replace"), "bytes": list(piece), "logprob": logprob}


def _settings(request: RawRequest) -> JsonObject:
    sampling = request.sampling
    return {
        "n_predict": request.max_tokens,
        "seed": sampling.seed,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": list(request.stop),
    }


def _props(endpoint: Endpoint, chosen: Chosen) -> JsonObject:
    model = endpoint.models.loaded
    trained = chosen.source.facts.context
    context = model.engine.context if model else endpoint.settings.options.context or min(trained, DEFAULT_CONTEXT)
    defaults = _settings(RawRequest(endpoint.settings.sampling, endpoint.settings.max_tokens))
    return {
        "default_generation_settings": {"n_ctx": context, "params": defaults},
        "total_slots": endpoint.settings.limits.parallel,
        "model_alias": chosen.source.name,
        "model_path": chosen.source.path.name,
        "modalities": {"vision": False, "audio": False},
        "chat_template": chosen.source.chat_template,
        "eos_token": chosen.eos,
        "build_info": f"fclocal {__version__}",
        "is_sleeping": model is None,
    }


def _piece(piece: bytes) -> str | list[int]:
    """A token's text, or its bytes where they are not whole characters, as llama.cpp writes them."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return list(piece)
