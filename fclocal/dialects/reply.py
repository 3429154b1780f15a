"""Read a reply as it streams: text, thinking, and calls in any spacing, however they are wrapped.

Knows the call syntax and the names offered. Arguments are checked against their schema elsewhere.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fclocal.dialects.glue import Glue
from fclocal.dialects.object_scan import ObjectScan
from fclocal.functions import Json
from fclocal.grammar.syntax import CallSyntax

Fault: TypeAlias = Literal[
    "truncated", "not JSON", "no function", "unknown function", "no arguments", "arguments not an object"
]
THINK, END_THINK = "<think>", "</think>"
# Unclosed objects at the end of a reply that are looked into for calls; each costs a scan of the rest.
MAX_RESCANS = 16
NAME_KEYS = ("function", "name")
ARGUMENT_KEYS = ("arguments", "parameters")
_LEAD = re.compile(r'\{\s*"([^"\\]*)"\s*:')
_LEAD_KEYS = (*NAME_KEYS, *ARGUMENT_KEYS, "type")
_PART_OF_LEAD = re.compile(r'\{\s*(?:"([^"\\]*)(?:"\s*)?)?\Z')


@dataclass(frozen=True, slots=True)
class Text:
    """More of the text reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """More of the thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call of an offered function; its object begins at character `start` of the reply."""

    name: str
    start: int


@dataclass(frozen=True, slots=True)
class ArgumentsText:
    """More JSON text of the arguments of the call that started last."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is whole: the JSON text of its arguments, the object it spells, and the character after the call."""

    name: str
    text: str
    arguments: Mapping[str, Json]
    end: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """A call that cannot be used: its text, the kind of fault, and the reason as the end of a sentence.

    It may follow the CallStarted of the same call.
    """

    raw: str
    fault: Fault
    reason: str


Piece: TypeAlias = Text | Thinking | CallStarted | ArgumentsText | CallEnded | Malformed
_Mode: TypeAlias = Literal["start", "thinking", "thought", "text", "wrapped", "object"]


def parse(
    text: str, syntax: CallSyntax, names: Collection[str], *, optional: Collection[str] = ()
) -> tuple[Piece, ...]:
    """The pieces of a whole reply, each stretch of text in one piece."""
    parser = ReplyParser(syntax, names, optional=optional)
    return merged((*parser.feed(text), *parser.finish()))


def merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Join neighbouring pieces of text, thinking, or arguments text."""
    joined: list[Piece] = []
    for piece in pieces:
        match (joined[-1] if joined else None, piece):
            case (Text(text=before), Text(text=after)):
                joined[-1] = Text(before + after)
            case (Thinking(text=before), Thinking(text=after)):
                joined[-1] = Thinking(before + after)
            case (ArgumentsText(text=before), ArgumentsText(text=after)):
                joined[-1] = ArgumentsText(before + after)
            case _:
                joined.append(piece)
    return tuple(joined)


class ReplyParser:
    """An incremental parser: the merged pieces are the same however the reply is cut into chunks.

    `optional` names the functions that may be called without arguments. Without any names, all is text.
    """

    def __init__(self, syntax: CallSyntax, names: Collection[str], *, optional: Collection[str] = ()) -> None:
        self._names = tuple(names)
        self._optional = frozenset(optional)
        opened = re.match(r"<[^<>\s]+>", syntax.opening)
        self._open_tag = opened[0] if opened else ""
        self._close_tag = f"</{self._open_tag[1:]}" if opened else ""
        self._name_key = "name" if '"name"' in syntax.opening else "function"
        self._argument_key = "parameters" if '"parameters"' in syntax.after_name else "arguments"
        self._mode: _Mode = "start"
        self._rest = ""
        self._offset = 0
        self._glue = Glue()
        self._scan = ObjectScan()
        self._forced = False
        self._wrapped_calls = 0
        self._junk = ""
        self._started = ""
        self._streamed = 0
        self._start = 0
        self._rescans = 0

    def feed(self, text: str) -> tuple[Piece, ...]:
        """The pieces that are certain after `text`."""
        self._rest += text
        return merged(self._advance(final=False))

    def finish(self) -> tuple[Piece, ...]:
        """The pieces held back until now; the reply is over."""
        return merged((*self._advance(final=True), *self._close()))

    def _advance(self, *, final: bool) -> Iterator[Piece]:
        while True:
            before = (self._mode, len(self._rest))
            match self._mode:
                case "start":
                    yield from self._at_start(final=final)
                case "thinking":
                    yield from self._in_thinking(final=final)
                case "thought":
                    self._drop(len(self._rest) - len(self._rest.lstrip()))
                    self._mode = "text" if self._rest else self._mode
                case "text":
                    yield from self._in_text(final=final)
                case "wrapped":
                    yield from self._in_wrapper(final=final)
                case "object":
                    yield from self._in_object()
            if before == (self._mode, len(self._rest)):
                return

    def _at_start(self, *, final: bool) -> Iterator[Piece]:
        stripped = self._rest.lstrip()
        if stripped.startswith(THINK):
            self._drop(len(self._rest) - len(stripped) + len(THINK))
            self._mode = "thinking"
        elif final or not THINK.startswith(stripped):
            self._mode = "text"
        yield from ()

    def _in_thinking(self, *, final: bool) -> Iterator[Piece]:
        end = self._rest.find(END_THINK)
        cut = end if end >= 0 else len(self._rest) - (0 if final else _overlap(self._rest, END_THINK))
        if cut:
            yield Thinking(self._rest[:cut])
        self._drop(cut)
        if end >= 0:
            self._drop(len(END_THINK))
            self._mode = "thought"

    def _in_text(self, *, final: bool) -> Iterator[Piece]:
        at = 0
        while (found := self._next_opening(at)) >= 0:
            lead = _LEAD.match(self._rest, found)
            if self._rest[found] == "<":
                yield from self._text(self._rest[:found], self._glue.call)
                self._drop(found + len(self._open_tag))
                self._mode, self._wrapped_calls, self._junk = "wrapped", 0, ""
                return
            if lead and lead[1] in _LEAD_KEYS:
                yield from self._text(self._rest[:found])
                self._drop(found)
                self._begin_object(forced=False)
                return
            if not final and not lead and self._may_lead(found):
                break
            at = found + 1
        cut = found if found >= 0 else len(self._rest) - (0 if final else _overlap(self._rest, self._open_tag))
        yield from self._text(self._rest[:cut])
        self._drop(cut)

    def _in_wrapper(self, *, final: bool) -> Iterator[Piece]:
        rest = self._rest
        if rest.startswith("{"):
            self._begin_object(forced=True)
        elif rest.startswith(self._close_tag):
            self._drop(len(self._close_tag))
            yield from self._leave_wrapper(truncated=False)
        elif rest and (final or not self._close_tag.startswith(rest)):
            cut = min((at for at in (rest.find("{", 1), rest.find("<", 1)) if at > 0), default=len(rest))
            self._junk += rest[:cut]
            self._drop(cut)

    def _leave_wrapper(self, *, truncated: bool) -> Iterator[Piece]:
        junk, self._junk, self._mode = self._junk, "", "text"
        if self._wrapped_calls == 0:
            fault: Fault = "truncated" if truncated else "not JSON"
            yield Malformed(junk.strip(), fault, "it was cut off" if truncated else "it holds no JSON object")
        self._glue.ended()
        if self._wrapped_calls and junk.strip(" \t\r\n`,;").removeprefix("json"):
            yield from self._text(junk)

    def _in_object(self) -> Iterator[Piece]:
        self._drop(self._scan.feed(self._rest, 0))
        yield from self._stream()
        if self._scan.closed:
            yield from self._end_object()

    def _stream(self) -> Iterator[Piece]:
        """The start of a call whose name is known, and the arguments that have come."""
        name = self._scan.strings.get(self._name_key)
        if not self._started and name in self._names and name is not None:
            self._started = name
            yield from self._text("", self._glue.call)
            yield CallStarted(name, self._start)
        if self._started:
            value = self._scan.value_text(self._key_of_arguments(self._scan.starts))
            if value.startswith("{") and len(value) > self._streamed:
                yield ArgumentsText(value[self._streamed :])
                self._streamed = len(value)

    def _end_object(self) -> Iterator[Piece]:
        verdict = self._judge()
        scan, self._mode = self._scan, "wrapped" if self._forced else "text"
        self._wrapped_calls += self._forced
        match verdict:
            case None:
                yield from self._text(scan.text)
                return
            case Malformed():
                yield from self._text("", self._glue.call)
                yield verdict
            case CallEnded():
                if not self._started:
                    yield from self._text("", self._glue.call)
                    yield CallStarted(verdict.name, self._start)
                if verdict.text[self._streamed :]:
                    yield ArgumentsText(verdict.text[self._streamed :])
                yield verdict
        self._glue.ended()

    def _judge(self) -> CallEnded | Malformed | None:
        """What a closed object is: a call, a call that cannot be used, or None for text."""
        scan = self._scan
        value = _decoded_object(scan.text)
        if value is None:
            return self._fault("not JSON", "it is not valid JSON") if self._leads() else None
        inner = value.get("function")
        body = inner if isinstance(inner, Mapping) else value
        keys = (self._name_key, *NAME_KEYS)
        key = next((key for key in keys if isinstance(body.get(key), str)), None)
        if key is None:
            return self._fault("no function", "it names no function") if self._leads() else None
        name, given = str(body[key]), body.get(self._key_of_arguments(body))
        if key != self._name_key and body is value and not self._forced and (given is None or name not in self._names):
            return None
        if name not in self._names:
            return self._unknown(name) if self._leads() or given is not None else None
        if scan.repeated & {*NAME_KEYS, *ARGUMENT_KEYS}:
            return self._fault("not JSON", "it repeats a key")
        return self._judge_arguments(name, given, nested=body is not value)

    def _judge_arguments(self, name: str, given: Json, *, nested: bool) -> CallEnded | Malformed:
        text = self._scan.value_text(self._key_of_arguments(self._scan.starts))
        if given is None:
            if name not in self._optional:
                return self._fault("no arguments", f"it gives {name} no arguments")
            given, text = {}, "{}"
        elif isinstance(given, str):
            text = given.strip()
            given = _decoded_object(text) if text else {}
            text = text or "{}"
        elif nested:
            text = json.dumps(given, ensure_ascii=False)
        if not isinstance(given, Mapping):
            return self._fault("arguments not an object", f"the arguments of {name} are not a JSON object")
        return CallEnded(name, text, given, self._offset)

    def _unknown(self, name: str) -> Malformed:
        near = difflib.get_close_matches(name, self._names, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        return self._fault("unknown function", f"no function {name[:80]!r} is offered{hint}")

    def _fault(self, fault: Fault, reason: str) -> Malformed:
        return Malformed(self._scan.text, fault, reason)

    def _leads(self) -> bool:
        """Whether the object can only be meant as a call."""
        scan = self._scan
        if self._forced or self._started or (self._name_key == "function" == scan.first_key):
            return True
        return self._name_key in scan.strings and any(key in scan.starts for key in ARGUMENT_KEYS)

    def _key_of_arguments(self, keys: Collection[str]) -> str:
        return next((key for key in (self._argument_key, *ARGUMENT_KEYS) if key in keys), self._argument_key)

    def _close(self) -> Iterator[Piece]:
        """What is left at the end: a call that was cut off, or text that looked like the start of one."""
        while self._mode == "object":
            raw = self._scan.text
            if self._leads():
                yield from self._text("", self._glue.call)
                yield self._fault("truncated", "it was cut off")
                return
            self._rescans += 1
            again = 1 if self._rescans <= MAX_RESCANS else len(raw)
            self._mode = "text"
            yield from self._text(raw[:again])
            self._rest = raw[again:]
            self._offset -= len(raw) - again
            yield from self._advance(final=True)
        if self._mode == "wrapped":
            yield from self._leave_wrapper(truncated=True)
        yield from self._text("", self._glue.other)

    def _begin_object(self, *, forced: bool) -> None:
        self._scan, self._forced, self._mode = ObjectScan(), forced, "object"
        self._started, self._streamed, self._start = "", 0, self._offset

    def _next_opening(self, start: int) -> int:
        if not self._names:
            return -1
        brace = self._rest.find("{", start)
        tag = self._rest.find(self._open_tag, start) if self._open_tag else -1
        return min(brace, tag) if brace >= 0 and tag >= 0 else max(brace, tag)

    def _may_lead(self, start: int) -> bool:
        found = _PART_OF_LEAD.match(self._rest, start)
        if found is None:
            return False
        key, whole = found[1] or "", self._rest.rstrip().endswith('"') and found[1]
        return key in _LEAD_KEYS if whole else any(known.startswith(key) for known in _LEAD_KEYS)

    def _text(self, text: str, then: Callable[[], str] | None = None) -> Iterator[Piece]:
        certain = (self._glue.text(text) if text else "") + (then() if then else "")
        if certain:
            yield Text(certain)

    def _drop(self, count: int) -> None:
        self._rest = self._rest[count:]
        self._offset += count


def _decoded_object(text: str) -> Mapping[str, Json] | None:
    try:
        value = json.loads(text, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping) else None


def _refuse(word: str) -> Json:
    raise ValueError(f"{word} is not JSON")


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag` without being all of it."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
