"""A turn as lines: the answer on stdout, the story (calls, receipts, results) on stderr."""

from __future__ import annotations

import sys

from fclocal.chat.receipt import call_json, call_object, receipt_json, receipt_lines
from fclocal.cli.rim import json_line, say
from fclocal.escapes import visible
from fclocal.events import (
    CallFinished,
    CallReady,
    Event,
    Notice,
    QuestionAsked,
    ReplyFinished,
    TextDelta,
    TurnFinished,
)
from fclocal.functions import Json

MAX_SHOWN = 2_000


class Story:
    """Prints events as they come and remembers what a turn came to.

    `streaming` shows text while it is generated; otherwise only the last reply, the answer, reaches stdout. `silent`
    prints nothing, for --json.
    """

    def __init__(self, *, streaming: bool, silent: bool = False) -> None:
        self.answer = ""
        self.calls: list[dict[str, Json]] = []
        self.denied = False
        self.proposed: list[str] = []
        self.finished = ""
        self.timings: Json = None
        self._streaming = streaming and not silent
        self._silent = silent

    def tell(self, event: Event) -> None:
        """Show one event."""
        match event:
            case TextDelta(text=text):
                self.answer += text
                if self._streaming:
                    print(visible(text), end="", flush=True)
            case CallReady(call=call, receipt=receipt):
                self.calls.append({"id": call.id, **call_object(call)})
                self.calls[-1]["receipt"] = receipt_json(receipt)
                self._end_line()
                self.answer = ""
                self._say("call", call_json(call))
                self._say("receipt", "\n".join(receipt_lines(receipt)))
            case CallFinished(call=call, outcome="proposed"):
                self.proposed.append(json_line(call_object(call)))
            case CallFinished(call=call, result=result, ms=ms, outcome=outcome):
                self.denied = self.denied or outcome == "denied"
                self._keep_result(call.id, result.content, outcome)
                if outcome != "unanswered":
                    self._say("result" if result.ok else outcome, f"{_short(result.content)}  ({ms:.0f} ms)")
                    self.answer = ""
            case QuestionAsked(question=question):
                self._say("missing", "Nobody gave that value, so the call does not run.")
                self.answer = question
            case Notice(text=text):
                self._say("note", text)
            case ReplyFinished(timings=timings, notes=notes, reason=reason):
                self._add_timings(timings.prompt_tokens, timings.sampled_tokens, timings.forced_tokens)
                for note in notes:
                    self._say("note", note)
                if reason == "length":
                    self._say("note", "The reply was cut off at its limit; raise --max-tokens.")
            case TurnFinished(reason=reason):
                self.finished = reason
                self._end_turn()

    def as_json(self) -> Json:
        """The turn as one JSON value."""
        return {"answer": self.answer, "calls": self.calls, "finished": self.finished, "tokens": self.timings}

    def _end_turn(self) -> None:
        if self._silent:
            return
        if self._streaming:
            self._end_line()
        elif self.answer:
            print(visible(self.answer.strip()), flush=True)
        for call in self.proposed:
            print(call, flush=True)

    def _end_line(self) -> None:
        if self._streaming and self.answer and not self.answer.endswith("\n"):
            print(flush=True)

    def _say(self, what: str, text: str) -> None:
        if self._silent:
            return
        first, *rest = text.splitlines() or [""]
        say(f"{what:<9}{first}")
        for line in rest:
            say(f"{'':<9}{line}")

    def _keep_result(self, call_id: str, content: str, outcome: str) -> None:
        for call in self.calls:
            if call["id"] == call_id:
                call["result"], call["outcome"] = content, outcome

    def _add_timings(self, prompt: int, sampled: int, forced: int) -> None:
        before = self.timings if isinstance(self.timings, dict) else {"prompt": 0, "sampled": 0, "forced": 0}
        now = {"prompt": prompt, "sampled": sampled, "forced": forced}
        self.timings = {key: before[key] + now[key] for key in now}


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} ... ({len(text)} characters)"


def is_terminal() -> bool:
    """Whether a person can be asked: both stdin and stderr are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()
