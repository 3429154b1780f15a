"""`fclocal doctor`: what this machine and this installation are, what is wrong, and the cure."""

from __future__ import annotations

from typing import Annotated

import typer

from fclocal.cli import options as opt


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Say which build of llama.cpp fits this machine, and the command for it.")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Say the command that puts back what --fix replaced.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --fix or --back: run the command, too.")] = False,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="cuda|rocm|vulkan|metal|cpu", help="With --fix: only this one.")
    ] = None,
    as_json: opt.AsJson = False,
) -> None:
    """Show versions, llama.cpp backends, devices with free memory, paths, problems and their cures.

    Exits with 1 when something is wrong. With --fix, finds the build of llama-cpp-python that uses this machine's GPU;
    with --yes, keeps the present one, installs the other here, and tries whether it loads and computes.
    """
    from fclocal.cli.rim import leave
    from fclocal.errors import UsageError

    def command() -> int:
        if fix and back:
            raise UsageError("--fix and --back are opposites.", "Choose one.")
        if not fix and (backend or (yes and not back)):
            raise UsageError("--yes and --backend go with --fix.", "Try: fclocal doctor --fix")
        if fix or back:
            from fclocal.cli import fixing  # deferred: not needed to look only

            if back:
                return fixing.go_back(yes=yes, as_json=as_json)
            return fixing.fix(yes=yes, wanted=fixing.read_backend(backend), as_json=as_json)
        from fclocal.cli.health import show  # deferred: loads llama.cpp

        return show(as_json=as_json)

    leave(command)
