from __future__ import annotations

import asyncio
import json
import stat
import time
import tracemalloc
from pathlib import Path

import pytest

from fclocal.errors import UsageError
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools import runner
from fclocal.tools.readable import MAX_CONTENT
from fclocal.tools.runner import run, sentence_of, shortened

CALL = FunctionCall("7", "work", {})


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FCLOCAL_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


async def test_a_value_becomes_json() -> None:
    async def work() -> object:
        return {"a": (1, "grün")}

    assert await run(CALL, work) == FunctionResult("7", '{"a": [1, "grün"]}', name="work")


async def test_a_result_is_passed_on() -> None:
    made = FunctionResult("7", "said", ok=False, name="work")

    async def work() -> object:
        return made

    assert await run(CALL, work) is made


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("no\n\nluck"), "ValueError: no luck"),
        (KeyError("x"), "KeyError: 'x'"),
        (TimeoutError(), "TimeoutError"),
        (UsageError("It is wrong.", "Try again."), "It is wrong. Try again."),
        (ValueError("x" * 10_000), f"ValueError: {'x' * 488} ..."),
        (ValueError("a\ud800b"), "ValueError: a\ufffdb"),
    ],
)
async def test_an_exception_is_data(error: Exception, sentence: str) -> None:
    async def work() -> object:
        raise error

    result = await run(CALL, work)
    assert not result.ok
    assert json.loads(result.content) == {"error": sentence}


def test_an_exception_that_cannot_be_shown() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert sentence_of(Broken()) == "Broken"


async def test_the_limit_cancels() -> None:
    ended = asyncio.Event()

    async def work() -> object:
        try:
            return await asyncio.Event().wait()
        finally:
            ended.set()

    result = await run(CALL, work, seconds=0.01)
    assert json.loads(result.content) == {"error": "Timed out after 0.01 s."}
    assert ended.is_set()


async def test_work_that_ignores_being_cancelled_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "GRACE_SECONDS", 0.05)
    free = asyncio.Event()

    async def work() -> object:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        raise ValueError("too late")

    began = time.perf_counter()
    assert not (await run(CALL, work, seconds=0.01)).ok
    assert time.perf_counter() - began < 1
    free.set()
    await asyncio.sleep(0)


async def test_cancelling_the_caller_cancels_the_work() -> None:
    ended = asyncio.Event()
    started = asyncio.Event()

    async def work() -> object:
        started.set()
        try:
            return await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(run(CALL, work))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_work_that_cancels_itself_is_data() -> None:
    async def work() -> object:
        raise asyncio.CancelledError

    assert not (await run(CALL, work)).ok


@pytest.mark.parametrize("size", [0, 1, MAX_CONTENT - 2])
def test_what_fits_stays(size: int) -> None:
    content = json.dumps("x" * size)
    assert shortened(content, "work") is content


def kept_file(content: str) -> Path:
    return Path(content.split("The whole result is in ")[1].split(".]")[0])


def test_a_long_text_keeps_both_ends_and_the_rest_in_a_private_file(data: Path) -> None:
    text = "".join(f"line {n}\n" for n in range(20_000))
    cut = shortened(json.dumps(text), "a/b c")
    assert len(cut.encode()) <= MAX_CONTENT
    shown = json.loads(cut)
    assert shown.startswith("line 0\nline 1\n") and shown.endswith("line 19999\n")
    file = kept_file(shown)
    assert file.read_text() == text
    assert file.parent == data / "results" and file.name.startswith("a-b-c-")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    head, _, rest = shown.partition("\n\n[")
    tail = rest.partition("]\n\n")[2]
    assert f"{len(text) - len(head) - len(tail):,} bytes are left out" in shown


@pytest.mark.parametrize("char", ["é", "😀", "\n", "\x00", '"'])
def test_no_character_is_broken_and_escapes_are_counted(char: str) -> None:
    cut = shortened(json.dumps(char * 60_000, ensure_ascii=False), "work")
    assert len(cut.encode()) <= MAX_CONTENT
    shown = json.loads(cut)
    assert shown.startswith(char * 100) and shown.endswith(char * 100) and "\ufffd" not in shown


def test_long_json_that_is_no_text_becomes_text() -> None:
    cut = shortened(json.dumps(list(range(50_000))), "work")
    assert cut.startswith("[0, 1, 2") and cut.endswith("49999]")
    assert json.loads(kept_file(cut).read_text()) == list(range(50_000))


def test_old_files_are_forgotten(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setattr(runner, "MAX_KEPT", 3)
    for number in range(5):
        newest = kept_file(shortened("x" * 60_000 + str(number), "work"))
    assert len(list((data / "results").iterdir())) == 3
    assert newest.exists()
    monkeypatch.setattr(runner, "MAX_KEPT_BYTES", 100)
    newest = kept_file(shortened("x" * 60_001, "work"))
    assert list((data / "results").iterdir()) == [newest]


def test_a_folder_that_cannot_be_written_is_said(data: Path) -> None:
    data.write_text("in the way")
    cut = shortened("x" * 60_000, "work")
    assert "could not be kept" in cut and len(cut) <= MAX_CONTENT


def test_a_huge_result_takes_little_more_memory_than_itself() -> None:
    content = "x" * 100_000_000
    tracemalloc.start()
    try:
        assert len(shortened(content, "work")) < MAX_CONTENT
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
