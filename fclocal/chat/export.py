"""A stored conversation as JSON, as Markdown to read, or as lines to fine-tune on in the seed's prompt format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from fclocal.chat.receipt import call_object, plain, receipt_json
from fclocal.chat.stored import StoredCall, StoredSession
from fclocal.dialects.dialect import Dialect, prompt_text, write_reply
from fclocal.functions import Json, JsonObject, to_openai
from fclocal.messages import AssistantMessage, FunctionResult, Message, SystemMessage, UserMessage

FORMATS = ("json", "markdown", "jsonl")
DEFAULT_END = "</s>"


def session_json(session: StoredSession) -> JsonObject:
    """Everything that is stored of a conversation; times are ISO 8601 in UTC."""
    summary = session.summary
    known = {call.call.id: call for call in session.calls}
    return {
        "id": summary.id,
        "title": summary.title,
        "created": _iso(summary.created),
        "updated": _iso(summary.updated),
        "model": summary.model,
        "dialect": summary.dialect,
        "functions": [plain(to_openai(function)) for function in session.functions],
        "messages": [
            {**_message_json(message, known), "at": _iso(at) if at is not None else None}
            for message, at in zip(session.messages, session.times, strict=True)
        ],
        "notes": list(session.notes),
    }


def session_markdown(session: StoredSession) -> str:
    """A conversation to read: who said what, each call with who allowed it and what came of it."""
    summary = session.summary
    lines = [f"# {_one_line(summary.title) or summary.id}", ""]
    lines += [f"Session {summary.id}, {_iso(summary.created)}, {_one_line(summary.model)} ({summary.dialect})", ""]
    known = {call.call.id: call for call in session.calls}
    for message in session.messages:
        lines += _paragraphs(message, known)
    return "\n".join(lines).rstrip() + "\n"


def training_lines(session: StoredSession, dialect: Dialect, *, end: str = DEFAULT_END) -> Iterator[JsonObject]:
    """One `{"prompt", "completion"}` for each reply that is worth learning, the prompt as `dialect` renders it.

    A reply is left out when one of its calls was denied, failed or never ended. A call that the user changed is shown
    as it ran, with `"edited": true`. `end` is the text of the vocabulary's end token, which stands between turns and
    which the trainer adds after the completion.
    """
    outcomes = {call.call.id: call for call in session.calls}
    for number, message in enumerate(session.messages):
        if not isinstance(message, AssistantMessage) or not (message.calls or message.text.strip()):
            continue
        made = [outcomes[call.id] for call in message.calls if call.id in outcomes]
        if any(call.outcome in ("denied", "failed", "unknown") for call in made):
            continue
        earlier = session.messages[:number]
        if not any(isinstance(said, UserMessage) for said in earlier):
            continue
        yield {
            "prompt": prompt_text(dialect.render(earlier, session.functions, eos=end)),
            "completion": write_reply(dialect.syntax, message),
            "edited": any(call.edited is not None for call in made),
        }


def left_out(session: StoredSession) -> int:
    """How many replies `training_lines` leaves out because of a call that was denied, failed or never ended."""
    bad = {call.message for call in session.calls if call.outcome in ("denied", "failed", "unknown")}
    return len(bad)


def _message_json(message: Message, known: dict[str, StoredCall]) -> dict[str, Json]:
    match message:
        case SystemMessage(text=text):
            return {"role": "system", "text": text}
        case UserMessage(text=text):
            return {"role": "user", "text": text}
        case FunctionResult(call_id=call_id, content=content, ok=ok, name=name):
            return {"role": "result", "call": call_id, "function": name, "ok": ok, "content": content}
        case AssistantMessage(text=text, calls=calls, thinking=thinking):
            made = [_call_json(known[call.id]) for call in calls if call.id in known]
            return {"role": "assistant", "text": text, "thinking": thinking, "calls": made}


def _call_json(call: StoredCall) -> JsonObject:
    return {
        "id": call.call.id,
        "function": call.call.name,
        "arguments": plain(call.call.arguments),
        "edited": plain(call.edited.arguments) if call.edited else None,
        "outcome": call.outcome,
        "verdict": call.verdict,
        "began": _iso(call.began) if call.began else None,
        "ended": _iso(call.ended) if call.ended else None,
        "ms": call.ms,
        "receipt": receipt_json(call.receipt) if call.receipt else None,
    }


def _paragraphs(message: Message, known: dict[str, StoredCall]) -> list[str]:
    match message:
        case SystemMessage(text=text):
            return ["## System", "", text, ""]
        case UserMessage(text=text):
            return ["## User", "", text, ""]
        case FunctionResult(content=content, ok=ok, name=name):
            return [f"Result of `{_one_line(name)}`{'' if ok else ' (failed)'}:", "", *_fenced(content, ""), ""]
        case AssistantMessage(text=text, calls=calls):
            written = [line for call in calls for line in _call_lines(known.get(call.id))]
            return ["## Assistant", "", *([text, ""] if text else []), *written]


def _call_lines(call: StoredCall | None) -> list[str]:
    if call is None:
        return []
    body = json.dumps(call_object(call.final), ensure_ascii=False, indent=2)
    words = [f"Call, {call.outcome}", call.verdict, f"{call.ms:.0f} ms" if call.ms is not None else ""]
    lines = [f"{', '.join(filter(None, words))}:", "", *_fenced(body, "json"), ""]
    if call.edited is not None:
        before = json.dumps(plain(call.call.arguments), ensure_ascii=False)
        lines += ["The model had written these arguments:", "", *_fenced(before, "json"), ""]
    return lines


def _fenced(text: str, language: str) -> Sequence[str]:
    """`text` in a code fence that nothing in it can close."""
    longest = run = 0
    for char in text:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return (f"{fence}{language}", text, fence)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
