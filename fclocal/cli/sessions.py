"""`fclocal sessions list|show|search|rename|export|remove`: stored conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from fclocal.cli import options as opt
from fclocal.cli.usage import OnceCommand

sessions = typer.Typer(
    help="List, show, search, rename, export or remove conversations.", rich_markup_mode=None, no_args_is_help=True
)

Session: TypeAlias = Annotated[str, typer.Argument(metavar="SESSION", help="An id or its beginning, a title, or last.")]


@sessions.command("list", cls=OnceCommand)
def list_sessions(
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the last changed.")] = None,
    as_json: opt.AsJson = False,
) -> None:
    """List the stored conversations, the last changed first."""
    from fclocal.cli.rim import leave  # deferred: opens the sessions file
    from fclocal.cli.session_commands import show_list

    leave(lambda: show_list(limit, as_json=as_json))


@sessions.command("show", cls=OnceCommand)
def show_session(session: Session = "last", as_json: opt.AsJson = False) -> None:
    """Show one conversation: what was said, each call, who allowed it and what came of it."""
    from fclocal.cli.rim import leave  # deferred: opens the sessions file
    from fclocal.cli.session_commands import show

    leave(lambda: show(session, as_json=as_json))


@sessions.command("search", cls=OnceCommand)
def search_sessions(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Words that must all occur in a message.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    as_json: opt.AsJson = False,
) -> None:
    """Find messages in every stored conversation. The last word may be the beginning of one."""
    from fclocal.cli.rim import leave  # deferred: opens the sessions file
    from fclocal.cli.session_commands import search

    leave(lambda: search(" ".join(words), limit, as_json=as_json))


@sessions.command("rename", cls=OnceCommand)
def rename_session(
    session: Session,
    title: Annotated[list[str], typer.Argument(metavar="TITLE...", help="The new title.")],
    as_json: opt.AsJson = False,
) -> None:
    """Give a conversation a title of your own."""
    from fclocal.cli.rim import leave  # deferred: opens the sessions file
    from fclocal.cli.session_commands import rename

    leave(lambda: rename(session, " ".join(title), as_json=as_json))


@sessions.command("export", cls=OnceCommand)
def export_session(
    session: Session = "last",
    form: Annotated[
        str, typer.Option("--format", metavar="json|markdown|jsonl", help="jsonl is for fine-tuning.")
    ] = "json",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, readable by you alone.")
    ] = None,
    dialect: opt.Dialect = None,
    as_json: opt.AsJson = False,
) -> None:
    """Write a conversation as JSON, Markdown, or JSONL for fine-tuning.

    Each line of JSONL is one reply: the prompt as its dialect renders it, and the completion with your corrections.
    Replies whose call was denied, failed or never ended are left out.
    """
    from fclocal.cli.rim import leave  # deferred: opens the sessions file
    from fclocal.cli.session_commands import export

    leave(lambda: export(session, form, output, dialect=dialect, as_json=as_json))


@sessions.command("remove", cls=OnceCommand)
def remove_sessions(
    names: Annotated[list[str], typer.Argument(metavar="SESSION...", help="Ids, titles, or last.")],
    as_json: opt.AsJson = False,
) -> None:
    """Delete conversations with everything in them."""
    from fclocal.cli.rim import leave  # deferred: opens the sessions file
    from fclocal.cli.session_commands import remove

    leave(lambda: remove(names, as_json=as_json))
