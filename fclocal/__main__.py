"""The entry point of `fclocal` and `python -m fclocal`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper


def main() -> None:
    """Run the command line; Ctrl-C and a reader who goes away end it quietly at any time."""
    _fill_in_streams()
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        with suppress(OSError):
            sys.stderr.write(f"The output cannot be written: {error.strerror}. Free some space there.\n")
        sys.exit(12)


def _fill_in_streams() -> None:
    """Open what the program was started without, lest the next file take its number; let no character stop stdout."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _run() -> None:
    """Print a help page that ships with the package, open the terminal app, or build the command line and run it."""
    from fclocal.cli.help import COMPLETING, shipped_help  # deferred: Typer is not needed for help

    page = shipped_help(sys.argv[1:])
    if page is not None:
        sys.stdout.write(page)
        sys.stdout.flush()
        return
    if not sys.argv[1:] and COMPLETING not in os.environ:
        from fclocal.cli.rim import leave  # deferred, as above
        from fclocal.cli.terminal_app import open_app

        leave(lambda: open_app({}))
    from fclocal.cli.app import run  # deferred, as above

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
