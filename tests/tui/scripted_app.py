"""The app with a scripted model as a process of its own: `python -m tests.tui.scripted_app FILE.json`.

The file has `texts` (what the model says, reply by reply), and may have `result`, `description`, `notices`, `crash` and
`old_size`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.events import Key, Resize
from textual.geometry import Size

from fclocal.chat.reply import ReplyRequest
from fclocal.chat.session import Session
from fclocal.chat.turn import TurnSettings
from fclocal.cli.rim import leave
from fclocal.cli.terminal_app import run_app
from fclocal.config import Config
from fclocal.functions import Function
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.runtime import Runtime
from fclocal.tools.gather import Toolbox
from fclocal.tools.policy import Policy
from fclocal.tools.toolset import Tool
from fclocal.tui.app import FclocalApp
from fclocal.tui.opening import Ask, Opened
from fclocal.tui.widgets.prompt import Prompt
from tests.scripted import scripted_model

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}


class OneTool:
    """`send(to)`, described and answering as the file says."""

    def __init__(self, *, description: str, result: str) -> None:
        self._tool = Tool(Function("send", description, SCHEMA), "mail.py", "write")
        self._result = result

    async def list(self) -> Sequence[Tool]:
        return (self._tool,)

    async def call(self, call: FunctionCall) -> FunctionResult:
        return FunctionResult(call.id, self._result)


def main() -> None:
    """Run it until the user leaves."""
    said: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    toolset = Toolbox([OneTool(description=said.get("description", "Send."), result=said.get("result", "sent"))])

    @asynccontextmanager
    async def opening(ask: Ask) -> AsyncIterator[Opened]:
        model, policy = scripted_model(*said["texts"]), Policy()
        runtime = Runtime(model, None, toolset, policy, Config(), tuple(said.get("notices", ())))  # type: ignore[arg-type]  # nothing was chosen

        def start(**parts: Any) -> Session:
            return Session(model, toolset, policy, settings=TurnSettings(ReplyRequest(()), missing="off"), **parts)

        yield Opened(runtime, start, "CPU")

    app = FclocalApp(opening)
    if crash := said.get("crash"):
        where = {"app": FclocalApp, "prompt": Prompt}[crash]
        where._on_key = broken  # type: ignore[attr-defined, union-attr]
    if said.get("old_size"):
        FclocalApp._on_key = resized_late  # type: ignore[assignment]  # a handler by its name
    leave(lambda: run_app(app))


def resized_late(self: FclocalApp, event: Key) -> None:
    """At the key F9, a resize that the terminal had long ago; a word says that it was worked off."""
    if event.key == "f9":
        self.post_message(Resize(Size(22, 7), Size(22, 7)))
        self.set_timer(0.2, lambda: self.notify("resized"))


def broken(self: object, event: Key) -> None:
    """A fault of the program, at the first key F9."""
    if event.key == "f9":
        raise KeyError("odd")


if __name__ == "__main__":
    main()
