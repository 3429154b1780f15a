"""The command line: which command is which function."""

from __future__ import annotations

import typer

from fclocal.cli.call import call
from fclocal.cli.chat import chat
from fclocal.cli.doctor import doctor

HELP = """Function calls you can trust from local GGUF models.

Ask in plain words and get a call that is valid against the function's schema, with a receipt of what was enforced and
where each argument came from. Works offline with the built-in model. Without a command: the terminal app.
"""


def build() -> typer.Typer:
    """The Typer app with every command."""
    app = typer.Typer(
        help=HELP,
        rich_markup_mode=None,
        no_args_is_help=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.command()(chat)
    app.command()(call)
    app.command()(doctor)
    return app


def command_words(app: typer.Typer, *, before: str = "") -> tuple[str, ...]:
    """The words of every command, `tools check` for one in a group."""
    words: list[str] = []
    for command in app.registered_commands:
        callback = command.callback
        name = command.name or (callback.__name__.replace("_", "-") if callback else "")
        words.append(f"{before}{name}")
    for group in app.registered_groups:
        words.append(f"{before}{group.name}")
        if group.typer_instance:
            words += command_words(group.typer_instance, before=f"{before}{group.name} ")
    return tuple(words)


def run(arguments: list[str]) -> None:
    """Run the command line; without a command, the terminal app."""
    build()(args=arguments or ["tui"], prog_name="fclocal")
