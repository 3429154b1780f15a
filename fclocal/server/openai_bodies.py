"""OpenAI's chat requests: their JSON, checked, to messages, functions and a choice. Knows no replies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from fclocal.chat.reply import MAX_CALLS, ReplyRequest
from fclocal.functions import Function, Json, JsonObject, from_openai, refuse_duplicates
from fclocal.grammar.calls import Choice, NamedChoice
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage
from fclocal.server.endpoint import Endpoint
from fclocal.server.failures import reject

MAX_TOOLS = 1024
Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Temperature: TypeAlias = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
TopP: TypeAlias = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Seed: TypeAlias = Annotated[int, Field(ge=-(2**63), le=2**64 - 1)]
TokenLimit: TypeAlias = Annotated[int, Field(ge=1, le=2**31)]
Stop: TypeAlias = str | Annotated[list[str], Field(max_length=16)]


class Lenient(BaseModel):
    """A body whose unknown fields are kept, so that a reply can say that they were ignored."""

    model_config = ConfigDict(extra="allow")

    @property
    def ignored(self) -> list[str]:
        """Names of the fields that have no effect here."""
        return sorted(self.model_extra or ())


class Part(Lenient):
    """A piece of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(Lenient):
    """Name and arguments of an earlier call."""

    name: str
    arguments: str | dict[str, JsonValue] = "{}"


class EarlierCall(Lenient):
    """A call the model made in this conversation."""

    id: str = ""
    type: str = "function"
    function: CalledFunction


class ChatMessage(Lenient):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[EarlierCall] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: str | None = None


class NamedFunction(BaseModel):
    """A function by name."""

    name: str


class NamedTool(BaseModel):
    """A tool choice that names one function."""

    type: Literal["function"]
    function: NamedFunction


class AllowedTools(BaseModel):
    """Which tools may be called, and whether one must be."""

    mode: Literal["auto", "required"] = "auto"
    tools: list[NamedTool] = Field(min_length=1)


class AllowedChoice(BaseModel):
    """A tool choice that narrows the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


class JsonSchemaFormat(Lenient):
    """A named schema for a text reply."""

    name: str = ""
    schema_: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Lenient):
    """What a text reply must look like."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class StreamOptions(Lenient):
    """What a stream holds beside the reply."""

    include_usage: bool = False


class SamplingBody(Lenient):
    """What chat and text completions have in common."""

    model: str | None = None
    max_tokens: TokenLimit | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[int, Annotated[float, Field(ge=-100, le=100)]] | None = None
    seed: Seed | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None


class ChatBody(SamplingBody):
    """The body of POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1)
    tools: list[dict[str, JsonValue]] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: Literal["auto", "required", "none"] | NamedTool | AllowedChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, JsonValue]] | None = Field(default=None, max_length=MAX_TOOLS)
    function_call: Literal["auto", "none"] | NamedFunction | None = None
    max_completion_tokens: TokenLimit | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None
    metadata: dict[str, JsonValue] | None = None
    store: bool | None = None

    @property
    def legacy(self) -> bool:
        """Whether calls are wanted in the form that came before tools."""
        return bool(self.functions) and not self.tools


def reply_request(body: ChatBody, endpoint: Endpoint) -> ReplyRequest:
    """What a chat request asks for. Raises Rejected and UsageError."""
    functions = functions_of(body.functions if body.legacy else body.tools)
    choice, allowed = _choice(body, functions, endpoint.settings.choice)
    one_call = body.legacy or body.parallel_tool_calls is False
    return ReplyRequest(
        messages=endpoint.with_system(messages_of(body.messages)),
        functions=functions,
        choice=choice,
        allowed=allowed,
        thinking=body.reasoning_effort not in (None, "none"),
        max_calls=1 if one_call else MAX_CALLS,
        sampling=endpoint.sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            seed=body.seed,
            frequency_penalty=body.frequency_penalty,
            presence_penalty=body.presence_penalty,
            logit_bias=body.logit_bias or {},
        ),
        max_tokens=body.max_completion_tokens or body.max_tokens or endpoint.settings.max_tokens,
        stop=stops_of(body.stop),
        schema=schema_of(body.response_format),
        scores=bool(body.logprobs),
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else 0,
    )


def functions_of(tools: Sequence[JsonObject] | None) -> tuple[Function, ...]:
    """The functions of a request. Raises UsageError."""
    functions = tuple(from_openai(tool, origin="tools") for tool in tools or ())
    refuse_duplicates(functions, origin="tools")
    return functions


def messages_of(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The conversation; system messages at its beginning become one. Raises Rejected."""
    made = [_message(message, index) for index, message in enumerate(messages)]
    _refuse_orphans(made)
    if not isinstance(made[-1], UserMessage | FunctionResult):
        raise reject("The last message must be the user's or a tool's.", param=f"messages[{len(made) - 1}].role")
    return join_system(made)


def join_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """`messages` with every system message that leads them in one."""
    leading: list[str] = []
    for message in messages:
        if not isinstance(message, SystemMessage):
            break
        leading.append(message.text)
    rest = tuple(messages[len(leading) :])
    return (SystemMessage("\n\n".join(leading)), *rest) if leading else rest


def stops_of(stop: str | list[str] | None) -> tuple[str, ...]:
    """Stop strings as a tuple."""
    return tuple(text for text in ([stop] if isinstance(stop, str) else stop or []) if text)


def arguments_of(given: str | Mapping[str, Json], param: str) -> JsonObject:
    """The arguments of an earlier call. Raises Rejected."""
    if not isinstance(given, str):
        return given
    try:
        value = json.loads(given or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise reject("The arguments of an earlier call are not a JSON object.", param=param)
    return value


def _refuse_orphans(messages: Sequence[Message]) -> None:
    """Raise Rejected for the result of a call that nobody made. Calls without an id may be answered under any."""
    called: set[str] = set()
    for index, message in enumerate(messages):
        match message:
            case AssistantMessage(calls=calls):
                called.update(call.id for call in calls)
            case FunctionResult(call_id=answered) if answered and not called & {answered, ""}:
                sentence = f"No earlier message of the assistant has a call with the id {answered[:80]!r}."
                raise reject(sentence, param=f"messages[{index}].tool_call_id")


def _message(message: ChatMessage, index: int) -> Message:
    at = f"messages[{index}]"
    text = text_of(message.content, f"{at}.content")
    match message.role:
        case "system" | "developer":
            return SystemMessage(text)
        case "user":
            return UserMessage(text)
        case "assistant":
            calls = [
                FunctionCall(call.id, call.function.name, arguments_of(call.function.arguments, f"{at}.tool_calls"))
                for call in message.tool_calls or ()
            ]
            old = message.function_call
            if old:
                calls.append(FunctionCall("", old.name, arguments_of(old.arguments, f"{at}.function_call")))
            return AssistantMessage(text, tuple(calls))
        case "tool":
            if not message.tool_call_id:
                raise reject("A tool message must say which call it answers.", param=f"{at}.tool_call_id")
            return FunctionResult(message.tool_call_id, text, name=message.name or "")
        case "function":
            if not message.name:
                raise reject("A function message must name its function.", param=f"{at}.name")
            return FunctionResult("", text, name=message.name)


def text_of(content: str | list[Part] | None, param: str) -> str:
    """Content as text. Raises Rejected for content that is not text."""
    if content is None:
        return ""
    return content if isinstance(content, str) else "\n".join(_part_texts(content, param))


def _part_texts(parts: Iterable[Part], param: str) -> Iterable[str]:
    for index, part in enumerate(parts):
        text = part.text if part.text is not None else part.refusal
        if part.type not in ("text", "refusal", "input_text", "output_text") or text is None:
            raise reject(
                f"Content of type {part.type[:40]!r} is not understood; only text is.", param=f"{param}[{index}]"
            )
        yield text


def _choice(body: ChatBody, functions: Sequence[Function], default: Choice) -> tuple[Choice, frozenset[str] | None]:
    """The choice, and the names it is narrowed to."""
    names = frozenset(function.name for function in functions)
    if not functions:
        wanted = body.tool_choice if not body.legacy else None
        if wanted is not None and wanted not in ("auto", "none"):
            raise reject("tool_choice asks for a call, but there are no tools.", param="tool_choice")
        return "none", None
    asked = body.function_call if body.legacy else body.tool_choice
    match asked:
        case None:
            return (default if not isinstance(default, NamedChoice) or default.name in names else "auto"), None
        case NamedTool(function=function) | function if isinstance(function, NamedFunction):
            return NamedChoice(function.name), None
        case AllowedChoice(allowed_tools=allowed):
            wanted_names = frozenset(tool.function.name for tool in allowed.tools)
            unknown = sorted(wanted_names - names)
            if unknown:
                raise reject(f"allowed_tools names {unknown[0][:80]!r}, which is not in tools.", param="tool_choice")
            return allowed.mode, wanted_names
        case "auto" | "required" | "none":
            return asked, None
    raise reject("tool_choice is not understood.", param="tool_choice")


def schema_of(wanted: ResponseFormat | None) -> JsonObject | None:
    """The schema that a text reply is held to. Raises Rejected."""
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object"}
    if wanted.json_schema is None or wanted.json_schema.schema_ is None:
        raise reject("response_format needs json_schema.schema.", param="response_format.json_schema")
    return wanted.json_schema.schema_
