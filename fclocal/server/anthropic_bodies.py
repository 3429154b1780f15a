"""Anthropic's Messages requests: their JSON, checked, to messages, functions and a choice. Knows no replies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from fclocal.chat.reply import MAX_CALLS, ReplyRequest
from fclocal.functions import Function, from_openai, refuse_duplicates
from fclocal.grammar.calls import Choice, NamedChoice
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage
from fclocal.server.endpoint import Endpoint
from fclocal.server.failures import reject
from fclocal.server.openai_bodies import MAX_TOOLS, Lenient, Temperature, TokenLimit, TopP, join_system


class Block(Lenient):
    """A piece of a message."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, JsonValue] | None = None
    tool_use_id: str | None = None
    content: str | list[Block] | None = None
    is_error: bool = False


class AnthropicMessage(Lenient):
    """One message."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class AnthropicTool(Lenient):
    """A function."""

    name: str
    description: str | None = None
    input_schema: dict[str, JsonValue] | None = None
    type: str | None = None


class ToolChoice(Lenient):
    """Whether a tool is called, and how many at once."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class Thinking(Lenient):
    """Whether the model thinks first."""

    type: str


class CountBody(Lenient):
    """The body of POST /v1/messages/count_tokens."""

    model: str | None = None
    messages: list[AnthropicMessage] = Field(min_length=1)
    system: str | list[Block] | None = None
    tools: list[AnthropicTool] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None


class MessagesBody(CountBody):
    """The body of POST /v1/messages."""

    max_tokens: TokenLimit
    stop_sequences: Annotated[list[str], Field(max_length=16)] | None = None
    stream: bool | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: Annotated[int, Field(ge=0, le=2**31)] | None = None
    metadata: dict[str, JsonValue] | None = None


def messages_request(body: CountBody, endpoint: Endpoint) -> ReplyRequest:
    """What a request asks for. Raises Rejected and UsageError."""
    functions = tuple(_function(tool) for tool in body.tools or ())
    refuse_duplicates(functions, origin="tools")
    one_call = body.tool_choice is not None and body.tool_choice.disable_parallel_tool_use
    request = ReplyRequest(
        messages=endpoint.with_system(_messages(body)),
        functions=functions,
        choice=_choice(body.tool_choice, functions, endpoint.settings.choice),
        thinking=body.thinking is not None and body.thinking.type == "enabled",
        max_calls=1 if one_call else MAX_CALLS,
        max_tokens=endpoint.settings.max_tokens,
    )
    if not isinstance(body, MessagesBody):
        return request
    return ReplyRequest(
        messages=request.messages,
        functions=functions,
        choice=request.choice,
        thinking=request.thinking,
        max_calls=request.max_calls,
        sampling=endpoint.sampling(temperature=body.temperature, top_p=body.top_p, top_k=body.top_k or 0),
        max_tokens=body.max_tokens,
        stop=tuple(text for text in body.stop_sequences or () if text),
    )


def _function(tool: AnthropicTool) -> Function:
    if tool.type not in (None, "custom"):
        raise reject(f"Tools of type {tool.type[:40]!r} do not exist here; only functions do.", param="tools")
    entry = {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
    return from_openai({"type": "function", "function": entry}, origin="tools")


def _messages(body: CountBody) -> tuple[Message, ...]:
    made: list[Message] = []
    if body.system:
        made.append(SystemMessage(_plain_text(body.system, "system")))
    for index, message in enumerate(body.messages):
        made += _spread(message, f"messages.{index}")
    if not isinstance(made[-1], UserMessage | FunctionResult):
        raise reject("The last message must be the user's; a reply cannot be begun for the model.", param="messages")
    return join_system(made)


def _spread(message: AnthropicMessage, at: str) -> Iterable[Message]:
    """One message as one or more of ours: results of calls stand by themselves here."""
    blocks = [Block(type="text", text=message.content)] if isinstance(message.content, str) else message.content
    texts: list[str] = []
    calls: list[FunctionCall] = []
    results: list[FunctionResult] = []
    for index, block in enumerate(blocks):
        match block.type:
            case "text" if block.text is not None:
                texts.append(block.text)
            case "tool_use" if message.role == "assistant" and block.id and block.name:
                calls.append(FunctionCall(block.id, block.name, block.input or {}))
            case "tool_result" if message.role == "user" and block.tool_use_id:
                text = _plain_text(block.content or "", f"{at}.content.{index}.content")
                results.append(FunctionResult(block.tool_use_id, text, ok=not block.is_error))
            case "thinking" | "redacted_thinking" if message.role == "assistant":
                pass
            case kind:
                raise reject(f"Content of type {kind[:40]!r} is not understood here.", param=f"{at}.content.{index}")
    text = "\n".join(texts)
    match message.role:
        case "assistant":
            yield AssistantMessage(text, tuple(calls))
        case "system":
            yield SystemMessage(text)
        case "user":
            yield from results
            if text or not results:
                yield UserMessage(text)


def _plain_text(content: str | list[Block], at: str) -> str:
    if isinstance(content, str):
        return content
    for block in content:
        if block.type != "text" or block.text is None:
            raise reject(f"Content of type {block.type[:40]!r} is not understood; only text is.", param=at)
    return "\n".join(block.text or "" for block in content)


def _choice(wanted: ToolChoice | None, functions: Sequence[Function], default: Choice) -> Choice:
    if not functions:
        if wanted and wanted.type in ("any", "tool"):
            raise reject("tool_choice asks for a call, but there are no tools.", param="tool_choice")
        return "none"
    if wanted is None:
        known = {function.name for function in functions}
        return default if not isinstance(default, NamedChoice) or default.name in known else "auto"
    match wanted.type:
        case "any":
            return "required"
        case "tool":
            if not wanted.name:
                raise reject("tool_choice must name the tool.", param="tool_choice.name")
            return NamedChoice(wanted.name)
        case "auto" | "none":
            return wanted.type
