"""`fclocal doctor`: what this machine and this installation are, what is wrong, and the cure."""

from __future__ import annotations

from fclocal.cli import options as opt


def doctor(as_json: opt.AsJson = False) -> None:
    """Show versions, llama.cpp backends, devices with free memory, paths, problems and their cures.

    Exits with 1 when something is wrong.
    """
    from fclocal.cli.health import show  # deferred: loads llama.cpp
    from fclocal.cli.rim import leave

    leave(lambda: show(as_json=as_json))
