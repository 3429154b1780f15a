"""A GGUF's own chat template as a dialect, for templates whose call syntax is known.

Source of the variables a template sees: Hugging Face's chat templates (`messages`, `tools`, `add_generation_prompt`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fclocal.dialects.dialect import FUNCTIONS, MARKERS, REPLY_PREFIX, SYSTEM, Segment, label, prompt_text, result_name
from fclocal.dialects.escape import dump, result_json
from fclocal.dialects.hermes import ESCAPED
from fclocal.dialects.placeholders import Placeholders
from fclocal.dialects.reply import END_THINK, THINK, ReplyParser
from fclocal.dialects.template_process import TemplateRefusal, render_template
from fclocal.errors import ModelBroken
from fclocal.functions import Function, Json, JsonObject, to_openai
from fclocal.grammar.syntax import LLAMA3_JSON, TOOL_CALL, CallSyntax
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage

_FOREIGN_CALLS = ("<function=", "[TOOL_CALLS]", "<|tool_call|>", "<arg_key>", "<|tool_call>")
_END_TOKENS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>")
_ASKS_FOR_TOOLS = re.compile(r"\bif\b[^%]*\btools\b")
_OPEN_THINK = re.compile(rf"{THINK}\s*\Z")


def known_syntax(chat_template: str) -> CallSyntax | None:
    """How a template's model writes calls: Hermes and Qwen `<tool_call>`, Llama 3.x JSON, or None for any other."""
    text = chat_template.replace("\\n", "\n").replace('\\"', '"')
    if any(mark in text for mark in _FOREIGN_CALLS):
        return None
    if re.search(r"""<tool_call>[\s'"{}+%-]*['"{]name['"]""", text) and re.search(r"""['"]arguments['"]: """, text):
        return TOOL_CALL
    if "<|start_header_id|>" in text and '{"name": ' in text and '"parameters": ' in text:
        return LLAMA3_JSON
    return None


@dataclass(frozen=True, slots=True)
class JinjaDialect:
    """`template` renders functions and calls; `plain`, where there is one, renders conversations without any.

    `thinking` lets a model think first that can leave it.
    """

    template: str
    syntax: CallSyntax
    plain: str = ""
    thinking: bool = False
    name: str = "jinja"

    @property
    def stop(self) -> tuple[str, ...]:
        """The end tokens that the template names; a Llama 3.x call may end with its end-of-message token."""
        named = tuple(token for token in _END_TOKENS if token in self.template)
        return tuple(dict.fromkeys((*named, "<|eom_id|>"))) if self.syntax == LLAMA3_JSON else named

    def render(
        self, messages: Sequence[Message], functions: Sequence[Function], *, eos: str, reply_prefix: str = ""
    ) -> tuple[Segment, ...]:
        """The prompt without BOS, in about 0.1 s. A last reply without calls is left open.

        Raises ModelBroken for a template that is broken, harmful, or drops what was said, and UsageError when the
        template refuses the conversation.
        """
        last = messages[-1] if messages else None
        opened = last.text if isinstance(last, AssistantMessage) and not last.calls else ""
        said = [*enumerate(messages[:-1] if opened else messages)]
        try:
            segments = self._rendered(said, functions, eos)
        except TemplateRefusal:
            single = list(_single_calls(said))
            if len(single) == len(said):
                raise
            segments = self._rendered(single, functions, eos)
        segments = _closed_thinking(segments, thinking=self.thinking)
        return (*segments, *(Segment(text, REPLY_PREFIX) for text in (opened, reply_prefix) if text))

    def parser(self, names: Collection[str], *, optional: Collection[str] = ()) -> ReplyParser:
        """A parser for one reply in the template's call syntax."""
        return ReplyParser(self.syntax, names, optional=optional)

    def _rendered(
        self, messages: Sequence[tuple[int, Message]], functions: Sequence[Function], eos: str
    ) -> tuple[Segment, ...]:
        template = self.plain if self.plain and not functions and not _calls(messages) else self.template
        nonce = _nonce(messages, functions)
        hidden = Placeholders(nonce, ESCAPED)
        asks = _ASKS_FOR_TOOLS.search(template)
        tools: Json = [hidden.hide_risky(_tool(function), FUNCTIONS) for function in functions]
        variables: dict[str, Json] = {
            "messages": [_entry(message, index, messages, hidden) for index, message in messages],
            "xml_tools" if "xml_tools" in template and not asks else "tools": tools if functions or not asks else None,
            "add_generation_prompt": True,
            "bos_token": "",
            "eos_token": eos,
            "enable_thinking": self.thinking,
        }
        segments = hidden.restore(render_template(template, json.dumps(variables), nonce))
        _refuse_dropped(functions, segments)
        return segments


def _entry(message: Message, index: int, messages: Sequence[tuple[int, Message]], hidden: Placeholders) -> JsonObject:
    match message:
        case SystemMessage(text=text):
            return {"role": "system", "content": hidden.hide(text, SYSTEM)}
        case UserMessage(text=text):
            return {"role": "user", "content": hidden.hide(text, label(index, "user"))}
        case AssistantMessage(text=text, calls=calls):
            part = label(index, "reply")
            entry: dict[str, Json] = {"role": "assistant", "content": hidden.hide(text, part, needed=not calls)}
            if calls:
                entry["tool_calls"] = [_call(call, part, hidden) for call in calls]
            return entry
        case FunctionResult():
            name = result_name(message, [earlier for _, earlier in messages])
            content = result_json(message.content, ESCAPED)
            written = hidden.hide(content, label(index, f"result of {name}"), quoted=message.content)
            stated = {
                "name": hidden.hide_risky(name, MARKERS),
                "tool_call_id": hidden.hide_risky(message.call_id, MARKERS),
            }
            return {"role": "tool", **stated, "content": written}


def _call(call: FunctionCall, part: str, hidden: Placeholders) -> JsonObject:
    function = {"name": hidden.hide_risky(call.name, part), "arguments": hidden.hide_risky(call.arguments, part)}
    return {"id": hidden.hide_risky(call.id, part), "type": "function", "function": function}


def _tool(function: Function) -> JsonObject:
    """The OpenAI form with every key that templates read."""
    inner = to_openai(function)["function"]
    body = inner if isinstance(inner, Mapping) else {}
    stated: dict[str, Json] = {"name": function.name, "description": function.description, **body}
    return {"type": "function", "function": {**stated, "parameters": function.parameters}}


def _refuse_dropped(functions: Sequence[Function], segments: Sequence[Segment]) -> None:
    prompt = prompt_text(segments)
    for function in functions:
        if function.name not in prompt and dump(function.name)[1:-1] not in prompt:
            raise ModelBroken(
                f"The model's chat template does not show {function.name} to the model.",
                "Choose another prompt format with --dialect.",
            )


def _calls(messages: Sequence[tuple[int, Message]]) -> bool:
    return any(
        isinstance(message, FunctionResult) or (isinstance(message, AssistantMessage) and message.calls)
        for _, message in messages
    )


def _single_calls(messages: Sequence[tuple[int, Message]]) -> Iterator[tuple[int, Message]]:
    """The same conversation with one call a reply, each followed by its result."""
    split = {
        call.id
        for _, message in messages
        if isinstance(message, AssistantMessage) and len(message.calls) > 1
        for call in message.calls
    }
    results = {
        message.call_id: (index, message)
        for index, message in messages
        if isinstance(message, FunctionResult) and message.call_id in split
    }
    for index, message in messages:
        if isinstance(message, AssistantMessage) and len(message.calls) > 1:
            for number, call in enumerate(message.calls):
                yield index, AssistantMessage(message.text if number == 0 else "", (call,))
                if call.id in results:
                    yield results.pop(call.id)
        elif not (isinstance(message, FunctionResult) and message.call_id in split):
            yield index, message


def _closed_thinking(segments: tuple[Segment, ...], *, thinking: bool) -> tuple[Segment, ...]:
    """A prompt that ends inside `<think>`: leave the mark to the model, or end the thinking."""
    if not segments or not _OPEN_THINK.search(segments[-1].text):
        return segments
    last = segments[-1]
    text = _OPEN_THINK.sub("", last.text) if thinking else f"{last.text.rstrip()}\n\n{END_THINK}\n\n"
    return (*segments[:-1], Segment(text, last.part, last.trusted))


def _nonce(messages: Sequence[tuple[int, Message]], functions: Sequence[Function]) -> str:
    """A word that no text of this prompt contains, the same for the same prompt."""
    said = repr((messages, [(function.name, function.description, function.parameters) for function in functions]))
    digest = hashlib.blake2b(said.encode("utf-8", "surrogatepass")).hexdigest()
    return "fc" + digest[:20]
