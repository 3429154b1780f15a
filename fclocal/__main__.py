"""The entry point of `fclocal` and `python -m fclocal`."""

from __future__ import annotations

import sys


def main() -> None:
    """Print a help page that ships with the package, or build the command line and run it."""
    from fclocal.cli.help import shipped_help  # deferred: Typer is not needed for help

    page = shipped_help(sys.argv[1:])
    if page is not None:
        sys.stdout.write(page)
        return
    from fclocal.cli.app import run  # deferred, as above

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
