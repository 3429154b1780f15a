"""`fclocal tools list|check|run`: what is offered, what of each schema is enforced, one function run by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from fclocal.cli import options as opt
from fclocal.cli.usage import OnceCommand

tools = typer.Typer(
    help="Show functions, check their schemas, or run one by hand.", rich_markup_mode=None, no_args_is_help=True
)


@tools.command("list", cls=OnceCommand)
def list_functions(
    functions: opt.Functions = None,
    tools: opt.Tools = None,
    mcp: opt.Mcp = None,
    builtin: opt.Builtin = None,
    as_json: opt.AsJson = False,
) -> None:
    """List the functions that would be offered.

    Without --builtin, the built-in functions are listed only when no other functions are given.
    """
    from fclocal.cli.rim import run  # deferred: loads the toolsets
    from fclocal.cli.tool_commands import show_list, wanted

    run(show_list(wanted(functions, tools, mcp, builtin), as_json=as_json))


@tools.command("check", cls=OnceCommand)
def check_functions(
    functions: opt.Functions = None,
    tools: opt.Tools = None,
    mcp: opt.Mcp = None,
    builtin: opt.Builtin = None,
    as_json: opt.AsJson = False,
) -> None:
    """Show what of each schema is enforced, checked or refused.

    Enforced means while a call is generated, checked afterwards; refused is what nobody can check. Places in a schema
    are JSON pointers. Exit code 2 means that a function, or a source of functions, is set aside. In a terminal, MCP
    servers that are new or have changed are shown first, and you are asked whether they may be started and offered.
    """
    from fclocal.cli.rim import run  # deferred: loads the toolsets
    from fclocal.cli.tool_commands import show_check, wanted

    run(show_check(wanted(functions, tools, mcp, builtin), as_json=as_json))


@tools.command("run", cls=OnceCommand)
def run_function(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The function.")],
    arguments: Annotated[str, typer.Argument(metavar="ARGS_JSON", help="Its arguments as a JSON object.")] = "{}",
    functions: opt.Functions = None,
    tools: opt.Tools = None,
    mcp: opt.Mcp = None,
    builtin: opt.Builtin = None,
    as_json: opt.AsJson = False,
) -> None:
    """Run one function by hand and print its result.

    Typing this is the permission. The arguments are checked against the schema first. Exit code 11 means that the
    function failed.
    """
    from fclocal.cli.rim import run  # deferred: loads the toolsets
    from fclocal.cli.tool_commands import run_one, wanted

    run(run_one(name, arguments, wanted(functions, tools, mcp, builtin or ["all"]), as_json=as_json))
