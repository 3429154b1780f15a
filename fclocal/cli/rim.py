"""The rim of every command: run it, turn what goes wrong into one sentence on stderr and an exit code.

With --json, what goes wrong is also one JSON value on stdout: {"error": {"type", "exit_code", "message", "cure"}}.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import NoReturn, TextIO

from fclocal.errors import ContextFull, ExitCode, FclocalError, NoCall

_json_wanted = False


def expect_json(arguments: list[str]) -> None:
    """Remember whether --json was typed: what goes wrong before the options are read must be told as JSON, too."""
    global _json_wanted
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    _json_wanted = "--json" in words


def value_printed() -> None:
    """The one JSON value is on stdout: what goes wrong from now on is told on stderr alone."""
    global _json_wanted
    _json_wanted = False


def run(command: Coroutine[object, object, int | None]) -> NoReturn:
    """Run an async command to its end and exit with its code."""
    leave(lambda: asyncio.run(command))


def leave(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit: 0 when it returns None, else its code, or that of the error it raised."""
    try:
        code = _code_of(command)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _stop_writing(sys.stdout)
        code = ExitCode.UNEXPECTED
    sys.exit(int(code))


def say(text: str) -> None:
    """One line of the story, on stderr, safe for a terminal. Nobody may be there to read it."""
    from fclocal.escapes import visible  # deferred: not on the --help path

    try:
        print(visible(text), file=sys.stderr, flush=True)
    except BrokenPipeError:
        _stop_writing(sys.stderr)


def _code_of(command: Callable[[], int | None]) -> int:
    """What the command returns. An error is told. Raises BrokenPipeError and SystemExit."""
    try:
        return command() or ExitCode.DONE
    except FclocalError as error:
        _tell(error)
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        return interrupted()
    except (BrokenPipeError, SystemExit):
        raise
    except Exception as error:
        found = FclocalError(f"Unexpected: {type(error).__name__}: {error}. Details are in {_keep(error)}.")
        _tell(found)
        return ExitCode.UNEXPECTED


def interrupted() -> int:
    """Tell that Ctrl-C ended the command; gives the exit code."""
    say("Interrupted.")
    _tell_json(ExitCode.INTERRUPTED, "Interrupted.", "")
    return ExitCode.INTERRUPTED


def _tell(error: FclocalError) -> None:
    details: dict[str, object] = {}
    if isinstance(error, NoCall):
        details = {"text": error.text.strip()}
        if error.text.strip():
            say(error.text.strip())
    say(str(error))
    if isinstance(error, ContextFull):
        details = {"parts": error.parts}
        for part, count in error.parts.items():
            say(f"  {count:>7} tokens  {part}")
    _tell_json(error.exit_code, error.sentence, error.cure, **details)


def _tell_json(code: ExitCode, sentence: str, cure: str, **details: object) -> None:
    if _json_wanted:
        facts = {"type": code.name.lower(), "exit_code": int(code), "message": sentence, "cure": cure, **details}
        print(json.dumps({"error": facts}), flush=True)


def _stop_writing(stream: TextIO) -> None:
    """Nobody reads this stream any more: what is still to be written to it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _keep(error: Exception) -> str:
    """Write the traceback where a bug report can quote it, and say where."""
    from fclocal import paths  # deferred: only when something broke

    try:
        file = paths.private_folder(paths.cache_folder()) / "last-error.txt"
        file.write_text("".join(traceback.format_exception(error)), "utf-8")
    except (OSError, FclocalError):
        return "no file, because the cache folder cannot be written"
    return str(file)
