"""Ollama's requests: their JSON, checked, to messages, functions and sampling. Knows no replies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from fclocal.chat.reply import ReplyRequest
from fclocal.engine.request import Sampling
from fclocal.functions import Function, JsonObject
from fclocal.grammar.calls import NamedChoice
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage
from fclocal.server.endpoint import Endpoint
from fclocal.server.failures import reject
from fclocal.server.openai_bodies import MAX_TOOLS, Lenient, Stop, functions_of, join_system, stops_of

_TIME = re.compile(r"(-?\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class OllamaOptions(Lenient):
    """Sampling and limits. Unknown ones are passed over and named in the reply."""

    temperature: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=0, le=2**31)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**64 - 1)] | None = None
    num_predict: Annotated[int, Field(ge=-2, le=2**31)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    stop: Stop | None = None


class OllamaFunction(Lenient):
    """Name and arguments of an earlier call."""

    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class OllamaCall(Lenient):
    """An earlier call."""

    id: str = ""
    function: OllamaFunction


class OllamaMessage(Lenient):
    """One message."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    images: list[JsonValue] | None = None
    tool_calls: list[OllamaCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaBody(Lenient):
    """What chat and generate have in common."""

    model: str
    stream: bool = True
    format: Literal["", "json"] | dict[str, JsonValue] | None = None
    options: OllamaOptions | None = None
    keep_alive: str | int | float | None = None
    think: bool | str | None = None


class OllamaChatBody(OllamaBody):
    """The body of POST /api/chat. Without messages the model is only loaded."""

    messages: list[OllamaMessage] = Field(default_factory=list)
    tools: list[dict[str, JsonValue]] | None = Field(default=None, max_length=MAX_TOOLS)


class OllamaGenerateBody(OllamaBody):
    """The body of POST /api/generate. Without a prompt the model is only loaded."""

    prompt: str = ""
    system: str | None = None
    suffix: str | None = None
    raw: bool = False
    images: list[JsonValue] | None = None


class ShowBody(Lenient):
    """The body of POST /api/show."""

    model: str | None = None
    name: str | None = None


def chat_request(body: OllamaChatBody, endpoint: Endpoint) -> ReplyRequest:
    """What a chat asks for. Raises Rejected and UsageError."""
    functions = functions_of(body.tools)
    made = [_message(message, index, body.messages) for index, message in enumerate(body.messages)]
    if not isinstance(made[-1], UserMessage | FunctionResult):
        raise reject("The last message must be the user's or a tool's.", param="messages")
    return _request(body, endpoint, join_system(made), functions)


def generate_request(body: OllamaGenerateBody, endpoint: Endpoint) -> ReplyRequest:
    """What a generate without `raw` asks for."""
    led = (SystemMessage(body.system),) if body.system else ()
    return _request(body, endpoint, (*led, UserMessage(body.prompt)))


def sampling_of(body: OllamaBody, endpoint: Endpoint) -> Sampling:
    """How tokens are chosen."""
    given = body.options or OllamaOptions()
    return endpoint.sampling(
        temperature=given.temperature,
        top_p=given.top_p,
        seed=given.seed,
        frequency_penalty=given.frequency_penalty,
        presence_penalty=given.presence_penalty,
        top_k=given.top_k or 0,
        min_p=given.min_p or 0.0,
        repeat_penalty=given.repeat_penalty or 1.0,
    )


def limit_of(body: OllamaBody, endpoint: Endpoint) -> int:
    """Most tokens of the reply; negative numbers mean the server's own limit."""
    wanted = body.options.num_predict if body.options else None
    return wanted if wanted and wanted > 0 else endpoint.settings.max_tokens


def schema_of(body: OllamaBody) -> JsonObject | None:
    """The schema that a text reply is held to."""
    if isinstance(body.format, dict):
        return body.format
    return {"type": "object"} if body.format == "json" else None


def seconds_of(keep_alive: str | int | float | None) -> float | None:
    """How long a model stays loaded; None where nothing is said, negative for ever. Raises Rejected."""
    if keep_alive is None or isinstance(keep_alive, int | float):
        return None if keep_alive is None else float(keep_alive)
    found = _TIME.fullmatch(keep_alive.strip())
    if not found:
        raise reject(f"keep_alive {keep_alive[:40]!r} is not a time.", param="keep_alive")
    return float(found[1]) * _UNITS[found[2]]


def ignored_by(body: OllamaBody) -> list[str]:
    """Fields that have no effect here."""
    return [*body.ignored, *(f"options.{name}" for name in (body.options.ignored if body.options else ()))]


def _request(
    body: OllamaBody, endpoint: Endpoint, messages: tuple[Message, ...], functions: Sequence[Function] = ()
) -> ReplyRequest:
    default = endpoint.settings.choice
    known = {function.name for function in functions}
    usable = not isinstance(default, NamedChoice) or default.name in known
    return ReplyRequest(
        messages=endpoint.with_system(messages),
        functions=tuple(functions),
        choice="none" if not functions else default if usable else "auto",
        thinking=bool(body.think),
        sampling=sampling_of(body, endpoint),
        max_tokens=limit_of(body, endpoint),
        stop=stops_of(body.options.stop if body.options else None),
        schema=schema_of(body),
    )


def _message(message: OllamaMessage, index: int, all_messages: Sequence[OllamaMessage]) -> Message:
    if message.images:
        raise reject("Images are not understood; only text is.", param=f"messages[{index}].images")
    match message.role:
        case "system":
            return SystemMessage(message.content)
        case "user":
            return UserMessage(message.content)
        case "assistant":
            made = (
                FunctionCall(call.id or f"call_{index}_{at}", call.function.name, call.function.arguments)
                for at, call in enumerate(message.tool_calls or ())
            )
            return AssistantMessage(message.content, tuple(made))
        case "tool":
            name = message.tool_name or _answered(all_messages, index)
            return FunctionResult(message.tool_call_id or "", message.content, name=name)


def _answered(messages: Sequence[OllamaMessage], index: int) -> str:
    """The function whose result stands at `index`: older clients do not say, results come in the order of the calls."""
    before = index
    while before and messages[before - 1].role == "tool":
        before -= 1
    calls = (messages[before - 1].tool_calls or ()) if before else ()
    return calls[index - before].function.name if index - before < len(calls) else ""
