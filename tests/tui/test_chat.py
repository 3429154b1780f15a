"""The chat screen: what a person types, decides and reads, with a scripted model."""

from __future__ import annotations

import asyncio
import json

import pytest
from textual.events import Paste
from textual.widgets import Input, TextArea

from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tui.widgets import approval
from fclocal.tui.widgets.call_card import CallCard
from fclocal.tui.widgets.prompt import MAX_PASTE
from tests.tui.conftest import Mail, MakeApp, asked, say, screen_text, send, shows, until

SIZE = (100, 34)


async def test_a_reply_is_shown_as_it_is_written(make_app: MakeApp) -> None:
    app = make_app("Hello **Ann**.")
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Hi")
        await shows(pilot, "Hello Ann.")
        await shows(pilot, "ready")
        assert "Hi" in screen_text(app)


@pytest.mark.usefixtures("no_guard")
@pytest.mark.parametrize(("key", "runs"), [("y", 1), ("a", 2)])
async def test_one_key_allows_a_call_once_or_for_the_session(make_app: MakeApp, key: str, runs: int) -> None:
    mail = Mail()
    app = make_app(send(to="Ann"), "Sent.", send(to="Bob"), "Sent too.", tools=mail)
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann")
        await asked(pilot)
        assert 'to = "Ann"' in screen_text(app)
        assert mail.ran == []
        await pilot.press(key)
        await shows(pilot, "Sent.")
        assert mail.ran == [{"to": "Ann"}]
        await say(pilot, "And to Bob")
        await shows(pilot, 'to = "Bob"')
        if runs == 1:
            await asked(pilot)
        else:
            await shows(pilot, "Sent too.")
        assert len(mail.ran) == runs


async def test_keys_in_the_first_half_second_do_not_decide(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "GUARD_SECONDS", 3600.0)  # this machine may be slow
    mail = Mail()
    app = make_app(send(to="Ann"), "Sent.", tools=mail)
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann")
        await asked(pilot)
        await pilot.press("y")
        assert mail.ran == []
        assert app.screen.query_one(CallCard).state == "waiting"


@pytest.mark.usefixtures("no_guard")
async def test_a_denial_takes_a_reason_to_the_model(make_app: MakeApp) -> None:
    mail = Mail()
    app = make_app(send(to="Ann"), "As you like.", tools=mail)
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann")
        await asked(pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"not now", "enter")
        await shows(pilot, "As you like.")
        await shows(pilot, "send: denied")
        assert mail.ran == []
        told = [message for message in app.chat.session.history if isinstance(message, FunctionResult)]
        assert "not now" in told[0].content


@pytest.mark.usefixtures("no_guard")
async def test_arguments_are_edited_in_a_form_that_checks_them(make_app: MakeApp) -> None:
    mail = Mail()
    app = make_app(send(to="Ann", count=2), "Sent.", tools=mail)
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann twice")
        await asked(pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.focused, Input))
        field = app.screen.query_one("#field-1", Input)
        assert field.value == "2"
        field.value = "12"
        await until(pilot, lambda: app.screen.query_one("#form-run").disabled)
        field.value = "3"
        await until(pilot, lambda: not app.screen.query_one("#form-run").disabled)
        field.focus()
        await pilot.press("enter")
        await shows(pilot, "Sent.")
        assert mail.ran == [{"to": "Ann", "count": 3}]
        assert "count = 3" in screen_text(app)


@pytest.mark.usefixtures("no_guard")
async def test_a_missing_argument_is_asked_for_in_the_card(make_app: MakeApp) -> None:
    mail = Mail()
    app = make_app(send(to="Zacharias"), "Sent.", tools=mail, missing="ask")
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Send a message")
        await shows(pilot, "send: waiting")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"Ann", "enter")
        await asked(pilot)
        await pilot.press("y")
        await shows(pilot, "Sent.")
        assert mail.ran == [{"to": "Ann"}]


@pytest.mark.usefixtures("no_guard")
async def test_escape_ends_a_wait_and_the_chat_goes_on(make_app: MakeApp) -> None:
    mail = Mail()
    app = make_app(send(to="Ann"), "Still here.", tools=mail)
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann")
        await asked(pilot)
        await pilot.press("escape")
        await shows(pilot, "Stopped.")
        await shows(pilot, "send: stopped")
        await say(pilot, "Are you there?")
        await shows(pilot, "Still here.")
        assert mail.ran == []


async def test_escape_stops_a_reply_within_a_token(make_app: MakeApp) -> None:
    app = make_app("word " * 20_000)
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Go on for ever")
        await shows(pilot, "writing")
        await pilot.press("escape")
        await shows(pilot, "Stopped.")
        assert app.chat.session.model.engine.closed == 1


async def test_ctrl_q_leaves_with_exit_code_0(make_app: MakeApp) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_what_was_being_typed_comes_back_after_the_history(make_app: MakeApp) -> None:
    app = make_app("Yes.")
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "First")
        await shows(pilot, "Yes.")
        await pilot.press(*"half", "up")
        prompt = app.screen.query_one("#prompt", TextArea)
        assert prompt.text == "First"
        await pilot.press("down")
        assert prompt.text == "half"


async def test_ctrl_j_begins_a_line_and_up_recalls(make_app: MakeApp) -> None:
    app = make_app("Fine.")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.focused, TextArea))
        await pilot.press("a", "ctrl+j", "b", "enter")
        await shows(pilot, "Fine.")
        prompt = app.screen.query_one("#prompt", TextArea)
        assert prompt.text == ""
        await pilot.press("up")
        assert prompt.text == "a\nb"


async def test_what_is_typed_during_a_reply_is_sent_after_it(make_app: MakeApp) -> None:
    gate = asyncio.Event()

    class Slow(Mail):
        async def call(self, call: FunctionCall) -> FunctionResult:
            await gate.wait()
            return await super().call(call)

    app = make_app(send(to="Ann"), "First answer.", "Second answer.", tools=Slow(effect="compute"))
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "First")
        await shows(pilot, "send: running")
        await say(pilot, "Second")
        await shows(pilot, "1 waiting to be sent")
        gate.set()
        await shows(pilot, "Second answer.")


@pytest.mark.usefixtures("no_guard")
async def test_escape_sequences_never_reach_the_screen(make_app: MakeApp) -> None:
    evil = "\x1b]52;c;SGk=\x07\x1b[2J\x9b31m\u202e"
    mail = Mail(content=json.dumps({evil: [evil, {"deep": evil}]}))
    app = make_app(send(to=f"Ann{evil}"), f"Done {evil}", tools=mail)
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, f"Write {evil}")
        await asked(pilot)
        await pilot.press("y")
        await shows(pilot, "Done")
        text = screen_text(app)
        assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(text)
        assert "\\x1b" in text


@pytest.mark.usefixtures("no_guard")
@pytest.mark.parametrize(
    "content",
    ["x" * 5_000_000, json.dumps(list(range(100_000))), '{"a": ' * 3_000, "\ud800"],
    ids=["a long line", "a long list", "unfinished JSON", "a lone surrogate"],
)
async def test_huge_and_broken_results_leave_the_app_up(make_app: MakeApp, content: str) -> None:
    mail = Mail(content=content)
    app = make_app(send(to="Ann"), "I have read it.", tools=mail)
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann")
        await asked(pilot)
        await pilot.press("y")
        await until(pilot, lambda: app.screen.query_one(CallCard).state == "done")
        await pilot.press("h", "i")
        assert app.screen.query_one("#prompt", TextArea).text == "hi"


async def test_a_huge_paste_is_cut_and_said(make_app: MakeApp) -> None:
    app = make_app("Fine.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        prompt = app.screen.query_one("#prompt", TextArea)
        prompt.post_message(Paste("y" * 10_000_000))
        await shows(pilot, "10,000,000 characters")
        assert len(prompt.text) == MAX_PASTE


async def test_a_crash_of_a_function_or_the_model_is_a_sentence(make_app: MakeApp) -> None:
    class Broken(Mail):
        async def call(self, call: FunctionCall) -> FunctionResult:
            raise ValueError("no such mailbox")

    app = make_app(send(to="Ann"), "Never said.", tools=Broken(effect="compute"))
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann")
        await shows(pilot, "no such mailbox")
        await shows(pilot, "ready")


async def test_a_card_takes_focus_and_marks_the_words_it_came_from(make_app: MakeApp) -> None:
    app = make_app(send(to="Ann"), "Sent.", tools=Mail(effect="compute"))
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Write to Ann please")
        await shows(pilot, "Sent.")
        app.screen.query_one(CallCard).focus()
        await pilot.pause()
        marked = app.screen.query_one(".user").visual
        assert "underline" in str(getattr(marked, "spans", marked))


async def test_conversations_are_written_down(make_app: MakeApp) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await say(pilot, "Hi there")
        await shows(pilot, "Hello.")
        await until(pilot, lambda: not app.chat.busy)
        stored = await asyncio.to_thread(app.store.list)
        assert [(one.title, one.messages) for one in stored] == [("Hi there", 2)]
