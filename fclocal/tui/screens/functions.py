"""The functions panel: what the model is offered, where it comes from, what is enforced; each can be switched off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Footer, Static

from fclocal.chat.receipt import plain
from fclocal.escapes import has_hidden, visible
from fclocal.grammar.schema import SchemaReport, report
from fclocal.tools.gather import Noticing
from fclocal.tools.toolset import Tool
from fclocal.tui.screens.side import SideScreen
from fclocal.tui.widgets.table import fill

if TYPE_CHECKING:
    from fclocal.tools.mcp.servers import ServerStatus


class FunctionScreen(SideScreen):
    """A switch counts from the next message on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "switch", "On or off"),
        Binding("o", "switch_origin", "Whole source on or off"),
        Binding("a", "ask", "Ask about MCP"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._tools: tuple[Tool, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static("", id="servers", markup=False)
        yield DataTable(id="functions", cursor_type="row", zebra_stripes=True)
        with VerticalScroll(classes="detail"):
            yield Static("No function is offered.", id="news", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """List them."""
        self.query_one("#functions", DataTable).focus()
        self.set_interval(0.5, self._show_servers)
        self._show_servers()
        self._read()

    def on_screen_resume(self) -> None:
        """A question about a server may have been answered."""
        self._read()

    def _show_servers(self) -> None:
        servers = self.app.servers
        lines = [_server_line(status) for status in servers.statuses] if servers else []
        shown = self.query_one("#servers", Static)
        shown.display = bool(lines)
        shown.update(Text("\n".join(lines)))

    def action_ask(self) -> None:
        """Ask about the servers and tools that are not approved."""
        if self.app.opened is not None:
            self.app.ask_about_servers()

    @work(exclusive=True, exit_on_error=False)
    async def _read(self) -> None:
        opened = self.app.opened
        if opened is None:
            self.tell("The model is not loaded yet.")
            return
        self._tools = tuple(await opened.runtime.toolset.list())
        self._fill()

    def _fill(self) -> None:
        rows = [
            (
                "off" if tool.function.name in self.app.switched_off else "on",
                tool.function.name,
                tool.origin,
                tool.effect,
            )
            for tool in self._tools
        ]
        fill(self.query_one("#functions", DataTable), ("On", "Function", "From", "May"), rows)

    @on(DataTable.RowHighlighted)
    def pointed_at(self, event: DataTable.RowHighlighted) -> None:
        """Show the function under the cursor."""
        if 0 <= event.cursor_row < len(self._tools):
            tool = self._tools[event.cursor_row]
            toolset = self.app.opened.runtime.toolset if self.app.opened else None
            notices = toolset.notices if isinstance(toolset, Noticing) else ()
            self.query_one("#news", Static).update(_described(tool, report(tool.function), tuple(notices)))

    @on(DataTable.RowSelected)
    def action_switch(self) -> None:
        """Switch the function under the cursor."""
        self._flip(lambda one, pointed: one is pointed)

    def action_switch_origin(self) -> None:
        """Switch every function that comes from the same place."""
        self._flip(lambda one, pointed: one.origin == pointed.origin)

    def _flip(self, meant: Callable[[Tool, Tool], bool]) -> None:
        at = self.query_one("#functions", DataTable).cursor_row
        if not 0 <= at < len(self._tools):
            return
        pointed, off = self._tools[at], self.app.switched_off
        names = {tool.function.name for tool in self._tools if meant(tool, pointed)}
        if pointed.function.name in off:
            off -= names
        else:
            off |= names
        self._fill()


def _server_line(status: ServerStatus) -> str:
    """How an MCP server stands, in words."""
    if not status.known:
        state = "not approved, not started (a asks)"
    elif status.state == "failed":
        state = f"failed: {status.reason}"
    elif status.state == "ready":
        state = f"ready with {len(status.tools)} tool{'' if len(status.tools) == 1 else 's'}"
        state += f", {len(status.withheld)} withheld (a asks)" if status.withheld else ""
    else:
        state = status.state
    return visible(f"MCP {status.name}: {state}")


def _described(tool: Tool, found: SchemaReport, notices: tuple[str, ...]) -> Text:
    function = tool.function
    text = Text(f"{visible(function.name)}\n", style="bold")
    text.append(f"{visible(function.description)}\n\n", style="not bold")
    if has_hidden(function.description) or has_hidden(json.dumps(plain(function.parameters), ensure_ascii=False)):
        text.append("It has hidden characters, written out here as \\x.. and \\u....\n", style="bold red")
    if found.status != "ok":
        text.append(f"Set aside: {visible(found.reason)}\n", style="bold red")
    for word, pointers in (
        ("enforced by the grammar", found.enforced),
        ("checked after generation", found.checked),
        ("refused", found.refused),
        ("limited", tuple(f"{pointer} to {limit}" for pointer, limit in found.caps.items())),
    ):
        if pointers:
            text.append(f"{word}: ", style="bold").append(f"{visible(', '.join(pointers))}\n", style="not bold")
    schema = json.dumps(plain(function.parameters), indent=2, ensure_ascii=False)
    text.append(f"\n{visible(schema)}\n", style="not bold")
    for notice in notices:
        text.append(f"\n{visible(notice)}", style="yellow")
    return text
