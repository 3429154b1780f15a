"""Help pages rendered ahead of time: importing Typer alone takes five times as long as starting Python.

`python -m fclocal.cli.help` writes them anew; a test holds them to what Typer prints.
"""

from __future__ import annotations

import os
import sys

HELP_WORDS = ("--help", "-h")
# Typer's own: set while a shell asks for the words that may come next.
COMPLETING = "_FCLOCAL_COMPLETE"
SEPARATOR = "\f"
# Textual's own: names what shows its screen where that is not this terminal, as under `textual serve`.
SHOWN_ELSEWHERE = "TEXTUAL_DRIVER"


def shipped_help(arguments: list[str]) -> str | None:
    """The page for `fclocal --help` or `fclocal COMMAND [SUBCOMMAND] --help`; None for anything else."""
    if COMPLETING in os.environ or (arguments and arguments[-1] not in HELP_WORDS):
        return None
    if not arguments and has_screen():
        return None
    return _pages().get(" ".join(arguments[:-1]))


def has_screen() -> bool:
    """Whether the terminal app can be shown and typed into."""
    return SHOWN_ELSEWHERE in os.environ or all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _pages() -> dict[str, str]:
    with open(__file__.removesuffix("help.py") + "help.txt", encoding="utf-8") as file:  # noqa: PTH123  # pathlib is slow
        parts = file.read().split(SEPARATOR)
    return dict(part.split("\n", 1) for part in parts if part)


def render() -> str:
    """Every page as the file holds them: the command's words, then its page."""
    from typer.testing import CliRunner  # deferred: only when the pages are written

    from fclocal.cli.app import build, command_words

    app = build()
    runner = CliRunner()
    pages = []
    for words in ("", *command_words(app)):
        result = runner.invoke(app, [*words.split(), "--help"], prog_name="fclocal", env={"COLUMNS": "100"})
        pages.append(f"{words}\n{result.stdout}")
    return SEPARATOR.join(pages)


if __name__ == "__main__":
    with open(__file__.removesuffix("help.py") + "help.txt", "w", encoding="utf-8") as target:  # noqa: PTH123
        target.write(render())
