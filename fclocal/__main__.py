"""The entry point of `fclocal` and `python -m fclocal`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C and a reader who goes away end it quietly at any time."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


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
