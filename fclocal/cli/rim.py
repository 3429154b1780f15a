"""The rim of every command: run it, turn what goes wrong into one sentence on stderr and an exit code."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import NoReturn

from fclocal.errors import ContextFull, ExitCode, FclocalError, NoCall


def run(command: Coroutine[object, object, int | None]) -> NoReturn:
    """Run an async command to its end and exit with its code."""
    leave(lambda: asyncio.run(command))


def leave(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit: 0 when it returns None, else its code, or that of the error it raised."""
    try:
        code = command() or 0
        sys.stdout.flush()
    except FclocalError as error:
        if isinstance(error, NoCall) and error.text.strip():
            say(error.text.strip())
        say(str(error))
        if isinstance(error, ContextFull):
            for part, count in error.parts.items():
                say(f"  {count:>7} tokens  {part}")
        code = error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("Interrupted.")
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.UNEXPECTED
    except SystemExit:
        raise
    except Exception as error:
        say(f"Unexpected: {type(error).__name__}: {error}. Details are in {_keep(error)}.")
        code = ExitCode.UNEXPECTED
    sys.exit(int(code))


def say(text: str) -> None:
    """One line of the story, on stderr, safe for a terminal."""
    from fclocal.escapes import visible  # deferred: not on the --help path

    print(visible(text), file=sys.stderr, flush=True)


def _keep(error: Exception) -> str:
    """Write the traceback where a bug report can quote it, and say where."""
    from fclocal import paths  # deferred: only when something broke

    try:
        file = paths.private_folder(paths.cache_folder()) / "last-error.txt"
        file.write_text("".join(traceback.format_exception(error)), "utf-8")
    except (OSError, FclocalError):
        return "no file, because the cache folder cannot be written"
    return str(file)
