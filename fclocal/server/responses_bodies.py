"""OpenAI's Responses requests: their JSON, checked, to messages, functions and a choice. Knows no replies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from fclocal.chat.reply import MAX_CALLS, ReplyRequest
from fclocal.functions import Function, JsonObject, from_openai, refuse_duplicates
from fclocal.grammar.calls import Choice, NamedChoice
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage
from fclocal.server.endpoint import Endpoint
from fclocal.server.failures import reject
from fclocal.server.openai_bodies import (
    MAX_TOOLS,
    Lenient,
    Part,
    Temperature,
    TokenLimit,
    TopP,
    arguments_of,
    join_system,
    text_of,
)


class InputItem(Lenient):
    """A message, an earlier call, or the result of one."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Part] | None = None


class FunctionChoice(BaseModel):
    """A tool choice that names one function."""

    type: Literal["function"]
    name: str


class AllowedChoice(BaseModel):
    """A tool choice that narrows the tools."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"] = "auto"
    tools: list[FunctionChoice] = Field(min_length=1)


class TextFormat(Lenient):
    """What a text reply must look like."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    schema_: dict[str, JsonValue] | None = Field(default=None, alias="schema")


class TextOptions(Lenient):
    """How text is written."""

    format: TextFormat | None = None


class Reasoning(Lenient):
    """Whether the model thinks first."""

    effort: str | None = None


class ResponsesBody(Lenient):
    """The body of POST /v1/responses. Nothing is stored here, so `previous_response_id` cannot be followed."""

    input: str | list[InputItem]
    model: str | None = None
    instructions: str | None = None
    tools: list[dict[str, JsonValue]] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: Literal["auto", "required", "none"] | FunctionChoice | AllowedChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: TokenLimit | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    stream: bool | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    metadata: dict[str, JsonValue] | None = None
    user: str | None = None


def responses_request(body: ResponsesBody, endpoint: Endpoint) -> ReplyRequest:
    """What a request asks for. Raises Rejected and UsageError."""
    if body.previous_response_id:
        sentence = "Responses are not stored here; send the whole conversation as input."
        raise reject(sentence, param="previous_response_id", code="previous_response_not_found")
    functions = tuple(from_openai(tool, origin="tools") for tool in body.tools or ())
    refuse_duplicates(functions, origin="tools")
    choice, allowed = _choice(body, functions, endpoint.settings.choice)
    return ReplyRequest(
        messages=endpoint.with_system(_messages(body)),
        functions=functions,
        choice=choice,
        allowed=allowed,
        thinking=bool(body.reasoning and body.reasoning.effort not in (None, "none")),
        max_calls=1 if body.parallel_tool_calls is False else MAX_CALLS,
        sampling=endpoint.sampling(temperature=body.temperature, top_p=body.top_p),
        max_tokens=body.max_output_tokens or endpoint.settings.max_tokens,
        schema=_schema(body.text.format if body.text else None),
        scores=body.top_logprobs is not None,
        top_logprobs=body.top_logprobs or 0,
    )


def _messages(body: ResponsesBody) -> tuple[Message, ...]:
    led: list[Message] = [SystemMessage(body.instructions)] if body.instructions else []
    if isinstance(body.input, str):
        return (*led, UserMessage(body.input))
    made = _merged(_item(item, f"input[{index}]") for index, item in enumerate(body.input))
    if not made or not isinstance(made[-1], UserMessage | FunctionResult):
        raise reject("The last item must be the user's message or a function's output.", param="input")
    return join_system([*led, *made])


def _item(item: InputItem, at: str) -> Message | None:
    match item.type:
        case "message":
            text = text_of(item.content, f"{at}.content")
            match item.role:
                case "system" | "developer":
                    return SystemMessage(text)
                case "user":
                    return UserMessage(text)
                case "assistant":
                    return AssistantMessage(text)
            raise reject("A message needs a role.", param=f"{at}.role")
        case "function_call":
            if not item.name or not item.call_id:
                raise reject("A function_call needs name and call_id.", param=at)
            arguments = arguments_of(item.arguments or "{}", f"{at}.arguments")
            return AssistantMessage(calls=(FunctionCall(item.call_id, item.name, arguments),))
        case "function_call_output":
            if not item.call_id:
                raise reject("A function_call_output needs call_id.", param=at)
            return FunctionResult(item.call_id, text_of(item.output, f"{at}.output"))
        case "reasoning":
            return None
    raise reject(f"Input of type {item.type[:40]!r} is not understood.", param=at)


def _merged(messages: Iterable[Message | None]) -> list[Message]:
    """Calls join the text, or the calls, that came right before them: one reply is one message."""
    made: list[Message] = []
    for message in messages:
        before = made[-1] if made else None
        if isinstance(message, AssistantMessage) and isinstance(before, AssistantMessage) and message.calls:
            made[-1] = replace(before, calls=(*before.calls, *message.calls))
        elif message is not None:
            made.append(message)
    return made


def _choice(
    body: ResponsesBody, functions: Sequence[Function], default: Choice
) -> tuple[Choice, frozenset[str] | None]:
    names = frozenset(function.name for function in functions)
    if not functions:
        if body.tool_choice not in (None, "auto", "none"):
            raise reject("tool_choice asks for a call, but there are no tools.", param="tool_choice")
        return "none", None
    match body.tool_choice:
        case None:
            return (default if not isinstance(default, NamedChoice) or default.name in names else "auto"), None
        case FunctionChoice(name=name):
            return NamedChoice(name), None
        case AllowedChoice(mode=mode, tools=tools):
            unknown = sorted({tool.name for tool in tools} - names)
            if unknown:
                raise reject(f"allowed_tools names {unknown[0][:80]!r}, which is not in tools.", param="tool_choice")
            return mode, frozenset(tool.name for tool in tools)
        case word:
            return word, None


def _schema(wanted: TextFormat | None) -> JsonObject | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object"}
    if wanted.schema_ is None:
        raise reject("text.format needs a schema.", param="text.format.schema")
    return wanted.schema_
