"""`fclocal` without a command: the terminal app, or the help page where there is no terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fclocal.cli.help import has_screen
from fclocal.errors import OutOfMemory, UsageError
from fclocal.tui.app import FclocalApp
from fclocal.tui.opening import Ask, Opened

if TYPE_CHECKING:
    from fclocal.runtime import Options, Runtime

# How long the engine's thread may keep a key waiting.
SWITCH_SECONDS = 0.001
# Imported beside the first paint: the engine, and what a turn is shown with.
AFTER_PAINT = ("fclocal.cli.words", "fclocal.tui.telling", "fclocal.tui.widgets.call_card", "textual.widgets.markdown")


def open_app(typed: Mapping[str, Any]) -> int:
    """Run the app with the shared options as typed until the user leaves it. Raises UsageError without a terminal."""
    if not has_screen():
        raise UsageError("The terminal app needs a terminal.", 'Without one: fclocal chat "What is 2 + 2?"')

    sys.setswitchinterval(SWITCH_SECONDS)
    return run_app(make_app(typed))


def run_app(app: FclocalApp) -> int:
    """Run `app` to its end, and give the exit code. Raises what ended it before the user did."""
    app.run()
    if app.fault is not None:
        raise app.fault
    return app.return_code or 0


def make_app(typed: Mapping[str, Any]) -> FclocalApp:
    """The app with the shared options in `typed` (those that are not there have their defaults)."""

    @asynccontextmanager
    async def opening(ask: Ask) -> AsyncIterator[Opened]:
        for module in AFTER_PAINT:
            await asyncio.to_thread(import_module, module)
        from fclocal.chat.session import Session  # deferred: the engine loads after the first paint
        from fclocal.cli.words import TurnWords
        from fclocal.runtime import open_runtime

        words = TurnWords(**{**typed, "model": ask.model or typed.get("model")})
        async with open_runtime(words.options(), progress=ask.progress, trust=ask.trust) as runtime:
            settings = words.settings(runtime.config, missing="ask", max_calls=8)

            def session(**parts: Any) -> Session:
                return Session(
                    runtime.model, runtime.toolset, runtime.policy, settings=settings, system=words.system, **parts
                )

            yield Opened(runtime, session, device=_device(runtime, words.options()))

    return FclocalApp(opening, model_given=bool(typed.get("model")))


def _device(runtime: Runtime, options: Options) -> str:
    """Where the layers of the model are."""
    from fclocal.models.load_plan import here, plan_load  # deferred, as above

    machine = here()
    if not machine.gpus:
        return "CPU"
    try:
        fit = plan_load(runtime.chosen.source, machine, context=options.context, gpu_layers=options.gpu_layers)
    except OutOfMemory:
        return machine.gpus[0].name
    layers = "all" if fit.gpu_layers == -1 else str(fit.gpu_layers)
    return f"{machine.gpus[0].name} ({layers} of {fit.layers} layers)" if fit.gpu_layers else "CPU"
