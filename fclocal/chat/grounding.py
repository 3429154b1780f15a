"""Where the arguments of a call came from: the user's words, a result, a default, an inference, or nowhere.

Knows schemas and messages; knows no model. System messages count as the user's side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fclocal.chat.heard import Heard, Passage, hear, words_of
from fclocal.chat.questions import choices, coerce, question
from fclocal.events import Origin, Source
from fclocal.functions import Function, Json, JsonObject
from fclocal.messages import FunctionCall, Message

__all__ = ["coerce", "ground", "question"]


def ground(
    call: FunctionCall,
    function: Function,
    messages: Sequence[Message],
    *,
    probabilities: Mapping[str, float | None],
) -> Mapping[str, Origin]:
    """Argument name -> where its value came from, for every argument of `call`."""
    heard = hear(messages)
    found = {}
    for name, value in call.arguments.items():
        schema = function.properties.get(name)
        origin = _origin(value, schema if isinstance(schema, Mapping) else {}, heard)
        found[name] = replace(origin, probability=probabilities.get(name))
    return found


def _origin(value: Json, schema: JsonObject, heard: Sequence[Heard]) -> Origin:
    for side in ("user", "result"):
        for message in heard:
            if message.side == side and (passage := _find(value, message)):
                source: Source = "user" if side == "user" else "result"
                return Origin(source, passage.text, passage.message, passage.span)
    if "default" in schema and schema["default"] == value:
        return Origin("default")
    if choices(schema) is not None or isinstance(value, bool):
        return Origin("inferred")
    return Origin("unsupported")


def _find(value: Json, message: Heard) -> Passage | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return next((message.passage(said.start, said.end) for said in message.numbers if said.value == value), None)
    if isinstance(value, str):
        wanted = words_of(value)
        said = tuple(word.text for word in message.words)
        for at in range(len(said) - len(wanted) + 1):
            if wanted and said[at : at + len(wanted)] == wanted:
                return message.passage(message.words[at].start, message.words[at + len(wanted) - 1].end)
    return None
