"""A process that holds a conversation with real turns, keeps it, and goes on with it after it was killed.

`python turn_writer.py FILE LOG`: for each line on stdin, a forked process goes on with the conversation until it is
killed. A scripted model calls `run` in every turn; running it adds the call's id to LOG. Stdout says the process id,
what the store has acknowledged, and `gone`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fclocal.chat.model import Model
from fclocal.chat.recording import Recording
from fclocal.chat.reply import ReplyRequest
from fclocal.chat.session import Session
from fclocal.chat.store import Sessions
from fclocal.chat.turn import TurnSettings
from fclocal.dialects.select import pick
from fclocal.engine.request import Request
from fclocal.events import Receipt
from fclocal.functions import from_openai
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message
from fclocal.tools.policy import Policy
from fclocal.tools.toolset import Tool

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from tests.scripted import ScriptedEngine, ScriptedGeneration

RUN = from_openai(
    {
        "name": "run",
        "parameters": {"type": "object", "properties": {"turn": {"type": "integer"}}, "required": ["turn"]},
    },
    origin="test",
)
LONG = 60


class Endless(ScriptedEngine):
    """Replies with a call and with a text, in turns."""

    replies = 0

    def generate(self, request: Request, *, stop_tokens: frozenset[int] = frozenset()) -> ScriptedGeneration:
        call = f'{{"function": "run", "arguments": {{"turn": {self.replies}}}}}'
        self.replies += 1
        return ScriptedGeneration(self, call if self.replies % 2 else "Done.")


class Doing:
    """The function `run`: one line in the log, and a while."""

    def __init__(self, log: Path) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def list(self) -> Sequence[Tool]:
        return (Tool(RUN, "test", "write"),)

    async def call(self, call: FunctionCall) -> FunctionResult:
        os.write(self._log, f"{call.id}\n".encode())
        await asyncio.sleep(0.005)
        return FunctionResult(call.id, '{"ok": true}')


class Acknowledging:
    """The recording, with a line on stdout after each thing it kept."""

    def __init__(self, record: Recording) -> None:
        self._record = record

    def message(self, message: Message, receipts: Mapping[str, Receipt]) -> None:
        self._record.message(message, receipts)
        for call in message.calls if isinstance(message, AssistantMessage) else ():
            self._say("called", call)

    def began(self, call: FunctionCall, *, verdict: str, original: FunctionCall | None) -> None:
        self._record.began(call, verdict=verdict, original=original)
        self._say("began", call)

    def ended(self, call: FunctionCall, result: FunctionResult, *, ms: float) -> None:
        self._record.ended(call, result, ms=ms)
        self._say("ended", call)

    def _say(self, word: str, call: FunctionCall) -> None:
        sys.stdout.write(f"{word} {self._record.id} {call.id}\n")
        sys.stdout.flush()


async def talk(stored: Sessions, log: Path) -> None:
    """Go on with the last conversation, or begin one when it is long."""
    model = Model("scripted", Endless(()), pick("trelis-llama"), "0" * 64, "F16")  # type: ignore[arg-type]  # the seam
    earlier = stored.load("last") if stored.list() else None
    if earlier and len(earlier.messages) < LONG:
        record = stored.go_on(earlier.summary.id)
    else:
        earlier, record = None, stored.record(model="scripted", dialect="trelis-llama", functions=(RUN,))
    session = Session(
        model,
        Doing(log),
        Policy(rules={"run": "allow"}),
        settings=TurnSettings(ReplyRequest(()), missing="off"),
        history=earlier.messages if earlier else (),
        record=Acknowledging(record),
    )
    while True:
        async for _ in session.send("Run it."):
            pass


def fork(path: Path, log: Path) -> None:
    """One process that talks until it is killed."""
    child = os.fork()
    if not child:
        with Sessions(path) as opened:
            asyncio.run(talk(opened, log))
        os._exit(0)
    print("pid", child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)


if __name__ == "__main__":
    for _ in sys.stdin:
        fork(Path(sys.argv[1]), Path(sys.argv[2]))
