"""The rim of every command: run it, turn what goes wrong into one sentence on stderr and an exit code.

With --json, what goes wrong is also one JSON value on stdout: {"error": {"type", "exit_code", "message", "cure"}}.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import NoReturn, TextIO

from fclocal.errors import ContextFull, ExitCode, FclocalError, NoCall

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
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
        sys.stdout.flush()
    except BrokenPipeError:
        _stop_writing(sys.stdout)
        code = ExitCode.UNEXPECTED
    except OSError as error:
        _stop_writing(sys.stdout)
        say(f"The output cannot be written: {error.strerror}. Free some space there.")
        code = ExitCode.DISK
    sys.exit(int(code))


def json_line(value: object) -> str:
    """One JSON value for stdout: what a terminal would obey, or stdout's encoding lacks, is written as escapes."""
    from fclocal.escapes import has_hidden  # deferred: not on the --help path

    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return json.dumps(value) if has_hidden(text) else text


def say(text: str) -> None:
    """One line of the story, on stderr, safe for a terminal. Nobody may be there to read it."""
    from fclocal.escapes import visible  # deferred: not on the --help path

    try:
        print(visible(text), file=sys.stderr, flush=True)
    except OSError:
        _stop_writing(sys.stderr)


def _code_of(command: Callable[[], int | None]) -> int:
    """What the command returns. An error is told. Raises SystemExit, and OSError when nothing can be written."""
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
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
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
        print(json_line({"error": facts}), flush=True)


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
