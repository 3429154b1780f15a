"""The first-run screen comes once, and not when a model was named."""

from __future__ import annotations

from tests.tui.conftest import MakeApp, say, screen_text, shows, until

SIZE = (100, 34)


async def test_the_first_run_offers_the_starter_and_names_the_best_model(make_app: MakeApp) -> None:
    app = make_app("Hello.", model_given=False)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "Welcome to fclocal")
        await until(pilot, lambda: "this machine" in screen_text(app))
        await pilot.press("enter")
        await say(pilot, "Hi")
        await shows(pilot, "Hello.")
        await until(pilot, lambda: not app.chat.busy)
    again = make_app("Hello.", model_given=False)
    async with again.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        assert "Welcome" not in screen_text(again)


async def test_the_first_run_leads_to_the_models(make_app: MakeApp) -> None:
    app = make_app("Hello.", model_given=False)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "Welcome to fclocal")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: bool(app.screen.query("#models")))


async def test_a_named_model_skips_it(make_app: MakeApp) -> None:
    app = make_app("Hello.")
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "ready")
        assert "Welcome" not in screen_text(app)


async def test_whoever_types_has_begun(make_app: MakeApp) -> None:
    app = make_app("Hello.", model_given=False)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "Welcome to fclocal")
        await pilot.press(*"Hi you", "enter")
        await shows(pilot, "Hello.")
        assert "Hi you" in screen_text(app)
