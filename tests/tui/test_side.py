"""Work beside a screen: left before it is done, and failing in ways that nobody foresaw."""

from __future__ import annotations

import threading

import pytest

from fclocal.chat.store import Sessions
from fclocal.messages import UserMessage
from fclocal.tui.screens import models as model_screen
from fclocal.tui.screens import sessions as session_screen
from fclocal.tui.screens import welcome
from tests.tui.conftest import MakeApp, screen_text, shows, until

SIZE = (100, 34)


@pytest.mark.parametrize("keys", [("f2", "f3", "f4", "f5"), ("f5", "f4", "f3", "f2")])
async def test_screens_that_are_left_at_once_leave_the_app_up(make_app: MakeApp, keys: tuple[str, ...]) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        for _ in range(5):
            for key in keys:
                await pilot.press(key)
            await pilot.press("escape")
        await until(pilot, lambda: not [one for one in app.workers if one.is_running and one.group != "model"])
        await shows(pilot, "ready")


async def test_a_screen_that_is_gone_is_not_written_on(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow() -> str:
        go_on.wait(10)
        return "The best for this machine: late."

    monkeypatch.setattr(welcome, "_best_sentence", slow)
    app = make_app("Hello.", model_given=False)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "Welcome to fclocal")
        await pilot.press("enter")
        go_on.set()
        await shows(pilot, "ready")
        assert "late" not in screen_text(app)


async def test_what_fails_beside_a_screen_is_a_sentence_on_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise KeyError("odd")

    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        monkeypatch.setattr(model_screen, "read_shelf", broken)
        await pilot.press("f2")
        await shows(pilot, "Unexpected: KeyError")
        await pilot.press("escape")
        await shows(pilot, "ready")


async def test_an_export_that_cannot_be_written_names_the_file(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with Sessions() as stored:
        stored.record(title="Kept").message(UserMessage("Hello"), {})
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f4")
        await shows(pilot, "Kept")
        monkeypatch.setattr(session_screen.Path, "write_text", full)
        await pilot.press("e")
        await shows(pilot, "No space left on device")


async def test_a_name_may_be_typed_before_the_disk_was_read(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, read = threading.Event(), model_screen.read_shelf

    def slow() -> model_screen.Shelf:
        go_on.wait(10)
        return read()

    monkeypatch.setattr(model_screen, "read_shelf", slow)
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: bool(app.screen.query("#model-name")))
        app.screen.query_one("#model-name").focus()
        await pilot.press(*"nosuchmodel", "enter")
        go_on.set()
        await shows(pilot, "No model 'nosuchmodel'")


async def test_the_tables_are_as_wide_as_their_cells(make_app: MakeApp) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f2")
        await shows(pilot, "trelis-codellama-34b")
        await shows(pilot, "does not fit, paid, gated")
