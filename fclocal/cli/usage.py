"""What is wrong with the words that were typed, in one sentence with its cure. Knows Typer, not what commands do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from fclocal.errors import ExitCode, UsageError


def parse_and_run(app: typer.Typer, arguments: list[str], *, commands: Sequence[str]) -> int:
    """Run the app and give its exit code. Raises UsageError for words that it cannot read.

    `commands` are the words of every command, for suggestions.
    """
    try:
        code = int(app(args=arguments, prog_name="fclocal", standalone_mode=False) or 0)
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        return code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        # Typer's own errors share no public class; this is what they have and others have not.
        if not hasattr(error, "format_message") or not hasattr(error, "show"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return int(error.exit_code)  # type: ignore[attr-defined]  # as above
        raise _usage_error(error, commands) from None


def _usage_error(error: Any, commands: Sequence[str]) -> UsageError:
    """Typer's error in our words."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "fclocal"
    cure = f"See: {path} --help"
    option = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption":
        close = difflib.get_close_matches(str(option), getattr(error, "possibilities", None) or (), n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        return UsageError(f"{path} has no option {option}.", f"{meant}{cure}")
    sentence = " ".join(error.format_message().split()).partition(", unable to parse")[0]
    typed = sentence.removeprefix("No such command '").partition("'")[0] if "No such command" in sentence else ""
    if typed:
        group = path.removeprefix("fclocal").strip()
        names = [words.removeprefix(group).strip() for words in commands if words.startswith(group)]
        close = difflib.get_close_matches(typed, names, n=1)
        sentence = f"There is no command {f'{group} {typed}'.strip()!r}."
        cure = f"Did you mean {close[0]!r}? {cure}" if close else cure
    return UsageError(sentence if sentence.endswith((".", "?")) else f"{sentence}.", cure)


class _Once:
    """Refuses what is given twice: the later word would silently win, or the same file be read two times."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        base: Any = super()
        if args:
            _, _, order = base.make_parser(ctx).parse_args(args=list(args))
            for param in order:
                if order.count(param) > 1 and not getattr(param, "multiple", True) and not param.is_flag:
                    raise UsageError(f"{param.opts[0]} is given twice.", "Write it once.")
        rest: list[str] = base.parse_args(ctx, args)
        for param in base.get_params(ctx):
            if getattr(param, "multiple", False):
                _refuse_repeated(param.opts[0], ctx.params.get(param.name) or ())
        return rest


class OnceCommand(_Once, TyperCommand):
    """A command that refuses what is given twice."""


class OnceGroup(_Once, TyperGroup):
    """Commands, and options before them, that refuse what is given twice."""


def _refuse_repeated(option: str, values: Sequence[object]) -> None:
    seen: set[object] = set()
    for value in values:
        same = value.resolve() if isinstance(value, Path) else value
        if same in seen:
            raise UsageError(f"{option} {value} is given twice.", "Write it once.")
        seen.add(same)
