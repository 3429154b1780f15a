"""Run one call: within a time limit that ends it, and into a result that is never too large. Knows no toolset."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

from fclocal import paths
from fclocal.errors import DiskError, FclocalError
from fclocal.escapes import whole_characters
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools.readable import MAX_CONTENT, json_text

SECONDS = 60.0
GRACE_SECONDS = 2.0
HEAD_BYTES = 30_000
TAIL_BYTES = 15_000
MAX_KEPT = 100
MAX_KEPT_BYTES = 2**30
_CHUNK = 2**20


async def run(call: FunctionCall, work: Callable[[], Awaitable[object]], *, seconds: float = SECONDS) -> FunctionResult:
    """What `work` comes to, as a result; after `seconds` it is cancelled and the result says so.

    A FunctionResult is passed on; any other value becomes JSON. An exception becomes a failed result. Work that does
    not end within GRACE_SECONDS of being cancelled is left behind. Raises nothing but CancelledError.
    """
    task = asyncio.ensure_future(_awaited(work))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            return failed(call, f"Timed out after {seconds:g} s.")
        return _shortened(_result(call, task))
    finally:
        await _end(task)


async def _awaited(work: Callable[[], Awaitable[object]]) -> object:
    return await work()


async def _end(task: asyncio.Future[object]) -> None:
    """Cancel and wait a moment, also while this task itself is being cancelled."""
    if task.done():
        return
    task.add_done_callback(_seen)
    task.cancel()
    await asyncio.wait({task}, timeout=GRACE_SECONDS)


def _seen(task: asyncio.Future[object]) -> None:
    if not task.cancelled():
        task.exception()


def _result(call: FunctionCall, task: asyncio.Future[object]) -> FunctionResult:
    if task.cancelled():
        return failed(call, "The call was cancelled.")
    error = task.exception()
    if error is not None:
        return failed(call, sentence_of(error))
    value = task.result()
    if isinstance(value, FunctionResult):
        return value
    return FunctionResult(call.id, json_text(value), name=call.name)


def failed(call: FunctionCall, sentence: str) -> FunctionResult:
    """A failed call, as data for the model."""
    content = json.dumps({"error": whole_characters(sentence)}, ensure_ascii=False)
    return FunctionResult(call.id, content, ok=False, name=call.name)


def sentence_of(error: BaseException) -> str:
    """An exception in one line of at most 500 characters; ours as they are, others with their type."""
    with suppress(Exception):
        text = " ".join(str(error).split())
        if not isinstance(error, FclocalError):
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        return text if len(text) <= 500 else f"{text[:500]} ..."
    return type(error).__name__


def _shortened(result: FunctionResult) -> FunctionResult:
    content = shortened(result.content, result.name)
    if content is result.content:
        return result
    return FunctionResult(result.call_id, content, ok=result.ok, name=result.name)


def shortened(content: str, name: str) -> str:
    """`content`, or its head and tail with the whole of it in a private file when it is over MAX_CONTENT bytes.

    The text says where. At most MAX_KEPT such files of MAX_KEPT_BYTES together are kept, the newest.
    """
    if len(content) * 4 <= MAX_CONTENT or _byte_length(content) <= MAX_CONTENT:
        return content
    text = _string(content)
    whole = content if text is None else text
    try:
        where = f"The whole result is in {_kept(whole, name)}"
    except (OSError, DiskError) as error:
        where = f"The rest could not be kept: {sentence_of(error)}"
    if text is None:
        return _ends(whole, where, HEAD_BYTES, TAIL_BYTES)
    divisor = 1
    while (
        _byte_length(cut := json_text(_ends(text, where, HEAD_BYTES // divisor, TAIL_BYTES // divisor))) > MAX_CONTENT
    ):
        divisor += 1
    return cut


def _string(content: str) -> str | None:
    """The text that `content` is as JSON, if it is a JSON string."""
    if not content.startswith('"'):
        return None
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _ends(whole: str, where: str, head_bytes: int, tail_bytes: int) -> str:
    head, tail = _cut(whole[:head_bytes], head_bytes), _cut(whole[-tail_bytes:], tail_bytes, at_end=True)
    left_out = _byte_length(whole) - _byte_length(head) - _byte_length(tail)
    return f"{head}\n\n[{left_out:,} bytes are left out here. {where}.]\n\n{tail}"


def _cut(text: str, limit: int, *, at_end: bool = False) -> str:
    """At most `limit` bytes of the beginning or the end, without a broken character."""
    encoded = text.encode("utf-8", "replace")
    return (encoded[-limit:] if at_end else encoded[:limit]).decode("utf-8", "ignore")


def _chunks(content: str) -> Iterator[bytes]:
    for at in range(0, len(content), _CHUNK):
        yield content[at : at + _CHUNK].encode("utf-8", "replace")


def _byte_length(content: str) -> int:
    return sum(len(chunk) for chunk in _chunks(content))


def _kept(content: str, name: str) -> Path:
    """A new private file with `content`. Raises OSError, DiskError."""
    folder = paths.private_folder(paths.private_folder(paths.data_folder()) / "results")
    safe = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)[:40]
    descriptor, path = tempfile.mkstemp(prefix=f"{safe}-", suffix=".txt", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in _chunks(content):
                file.write(chunk)
    except OSError:
        Path(path).unlink(missing_ok=True)
        raise
    _forget_old(folder)
    return Path(path)


def _forget_old(folder: Path) -> None:
    kept_bytes = 0
    with suppress(OSError):
        dated = [(status.st_mtime_ns, status.st_size, file) for file in folder.glob("*.txt") if (status := file.stat())]
        for count, (_, size, file) in enumerate(sorted(dated, reverse=True)):
            kept_bytes += size
            if count >= MAX_KEPT or (count > 0 and kept_bytes > MAX_KEPT_BYTES):
                file.unlink(missing_ok=True)
