"""The model screen: what is on this machine and what the catalog has; load, download, verify, remove."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, DataTable, Footer, Input, Select, Static

from fclocal.escapes import visible
from fclocal.models.fit import gb
from fclocal.models.hub import Hub
from fclocal.models.keep import plan_removal, remove, verify
from fclocal.models.pull import PullPlan, plan_pull
from fclocal.models.store import Store
from fclocal.tui.model_rows import ModelRow, Shelf, fit_of, read_shelf
from fclocal.tui.screens.side import SideScreen
from fclocal.tui.widgets.fit_bars import fit_bars
from fclocal.tui.widgets.table import fill

AUTOMATIC = "the best that fits"
HINT = "Or type a name, owner/repo:QUANT or the path of a .gguf file, then Enter"


class ModelScreen(SideScreen):
    """Downloads go on when the screen is left; coming back shows how far they are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "press('load')", "Load"),
        Binding("d", "press('download')", "Download"),
        Binding("x", "press('cancel')", "Cancel"),
        Binding("v", "press('verify')", "Verify"),
        Binding("delete", "press('remove')", "Remove"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._shelf: Shelf | None = None
        self._row: ModelRow | None = None
        self._plan: PullPlan | None = None
        self._removing = ""

    def compose(self) -> ComposeResult:
        yield DataTable(id="models", cursor_type="row", zebra_stripes=True)
        with VerticalScroll(id="model-detail"):
            yield Static("Looking at this machine ...", id="fit", markup=False)
            yield Static("", id="news", markup=False)
        with Horizontal(classes="buttons"):
            yield Button("Load", id="load", variant="success", compact=True)
            yield Select([(AUTOMATIC, "")], id="quant", allow_blank=False, value="", compact=True)
            yield Button("Download", id="download", compact=True)
            yield Button("Cancel", id="cancel", compact=True)
            yield Button("Verify", id="verify", compact=True)
            yield Button("Remove", id="remove", variant="error", compact=True)
        yield Input(placeholder=HINT, id="model-name", compact=True)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Read the disk beside the screen."""
        self.query_one("#models", DataTable).focus()
        self.set_interval(0.5, self._progress)
        self.refresh_shelf()

    @work(exclusive=True, group="shelf", exit_on_error=False)
    async def refresh_shelf(self) -> None:
        """Show what is there now."""
        self._shelf = await asyncio.to_thread(read_shelf)
        rows = [(row.name, row.quant, row.size_text, row.state) for row in self._shelf.rows]
        fill(self.query_one("#models", DataTable), ("Model", "Quant", "Size", "State"), rows)

    @on(DataTable.RowHighlighted)
    def pointed_at(self, event: DataTable.RowHighlighted) -> None:
        """Show the memory plan of the model under the cursor."""
        rows = self._shelf.rows if self._shelf else ()
        before, self._row = self._row, rows[event.cursor_row] if event.cursor_row < len(rows) else None
        if before is not None and before != self._row:
            self._plan, self._removing = None, ""
            self.tell("")
        if self._row is not None:
            quants = [file.quant for file in self._row.entry.files if file.quant] if self._row.entry else []
            choices = [(AUTOMATIC, ""), *((quant, quant) for quant in dict.fromkeys(quants))]
            self.query_one("#quant", Select).set_options(choices)
            self._show_fit(self._row)

    @work(exclusive=True, group="fit", exit_on_error=False)
    async def _show_fit(self, row: ModelRow) -> None:
        assert self._shelf is not None
        fit = await asyncio.to_thread(fit_of, row, self._shelf.machine)
        text = Text(f"{visible(row.entry.title if row.entry else row.name)}\n", style="bold")
        text.append(fit_bars(fit, self._shelf.machine) if fit else Text("Its size is not known."))
        if row.entry:
            text.append(f"\nLicence: {visible(row.entry.licence)}")
            for note in row.entry.notes:
                text.append(f"\n{visible(note)}")
        self.query_one("#fit", Static).update(text)

    # What can be done

    def action_press(self, button: str) -> None:
        """A key for each button."""
        self.query_one(f"#{button}", Button).press()

    @on(Button.Pressed, "#load")
    @on(DataTable.RowSelected)
    def load(self) -> None:
        """Load the model under the cursor and go back to the chat."""
        if self._row is None:
            return
        if self._row.installed is None:
            self.tell("It is not on this machine yet: press d to download it.")
            return
        self.app.load(self._row.load_name)
        self.app.pop_screen()

    @on(Button.Pressed, "#download")
    def download(self) -> None:
        """First say what would be downloaded; the second press downloads it."""
        if self._plan is not None:
            self.app.downloads.start(self._plan)
            self._plan = None
            return
        if self._row is not None and self._row.installed is None:
            quant = self.query_one("#quant", Select).value
            self._ask_hub(self._row.name, str(quant))

    @on(Input.Submitted, "#model-name")
    def named(self, event: Input.Submitted) -> None:
        """A path is loaded; any other name is looked up on the Hub."""
        name = event.value.strip()
        if name.endswith(".gguf") and "/" in name and ":" not in name:
            self.app.load(name)
            self.app.pop_screen()
        elif name:
            self._ask_hub(name, "")

    @work(exclusive=True, group="hub", exit_on_error=False)
    async def _ask_hub(self, name: str, quant: str) -> None:
        self.tell(f"Asking for {name} ...")
        if self._shelf is None:
            self._shelf = await asyncio.to_thread(read_shelf)
        shelf = self._shelf
        plan = await asyncio.to_thread(plan_pull, name, shelf.catalog, Store(), Hub(), shelf.machine, quant=quant)
        self._plan = plan
        self.tell("\n".join(_plan_lines(plan)))
        self.query_one("#download", Button).focus()

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Stop the downloads; what has arrived is used by the next one."""
        self.app.downloads.cancel_all()

    @on(Button.Pressed, "#verify")
    def start_verify(self) -> None:
        """Hash the files of the model again."""
        if self._row is not None and self._row.installed is not None:
            self._verify(self._row)

    @work(exclusive=True, group="verify", exit_on_error=False)
    async def _verify(self, row: ModelRow) -> None:
        assert row.installed is not None
        self.tell(f"Hashing {row.name} ...")
        checks = await asyncio.to_thread(verify, row.installed, Store(), report=lambda progress: None)
        self.tell("\n".join(check.sentence for check in checks))

    @on(Button.Pressed, "#remove")
    def start_remove(self) -> None:
        """Say what would go; the second press removes it."""
        row = self._row
        if row is None or row.installed is None or row.built_in:
            self.tell("Only models that were downloaded or converted can be removed.")
            return
        self._remove(row)

    @work(exclusive=True, group="remove", exit_on_error=False)
    async def _remove(self, row: ModelRow) -> None:
        assert row.installed is not None
        store = Store()
        removal = await asyncio.to_thread(plan_removal, row.installed, store)
        if self._removing != row.key:
            self._removing = row.key
            whose = " Another tool put it there." if removal.shared else ""
            self.tell(f"This removes {row.name} and frees {gb(removal.freed)}.{whose} Press again to do it.")
            return
        self._removing = ""
        freed = await asyncio.to_thread(remove, removal, store)
        self.tell(f"{gb(freed)} freed.")
        self.refresh_shelf()

    def _progress(self) -> None:
        running = self.app.downloads.running
        if running:
            lines = (f"{one.plan.name}: {one.done / one.total:.0%} of {gb(one.total)}" for one in running)
            speeds = (f"{gb(one.speed)}/s" for one in running)
            both = zip(lines, speeds, strict=True)
            self.tell("\n".join(f"Downloading {line}, {speed} (x cancels)" for line, speed in both))


def _plan_lines(plan: PullPlan) -> list[str]:
    what = f"{plan.variant.quant or 'no label'}, {gb(plan.variant.size)}"
    lines = [f"{plan.repo}: {plan.variant.name} ({what}), chosen {plan.reason}."]
    if plan.missing < plan.variant.size:
        lines.append(f"{gb(plan.missing)} are still to come; the rest is there.")
    if plan.fit:
        lines.append(plan.fit.sentence)
    if plan.gated:
        lines.append("Gated: it needs an account with access, and HF_TOKEN.")
    return [*lines, *plan.notes, "Press Enter or d to download it."]
