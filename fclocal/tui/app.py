"""The terminal app: holds the loaded model and the conversation, and gives both to the screens."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import Screen

from fclocal import paths
from fclocal.errors import DiskError
from fclocal.escapes import visible
from fclocal.tui.downloads import Download, Downloads
from fclocal.tui.opening import Ask, Opened, Opening
from fclocal.tui.saying import sentence
from fclocal.tui.screens.chat import ChatScreen
from fclocal.tui.switches import Switched

if TYPE_CHECKING:
    from fclocal.chat.session import Session
    from fclocal.chat.store import Sessions
    from fclocal.chat.turn import Recorder
    from fclocal.messages import Message
    from fclocal.tools.mcp.servers import McpServers

# How long the engine and the sessions file have to close once the terminal is gone.
GONE_SECONDS = 3.0


class FclocalApp(App[None]):
    """Chat with a model that calls functions. `opening` is called after the first paint.

    `model_given` says that the user named a model, so that nothing has to be offered first.
    """

    TITLE = "fclocal"
    CSS_PATH = "fclocal.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", "Quit", priority=True),
        Binding("f1,question_mark", "help", "Keys", key_display="?"),
        Binding("f2", "models", "Models"),
        Binding("f3", "functions", "Functions"),
        Binding("f4", "sessions", "Sessions"),
        Binding("f5", "inspector", "Inspector"),
    ]

    def __init__(self, opening: Opening, *, model_given: bool = True) -> None:
        super().__init__()
        self._opening = opening
        self._model_given = model_given
        self._change = asyncio.Event()
        self._wanted: str | None = None
        self._leaving = False
        self._code = 0
        self.fault: Exception | None = None
        self._store: Sessions | None = None
        self.opened: Opened | None = None
        self.switched_off: set[str] = set()
        self.servers: McpServers | None = None
        self._asked: set[str] = set()
        self.downloads = Downloads(self._download_ended)
        self.chat = ChatScreen()

    def get_default_screen(self) -> Screen[None]:
        """The chat is the first screen."""
        return self.chat

    async def on_event(self, event: events.Event) -> None:
        """A quick series of resizes that come as signals reaches Textual in any order, because its handler interrupts
        itself: what counts is the size that the terminal has now. Sizes that the terminal itself sends have pixels."""
        by_signal = isinstance(event, events.Resize) and event.pixel_size is None
        if by_signal and not (self.is_headless or self.is_web):
            size = Size(*shutil.get_terminal_size())
            event = events.Resize(size, size)
        await super().on_event(event)

    def on_mount(self) -> None:
        """Paint first."""
        if not self.is_headless:
            self._leave_on_signals()
        self.set_interval(0.5, self._show_downloads)
        self.set_interval(0.5, self._watch_servers)
        self.chat.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """The first paint is done: welcome whoever is new, and load."""
        if not self._model_given and not (paths.data_folder() / "sessions.db").exists():
            from fclocal.tui.screens.welcome import WelcomeScreen  # deferred: shown once in a lifetime

            self.push_screen(WelcomeScreen())
        self.screen.call_after_refresh(self._hold_model)

    def action_leave(self) -> None:
        """Free the model, then end."""
        self._leaving = True
        self.downloads.cancel_all()
        if self.opened is None:
            self.exit(return_code=self._code)
        self._change.set()

    async def action_quit(self) -> None:
        """What the palette calls."""
        self.action_leave()

    def _handle_exception(self, error: Exception) -> None:
        self.fault = self.fault or error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Textual prints a traceback here; `fault` is told by whoever runs the app, when the terminal is given back."""
        self._close_messages_no_wait()

    def _leave_on_signals(self) -> None:
        """A terminal that is closed, and a polite kill, give the terminal back as it was."""
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None:
                with suppress(NotImplementedError):  # Windows' event loop has no signal handlers
                    asyncio.get_running_loop().add_signal_handler(number, self._leave_with, 128 + number)

    def _leave_with(self, code: int) -> None:
        """A terminal that is gone takes no more output, for which Textual would wait without end."""
        if not _terminal_is_there():
            last = threading.Timer(GONE_SECONDS, os._exit, [code])
            last.daemon = True
            last.start()
        self._code = code
        self.action_leave()

    def load(self, model: str) -> None:
        """Put `model` in the place of the loaded one and go on with the conversation."""
        self._wanted = model
        self._change.set()

    def _download_ended(self, download: Download) -> None:
        name = visible(download.plan.name)
        sentences = {"done": f"{name} is here: F2 loads it.", "stopped": f"The download of {name} can be resumed."}
        self.notify(sentences.get(download.state, visible(download.fault)), markup=False, timeout=10)

    def _show_downloads(self) -> None:
        running = self.downloads.running
        done, total = sum(one.done for one in running), sum(one.total for one in running)
        self.chat.status.download = f"downloading {done / total:.0%}" if total else ""

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers."""
        yield from super().get_system_commands(screen)
        yield SystemCommand("Models", "Load, download, verify or remove a model", self.action_models)
        yield SystemCommand("Functions", "Switch functions on and off, see what is enforced", self.action_functions)
        yield SystemCommand("Sessions", "Resume, search, rename, export or delete a conversation", self.action_sessions)
        yield SystemCommand("Inspector", "Prompt, grammar, tokens and context of the last reply", self.action_inspector)
        yield SystemCommand("New chat", "Begin another conversation", self.chat.action_new)

    def action_help(self) -> None:
        """Show or hide the keys that work now."""
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_models(self) -> None:
        """Open the model screen."""
        from fclocal.tui.screens.models import ModelScreen  # deferred: the Hub client, not for the first paint

        self._open(ModelScreen)

    def action_functions(self) -> None:
        """Open the functions panel."""
        from fclocal.tui.screens.functions import FunctionScreen  # deferred: compiles schemas

        self._open(FunctionScreen)

    def action_sessions(self) -> None:
        """Open the list of conversations."""
        from fclocal.tui.screens.sessions import SessionScreen  # deferred: SQLite

        self._open(SessionScreen)

    def action_inspector(self) -> None:
        """Open the inspector."""
        from fclocal.tui.screens.inspector import InspectorScreen  # deferred: needs the engine's modules

        self._open(InspectorScreen)

    def _open(self, kind: Callable[[], Screen[None]]) -> None:
        if isinstance(self.screen, ChatScreen):
            self.push_screen(kind())
        elif self.screen.__class__ is not kind and len(self.screen_stack) > 1:
            self.switch_screen(kind())

    @property
    def store(self) -> Sessions:
        """The stored conversations. Raises DiskError."""
        if self._store is None:
            from fclocal.chat.store import Sessions  # deferred: SQLite and the dialects, not for the first paint

            self._store = Sessions()
        return self._store

    def begin_session(self, history: Sequence[Message] = (), *, stored: str | None = None) -> Session:
        """A conversation that is written down, or goes on in the stored one."""
        assert self.opened is not None
        model = self.opened.runtime.model
        record: Recorder | None = None
        try:
            if stored is None:
                record = self.store.record(model=model.name, dialect=model.dialect.name, on_fault=self._disk_fault)
            else:
                record = self.store.go_on(stored, on_fault=self._disk_fault)
        except DiskError as error:
            self._disk_fault(error)
        return self.continue_session(history, record)

    def continue_session(self, history: Sequence[Message], record: Recorder | None) -> Session:
        """A conversation on the model that is loaded now, with the functions that are switched on."""
        assert self.opened is not None
        session = self.opened.start(history=history, record=record)
        session.toolset = Switched(session.toolset, self.switched_off)
        return session

    def _disk_fault(self, error: DiskError) -> None:
        self.chat.say_soon(f"The conversation is no longer saved. {error}")

    async def _trust(self, servers: McpServers) -> None:
        """Ask about MCP servers that are new, and about tools that have changed."""
        from fclocal.tools.mcp.asking import ask_about_servers  # deferred: most conversations have no MCP server

        self.servers = servers
        self.chat.status.state = "starting MCP servers"
        await ask_about_servers(servers, self._ask_yes)
        self._asked |= {servers.fingerprint(name) for name in servers.names}

    async def _ask_yes(self, headline: str, facts: tuple[str, ...], question: str) -> bool:
        from fclocal.tui.screens.trust import TrustScreen  # deferred, as above

        yes: bool = await self.push_screen_wait(TrustScreen(headline, facts, question))
        return yes

    def _watch_servers(self) -> None:
        """A server that changed its tools since the last question is asked about, between two turns."""
        servers = self.servers
        if servers is None or self.opened is None or self.chat.busy or not isinstance(self.screen, ChatScreen):
            return
        for status in servers.statuses:
            if status.withheld and servers.fingerprint(status.name) not in self._asked:
                self.ask_about_servers()
                return

    @work(exclusive=True, group="trust")
    async def ask_about_servers(self) -> None:
        """Ask again about everything that is not approved."""
        if self.servers is None:
            return
        try:
            await self._trust(self.servers)
        except Exception as error:
            await self.chat.say(sentence(error))
        self.chat.status.state = "ready"

    @work(exclusive=True, group="model")
    async def _hold_model(self) -> None:
        """Load, hold until another model or the end is asked for, and close."""
        model: str | None = None
        while not self._leaving:
            try:
                await self._hold(model)
            except Exception as error:
                await self.chat.fail(sentence(error))
            if self.opened is None and not self._leaving:
                await self._change.wait()
            self.opened = None
            self._change.clear()
            model = self._wanted
        self.exit(return_code=self._code)

    async def _hold(self, model: str | None) -> None:
        status = self.chat.status
        status.state = "loading the model"

        def progress(done: float) -> None:
            status.state = f"loading the model {done:.0%}"

        self.servers = None
        async with self._opening(Ask(model, progress, self._trust)) as opened:
            self.opened = opened
            await self.chat.begin(opened)
            await self._change.wait()
            await self.chat.stop_and_wait()


def _terminal_is_there() -> bool:
    try:
        os.get_terminal_size(sys.__stderr__.fileno() if sys.__stderr__ else 2)
    except OSError:
        return False
    return True
