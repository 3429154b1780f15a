"""The command line: which command is which function. A command's module is imported only when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module

import typer

from fclocal.cli import options as opt
from fclocal.cli.help import COMPLETING
from fclocal.cli.rim import expect_json, leave
from fclocal.cli.usage import OnceCommand, OnceGroup, parse_and_run
from fclocal.errors import UsageError

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
    "import": "fclocal.cli.import_model:import_model",
    "list": "fclocal.cli.model_commands:list_models",
    "show": "fclocal.cli.show:show",
    "remove": "fclocal.cli.model_commands:remove",
    "verify": "fclocal.cli.model_commands:verify",
    "catalog": "fclocal.cli.model_commands:catalog",
    "tools": "fclocal.cli.tools:tools",
    "sessions": "fclocal.cli.sessions:sessions",
    "doctor": "fclocal.cli.doctor:doctor",
    "bench": "fclocal.cli.bench:bench",
}


def build(only: str | None = None) -> typer.Typer:
    """The Typer app with every command, with one when `only` names it, or with none when `only` is empty."""
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(cls=OnceGroup, help=HELP, invoke_without_command=True)(_alone)
    for name, place in COMMANDS.items():
        if only != "" and (only not in COMMANDS or name == only):
            module, _, attribute = place.partition(":")
            found = getattr(import_module(module), attribute)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name)
            else:
                app.command(name, cls=OnceCommand)(found)
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
    """Run the command line, or complete it where a shell asks for that."""
    if COMPLETING in os.environ:
        build()(args=[], prog_name="fclocal")
        return
    expect_json(arguments)
    app = build(_needed(arguments))
    leave(lambda: parse_and_run(app, arguments, commands=command_words(app)))


def _needed(arguments: list[str]) -> str | None:
    """The one command to import; empty when only options were typed, None when all of them may be meant."""
    if not arguments or (arguments[0].startswith("-") and not set(arguments) & {*COMMANDS, "-h", "--help"}):
        return ""
    return arguments[0]


def _alone(
    ctx: typer.Context,
    model: opt.Model = None,
    functions: opt.Functions = None,
    tools: opt.Tools = None,
    mcp: opt.Mcp = None,
    builtin: opt.Builtin = None,
    system: opt.System = None,
    dialect: opt.Dialect = None,
    choice: opt.Choice = "auto",
    missing: opt.Missing = None,
    seed: opt.Seed = None,
    temperature: opt.Temperature = None,
    max_tokens: opt.MaxTokens = None,
    context: opt.Context = None,
    gpu_layers: opt.GpuLayers = "auto",
    adapter: opt.Adapter = None,
    verbose: opt.Verbose = False,
    version: opt.Version = False,
) -> None:
    if ctx.invoked_subcommand is None:
        from fclocal.cli.terminal_app import open_app  # deferred: Textual is only for this

        leave(lambda: open_app(ctx.params))
    early = next((name for name in ctx.params if _typed(ctx, name)), None)
    if early:
        option = f"--{early.replace('_', '-')}"
        raise UsageError(f"{option} comes before the command.", f"Write it after {ctx.invoked_subcommand}.")


def _typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
