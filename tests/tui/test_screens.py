"""The other screens: functions, conversations, inspector, models, the palette and the keys."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static, TabbedContent

from fclocal.models.progress import Progress
from fclocal.tui import downloads
from fclocal.tui.app import FclocalApp
from fclocal.tui.widgets.call_card import CallCard
from tests.tui.conftest import MakeApp, asked, say, screen_text, send, shows, until

SIZE = (100, 34)


async def test_a_function_is_switched_off_and_no_longer_offered(make_app: MakeApp) -> None:
    app = make_app("Hello.", "Hello again.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        await pilot.press("f3")
        await shows(pilot, "Send a message.")
        assert "enforced by the grammar" in screen_text(app)
        assert '"maximum": 9' in str(app.screen.query_one("#news", Static).content)
        await pilot.press("space")
        await shows(pilot, "off")
        await pilot.press("escape")
        await say(pilot, "Hi")
        await shows(pilot, "Hello.")
        assert not list(await app.chat.session.toolset.list())
        assert app.chat.session.model.engine.requests[0].grammar is None


async def test_the_inspector_shows_prompt_grammar_tokens_and_context(make_app: MakeApp) -> None:
    app = make_app("Hello Ann.")
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Greet Ann")
        await shows(pilot, "Hello Ann.")
        await pilot.press("f5")
        await shows(pilot, "of 100,000 tokens")
        tabs = app.screen.query_one(TabbedContent)
        tabs.active = "tab-prompt"
        await shows(pilot, "<FUNCTIONS>")
        assert "Greet Ann" in str(app.screen.query_one("#shown-prompt", Static).content)
        tabs.active = "tab-tokens"
        await shows(pilot, "sampled, p 0.905")
        tabs.active = "tab-grammar"
        await shows(pilot, "start:")
        await pilot.press("escape")
        await shows(pilot, "Message")


@pytest.mark.usefixtures("no_guard")
async def test_a_conversation_is_found_resumed_renamed_exported_and_deleted(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(send(to="Ann"), "Sent it.", "A new one.", "Going on.")
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann")
        await asked(pilot)
        await pilot.press("y")
        await shows(pilot, "Sent it.")
        await until(pilot, lambda: not app.chat.busy)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "Sent it." not in screen_text(app))
        await say(pilot, "Something else")
        await shows(pilot, "A new one.")
        await until(pilot, lambda: not app.chat.busy)

        await pilot.press("f4")
        await until(pilot, lambda: app.screen.query_one("#sessions", DataTable).row_count == 2)
        app.screen.query_one("#search", Input).value = "ann"
        await until(pilot, lambda: app.screen.query_one("#sessions", DataTable).row_count == 1)
        app.screen.query_one("#sessions").focus()
        await pilot.press("r")
        field = app.screen.query_one("#title", Input)
        await until(pilot, lambda: app.focused is field)
        field.value = "Letters"
        await pilot.press("enter")
        await until(pilot, lambda: app.store.list()[1].title == "Letters")
        await shows(pilot, "Letters")
        await pilot.press("e")
        await shows(pilot, "Written to")
        (file,) = tmp_path.glob("fclocal-*.json")
        exported = json.loads(file.read_text("utf-8"))
        assert [message["role"] for message in exported["messages"]] == ["user", "assistant", "tool", "assistant"]
        assert list(exported["outcomes"].values()) == ["done"]

        await pilot.press("enter")
        await shows(pilot, "send: done")
        assert app.screen.query_one(CallCard).state == "done"
        await say(pilot, "Thanks")
        await shows(pilot, "Going on.")
        await until(pilot, lambda: not app.chat.busy)
        assert {one.messages for one in app.store.list()} == {2, 6}

        await pilot.press("f4")
        await until(pilot, lambda: app.screen.query_one("#sessions", DataTable).row_count == 2)
        await pilot.press("delete")
        await shows(pilot, "Press again")
        await pilot.press("delete")
        await until(pilot, lambda: len(app.store.list()) == 1)


async def open_models(app: FclocalApp, pilot: Pilot[None]) -> DataTable[object]:
    """The list of the model screen, filled."""
    await pilot.press("f2")
    table: DataTable[object] = app.screen.query_one("#models", DataTable)
    await until(pilot, lambda: table.row_count > 3)
    return table


async def test_the_model_screen_lists_the_machine_and_the_catalog(make_app: MakeApp) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        table = await open_models(app, pilot)
        await shows(pilot, "RAM")
        assert "free" in screen_text(app)
        table.move_cursor(row=table.row_count - 1)
        await pilot.press("l")
        await shows(pilot, "not on this machine yet")
        await pilot.press("escape")
        await shows(pilot, "Message")


async def test_the_offline_refusal_of_a_download_is_a_sentence(make_app: MakeApp) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        await open_models(app, pilot)
        field = app.screen.query_one("#model-name", Input)
        field.focus()
        field.value = "nobody/nothing-GGUF"
        await pilot.press("enter")
        await shows(pilot, "HF_HUB_OFFLINE is set")


async def test_question_mark_shows_the_keys(make_app: MakeApp) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        await pilot.press("f1")
        await until(pilot, lambda: bool(app.screen.query("HelpPanel")))
        await pilot.press("f1")
        await until(pilot, lambda: not app.screen.query("HelpPanel"))


async def test_loading_another_model_keeps_the_conversation(make_app: MakeApp) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Hi")
        await shows(pilot, "Hello.")
        await until(pilot, lambda: not app.chat.busy)
        first = app.opened
        app.load("other")
        await until(pilot, lambda: app.opened is not None and app.opened is not first)
        await shows(pilot, "ready")
        assert len(app.chat.session.history) == 2
        await say(pilot, "Still there?")
        await until(pilot, lambda: len(app.chat.session.history) == 4)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60), (20, 5)])
async def test_every_size_is_survived(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app("Hello.", send(to="Ann"))
    async with app.run_test(size=size) as pilot:
        await say(pilot, "Hi")
        await until(pilot, lambda: app.chat.session is not None and len(app.chat.session.history) == 2)
        for width in range(20, 120, 7):
            await pilot.resize_terminal(width, 24)
        await say(pilot, "Write to Ann")
        await until(pilot, lambda: app.chat.status.state == "waiting for you")


async def test_a_download_reports_and_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def pull(download: downloads.Download) -> None:
        for done in range(10_000_000):
            download.report(Progress("a.gguf", "downloading", done, 10_000_000))
            loop.call_soon_threadsafe(begun.set) if done == 5 else None

    monkeypatch.setattr(downloads, "_pull", pull)
    ended: asyncio.Queue[downloads.Download] = asyncio.Queue()
    kept = downloads.Downloads(ended.put_nowait)
    plan = SimpleNamespace(name="a", variant=SimpleNamespace(size=10_000_000))
    download = kept.start(plan)  # type: ignore[arg-type]  # a plan without a Hub
    await begun.wait()
    assert kept.running == (download,)
    kept.cancel_all()
    assert (await ended.get()).state == "stopped"
    assert download.done >= 5
    assert kept.running == ()
