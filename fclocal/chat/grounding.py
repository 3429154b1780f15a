"""Where the arguments of a call came from: the user's words, a result, a default, an inference, or nowhere.

Knows schemas and messages; knows no model. System messages count as the user's side. What the model itself said is
no source, except that the user agreed to it or that it is the text to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from fclocal.chat.amounts import find_number
from fclocal.chat.choices import find_choice, find_flag
from fclocal.chat.evidence import Evidence, Leaf, flat_texts
from fclocal.chat.heard import Heard, hear
from fclocal.chat.questions import alternatives, choices, coerce, question, resolved
from fclocal.chat.wording import find_text
from fclocal.events import Origin, Source
from fclocal.functions import Function, Json, JsonObject
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message

__all__ = ["coerce", "ground", "question"]

MAX_LEAVES = 200
MAX_DEPTH = 12
MAX_STRETCH = 200
_ORDER: tuple[Source, ...] = ("user", "result", "default", "inferred", "unsupported")
_MISSING = object()
_NOTHING: tuple[Json, ...] = ("", [], {})


def ground(
    call: FunctionCall,
    function: Function,
    messages: Sequence[Message],
    *,
    probabilities: Mapping[str, float | None],
    today: date | None = None,
) -> Mapping[str, Origin]:
    """Argument name -> where its value came from, for every argument of `call`.

    A list or object is as weakly founded as the weakest value in it. A value that the same argument had in an earlier
    call which ran is inferred: the user let it pass, or gave it as an answer. `messages` are those before the call,
    the oldest first; `probabilities` are the model's own; `today` is the day from which "tomorrow" counts (default:
    the clock's).
    """
    heard = hear(messages, today=today or date.today())
    texts = tuple((name, flat_texts(value)) for name, value in call.arguments.items())
    found = {}
    for name, value in call.arguments.items():
        schema = function.properties.get(name)
        beside = tuple(text for other, some in texts if other != name or not isinstance(value, str) for text in some)
        leaf = Leaf(name, resolved(schema, function.parameters), function, beside[:20])
        origin = _origin(value, leaf, heard)
        if origin.source == "unsupported" and (earlier := _earlier(name, value, messages)) is not None:
            origin = Origin("inferred", message=earlier)
        found[name] = replace(origin, probability=probabilities.get(name))
    return found


def _earlier(name: str, value: Json, messages: Sequence[Message]) -> int | None:
    """The newest reply with a call that ran well with the same argument, if there is one."""
    done = {message.call_id for message in messages if isinstance(message, FunctionResult) and message.ok}
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        for call in message.calls if isinstance(message, AssistantMessage) else ():
            if call.id in done and name in call.arguments and value not in _NOTHING:
                had = call.arguments[name]
                if had == value and type(had) is type(value):
                    return index
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    """A plain value inside an argument, and what is known of its place."""

    value: Json
    leaf: Leaf


def _origin(value: Json, leaf: Leaf, heard: Sequence[Heard]) -> Origin:
    default = leaf.schema.get("default", _MISSING)
    origins: list[Origin] = []
    for place in _leaves(value, leaf, MAX_DEPTH):
        origins.append(_leaf_origin(place.value, place.leaf, heard))
        if len(origins) >= MAX_LEAVES:
            break
    if default == value and type(default) is type(value) and any(origin.source != "user" for origin in origins):
        return Origin("default")
    return _combined(origins, heard)


def _leaves(value: Json, leaf: Leaf, depth: int) -> Iterator[_Place]:
    """The plain values inside `value`, each with its own schema."""
    if depth and isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, replace(leaf, name=key, schema=_inner(leaf, key)), depth - 1)
    elif depth and isinstance(value, Sequence) and not isinstance(value, str) and value:
        for number, item in enumerate(value):
            yield from _leaves(item, replace(leaf, schema=_inner(leaf, number)), depth - 1)
    else:
        yield _Place(value, leaf)


def _inner(leaf: Leaf, key: str | int) -> JsonObject:
    """The schema of one member or item, as far as it can be told without the value."""
    root = leaf.function.parameters
    for candidate in (leaf.schema, *(resolved(option, root) for option in alternatives(leaf.schema))):
        if isinstance(key, str):
            listed = candidate.get("properties")
            found = listed.get(key) if isinstance(listed, Mapping) else None
            found = found if found is not None else candidate.get("additionalProperties")
        else:
            first = candidate.get("prefixItems")
            known = isinstance(first, Sequence) and not isinstance(first, str) and key < len(first)
            found = first[key] if known and isinstance(first, Sequence) else candidate.get("items")
        if isinstance(found, Mapping):
            found = resolved(found, root)
            described = candidate.get("description")
            return found if isinstance(key, str) or "description" in found else {**found, "description": described}
    return {}


def _leaf_origin(value: Json, leaf: Leaf, heard: Sequence[Heard]) -> Origin:
    evidence = _evidence(value, leaf, heard)
    if evidence is not None and evidence.rank <= 1:
        return _written(evidence, "user" if evidence.rank == 0 else "result")
    if leaf.schema.get("default", _MISSING) == value:
        return Origin("default")
    if evidence is not None:
        return _written(evidence, "inferred")
    picked = value is None or isinstance(value, bool) or _allowed(value, leaf.schema)
    return Origin("inferred" if picked else "unsupported")


def _evidence(value: Json, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    match value:
        case bool():
            return find_flag(value, leaf, heard)
        case _ if _allowed(value, leaf.schema):
            return find_choice(value, leaf, heard)
        case int() | float():
            return find_number(value, leaf, heard)
        case str():
            return find_text(value, leaf, heard)
        case _:
            return None


def _allowed(value: Json, schema: JsonObject) -> bool:
    """Whether the schema lists `value` among a few."""
    for candidate in (schema, *alternatives(schema)):
        listed = choices(candidate)
        if listed is not None and any(one == value and type(one) is type(value) for one in listed):
            return True
    return False


def _written(evidence: Evidence, source: Source) -> Origin:
    passage = evidence.passage
    return Origin(source, passage.text, passage.message, passage.span)


def _combined(origins: Sequence[Origin], heard: Sequence[Heard]) -> Origin:
    """The weakest of several, with the words over all of its kind where they stand close together."""
    if not origins:
        return Origin("unsupported")
    weakest = max(origins, key=lambda origin: _ORDER.index(origin.source))
    spans = [one.span for one in origins if one.span and (one.source, one.message) == (weakest.source, weakest.message)]
    if len(spans) < 2:
        return weakest
    start, end = min(span[0] for span in spans), max(span[1] for span in spans)
    if end - start > MAX_STRETCH:
        return weakest
    raw = next(message.raw for message in heard if message.index == weakest.message)
    return replace(weakest, text=raw[start:end], span=(start, end))
