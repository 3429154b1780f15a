"""The command line: which command is which function. A command's module is imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module

import typer

from fclocal.cli.rim import leave

HELP = """Function calls you can trust from local GGUF models.

Ask in plain words and get a call that is valid against the function's schema, with a receipt of what was enforced and
where each argument came from. Works offline with the built-in model. Without a command: the terminal app.
"""

# Command -> where its function, or the Typer app of its subcommands, is. In the order of the help page.
COMMANDS = {
    "chat": "fclocal.cli.chat:chat",
    "call": "fclocal.cli.call:call",
    "serve": "fclocal.cli.serve:serve",
    "pull": "fclocal.cli.model_commands:pull",
    "list": "fclocal.cli.model_commands:list_models",
    "show": "fclocal.cli.show:show",
    "remove": "fclocal.cli.model_commands:remove",
    "verify": "fclocal.cli.model_commands:verify",
    "catalog": "fclocal.cli.model_commands:catalog",
    "tools": "fclocal.cli.tools:tools",
    "doctor": "fclocal.cli.doctor:doctor",
}


def build(only: str | None = None) -> typer.Typer:
    """The Typer app with every command, or with one when `only` names it."""
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(help=HELP)(_alone)
    for name, place in COMMANDS.items():
        if only not in COMMANDS or name == only:
            module, _, attribute = place.partition(":")
            found = getattr(import_module(module), attribute)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name)
            else:
                app.command(name)(found)
    return app


def command_words(app: typer.Typer, *, before: str = "") -> tuple[str, ...]:
    """The words of every command, `tools check` for one in a group."""
    words = [f"{before}{command.name}" for command in app.registered_commands]
    for group in app.registered_groups:
        words.append(f"{before}{group.name}")
        if group.typer_instance:
            words += command_words(group.typer_instance, before=f"{before}{group.name} ")
    return tuple(words)


def run(arguments: list[str]) -> None:
    """Run the command line."""
    app = build(arguments[0] if arguments else None)
    leave(lambda: app(args=arguments, prog_name="fclocal"))


def _alone() -> None:
    pass
