"""The app with a scripted model, so that every flow says the same each time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fclocal.chat.reply import ReplyRequest
from fclocal.chat.session import Session
from fclocal.chat.turn import TurnSettings
from fclocal.config import Config
from fclocal.engine.request import Step
from fclocal.functions import Function
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.runtime import Runtime
from fclocal.tools.mcp import McpServers
from fclocal.tools.policy import Policy
from fclocal.tools.toolset import BUILT_IN, Effect, Tool
from fclocal.tui.app import FclocalApp
from fclocal.tui.opening import Ask, Opened
from fclocal.tui.widgets import approval
from tests.scripted import ScriptedGeneration, scripted_model


class Mail:
    """One function `send(to, count)`; remembers what ran."""

    def __init__(self, *, effect: Effect = "write", content: str = '{"sent": true}', ok: bool = True) -> None:
        properties = {"to": {"type": "string"}, "count": {"type": "integer", "minimum": 1, "maximum": 9}}
        schema = {"type": "object", "properties": properties, "required": ["to"], "additionalProperties": False}
        origin = BUILT_IN if effect == "compute" else "mail.py"
        self.tool = Tool(Function("send", "Send a message.", schema), origin, effect)
        self.content, self.ok = content, ok
        self.ran: list[Mapping[str, object]] = []

    async def list(self) -> Sequence[Tool]:
        return (self.tool,)

    async def call(self, call: FunctionCall) -> FunctionResult:
        self.ran.append(dict(call.arguments))
        return FunctionResult(call.id, self.content, ok=self.ok)


def send(**arguments: object) -> str:
    """What the model writes to call `send`."""
    return json.dumps({"function": "send", "arguments": arguments})


MakeApp = Callable[..., FclocalApp]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of this machine's user is seen or written."""
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"FCLOCAL_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.fixture(autouse=True)
def token_by_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted model lets the app work after each token, as the real one does."""
    unhurried = ScriptedGeneration.__anext__

    async def next_step(self: ScriptedGeneration) -> Step:
        await asyncio.sleep(0)
        return await unhurried(self)

    monkeypatch.setattr(ScriptedGeneration, "__anext__", next_step)


@pytest.fixture
def no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys count as soon as the question is on the screen."""
    monkeypatch.setattr(approval, "GUARD_SECONDS", 0.0)


@pytest.fixture
def make_app() -> MakeApp:
    def make(*texts: str, tools: Any = None, missing: str = "off", model_given: bool = True, **more: Any) -> FclocalApp:
        @asynccontextmanager
        async def opening(ask: Ask) -> AsyncIterator[Opened]:
            ask.progress(0.5)
            model = scripted_model(*texts, **more)
            toolset, policy = tools or Mail(), Policy()
            if isinstance(toolset, McpServers):
                await ask.trust(toolset)
            runtime = Runtime(model, None, toolset, policy, Config(), ())  # type: ignore[arg-type]  # nothing was chosen
            settings = TurnSettings(ReplyRequest(()), missing=missing)  # type: ignore[arg-type]

            def start(**parts: Any) -> Session:
                return Session(model, toolset, policy, settings=settings, **parts)

            yield Opened(runtime, start, "CPU")

        return FclocalApp(opening, model_given=model_given)

    return make


def screen_text(app: FclocalApp) -> str:
    """What can be read off the screen."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the app work until `condition` holds."""
    for _ in range(1500):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"It never came to pass. The screen:\n{screen_text(pilot.app)}")  # type: ignore[arg-type]


async def shows(pilot: Pilot[None], words: str) -> None:
    """Wait until `words` are on the screen."""
    await until(pilot, lambda: words in screen_text(pilot.app))  # type: ignore[arg-type]


async def say(pilot: Pilot[None], text: str) -> None:
    """Type a message and send it."""
    await until(pilot, lambda: pilot.app.focused is not None and pilot.app.focused.id == "prompt")
    pilot.app.focused.insert(text)  # type: ignore[union-attr]
    await pilot.press("enter")


async def asked(pilot: Pilot[None]) -> None:
    """Wait until a call waits for a decision and takes the keys."""
    await shows(pilot, ": waiting")
    await until(pilot, lambda: isinstance(pilot.app.focused, approval.Approval))
