"""Run a foreign chat template where it can do no harm: in a child process with a time, memory and size limit.

Knows processes; what a template is given and what comes of its text is for jinja.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path

import psutil

from fclocal.errors import FclocalError, ModelBroken, UsageError

SECONDS = 1.8
MEMORY = 256 * 2**20
CHARACTERS = 8 * 2**20
START_SECONDS = 20.0
_POLL = 0.005
_CURE = "Choose another prompt format with --dialect."
_SCRIPT = Path(__file__).with_name("template_child.py")


class TemplateRefusal(UsageError):
    """The template says that it cannot render this conversation."""


@lru_cache(maxsize=16)
def render_template(template: str, variables: str, mark: str) -> str:
    """The text of `template` with `variables` (a JSON object).

    Takes about 0.1 s, and at most 1.8 s, 256 MiB and 8 Mi characters once it has started; raises ModelBroken when
    stopped at a limit or when the template is broken, TemplateRefusal when it refuses the conversation by
    `raise_exception`. The JSON of each tool stands between `mark` + "b" and `mark` + "e".
    """
    limits = {"memory": MEMORY, "seconds": int(SECONDS) + 1, "characters": CHARACTERS}
    job = {"template": template, "variables": json.loads(variables), "limits": limits, "mark": mark}
    written = _run(json.dumps(job).encode())
    try:
        answer = json.loads(written)
    except ValueError:
        raise ModelBroken("The process that renders the model's chat template died.", _CURE) from None
    if "text" in answer:
        return str(answer["text"])
    raise _error(str(answer["kind"]), str(answer["error"]))


def _error(kind: str, said: str) -> FclocalError:
    match kind:
        case "refused":
            return TemplateRefusal(f"The model's chat template refuses this conversation: {said.rstrip('. ')}.", _CURE)
        case "unsafe":
            return ModelBroken(f"The model's chat template tries something unsafe: {said.rstrip('.')}.", _CURE)
        case "limit":
            return ModelBroken(f"The model's chat template was stopped: {said}.", _CURE)
        case _:
            return ModelBroken(f"The model's chat template cannot be rendered: {said}.", _CURE)


def _run(job: bytes) -> bytes:
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TZ") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-I", "-B", "-X", "utf8", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=kept,
    ) as child:
        output = _Output(child)
        try:
            _write(child, job)
            _watch(child, output)
        finally:
            child.kill()
            child.wait()
            output.join()
    return output.answer


class _Output(threading.Thread):
    """Reads what the child writes: a line when it is ready, then its answer."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self.ready: float | None = None
        self.answer = b""
        self.ended = threading.Event()
        self._child = child
        self.start()

    def run(self) -> None:
        stream = self._child.stdout
        if stream is not None and stream.readline():
            self.ready = time.monotonic()
            # A character of JSON text takes at most 12 bytes.
            self.answer = stream.read(12 * CHARACTERS)
        self.ended.set()


def _write(child: subprocess.Popen[bytes], job: bytes) -> None:
    if child.stdin is None:
        return
    try:
        with child.stdin as stream:
            stream.write(job)
    except OSError:
        return


def _watch(child: subprocess.Popen[bytes], output: _Output) -> None:
    """Wait for the answer, and stop a child that passes a limit."""
    began = time.monotonic()
    while not output.ended.wait(_POLL):
        now = time.monotonic()
        if output.ready is None and now - began > START_SECONDS:
            raise ModelBroken("The process that renders the model's chat template did not start.", _CURE)
        if output.ready is not None and now - output.ready > SECONDS:
            raise ModelBroken(f"The model's chat template was stopped after {SECONDS:g} s.", _CURE)
        if _resident(child.pid) > MEMORY:
            raise ModelBroken("The model's chat template was stopped: it needs too much memory.", _CURE)


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
