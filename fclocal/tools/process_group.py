"""Start a process so that it can be ended with everything it has started, and end it. Knows POSIX and Windows."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from typing import TypedDict

import psutil

WAIT_SECONDS = 5.0


class GroupOptions(TypedDict, total=False):
    """Arguments of create_subprocess_exec."""

    start_new_session: bool
    creationflags: int


def group_options() -> GroupOptions:
    """How to start a process that leads a group of its own."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


async def end_group(process: Process) -> None:
    """Kill a running process, its group and its descendants, and wait until it is gone."""
    if process.returncode is None:
        kill_group(process.pid)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), WAIT_SECONDS)


def kill_group(pid: int, *, alive: bool = True) -> None:
    """Kill the process, its group and, while it is `alive`, its descendants outside the group. Does not wait."""
    family = _descendants(pid) if alive else []
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    for process in family:
        with suppress(psutil.Error):
            process.kill()


def _descendants(pid: int) -> list[psutil.Process]:
    """The process and its children. Those that left the group are found too, as long as their parents live."""
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.Error:
        return []
