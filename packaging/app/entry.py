"""Starts the app: fclocal itself, or Python for a process that fclocal starts beside itself.

In a frozen app `sys.executable` is the app. fclocal starts it as `-m MODULE`, `-P -c CODE` and `-I ... SCRIPT`; no
option of its own begins a command line in these ways.
"""

from __future__ import annotations

import os
import runpy
import sys

FLAGS = ("-I", "-B", "-P")


def main() -> None:
    restore_library_path()
    words = sys.argv[1:]
    if words[:1] in (["-I"], ["-P"]) or (words[:1] == ["-m"] and words[1:2] and words[1].startswith("fclocal.")):
        run_python(words)
        return
    from fclocal.__main__ import main as run_fclocal  # deferred: not for the processes beside it

    run_fclocal()


def restore_library_path() -> None:
    """Programs that fclocal starts (MCP servers, a browser) get the system's libraries, not the app's."""
    original = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    if original is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = original


def run_python(words: list[str]) -> None:
    """What `python WORDS` does. The flags hold for a frozen app anyway, or are about its own modules."""
    rest = list(words)
    while rest and (rest[0] in FLAGS or rest[0] == "-X"):
        del rest[: 2 if rest[0] == "-X" else 1]
    match rest:
        case ["-m", module, *arguments]:
            sys.argv = [module, *arguments]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *arguments]:
            sys.argv = ["-c", *arguments]
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        case [script, *arguments]:
            sys.argv = [script, *arguments]
            runpy.run_path(script, run_name="__main__")
        case _:
            raise SystemExit(f"Nothing to run in {words}.")


if __name__ == "__main__":
    main()
