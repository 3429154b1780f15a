from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from fclocal.errors import UsageError
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools.gather import Toolbox
from fclocal.tools.python import PythonFile, PythonFunctions

SOURCE = '''
"""Functions of a user."""
from __future__ import annotations
import asyncio, os, signal, subprocess, sys
from json import dumps
from typing import Literal

print("importing \\x1b[31mred\\x1b]0;title\\x07")
count = 0

class Helper:
    """Not a function."""

def add(a: int, b: int = 2) -> int:
    """Add two numbers.

    Args:
        a: the first
    """
    print("adding", a)
    os.system("echo from a child")
    return a + b

def bump() -> int:
    global count
    count += 1
    return count

async def nap(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"

async def stubborn() -> None:
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

def hang(marker: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import os, signal, time; os.setsid(); signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(999)"
    child = subprocess.Popen([sys.executable, "-c", code, marker], stdout=subprocess.PIPE)
    child.stdout.readline()
    while True:
        pass

def big() -> str:
    return "x" * 100_000_000

def die() -> None:
    os._exit(3)

def leave() -> None:
    sys.exit(4)

async def leave_later() -> None:
    sys.exit(5)

def boom() -> None:
    raise ValueError("no\\x1b[0m luck")

def own_loop() -> str:
    return asyncio.run(nap(0))

def ask() -> str:
    return input("name? ")

def odd() -> object:
    return {"raw": b"\\x89PNG\\r\\n\\x1a\\n", "set": {1}}

def where() -> list[str]:
    return [__name__ == "__main__", os.getcwd(), sys.argv[0]]

def _private() -> None: ...

def wrong(x: "Nowhere") -> None: ...

alias = add
'''


WRAPPED = """
import functools

def _logged(made):
    @functools.wraps(made)
    def inner(*values, **named):
        return made(*values, **named)
    return inner

@_logged
def b(x: int) -> int: ...
"""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FCLOCAL_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@asynccontextmanager
async def opened(source: str, tmp_path: Path, *, seconds: float = 60.0) -> AsyncIterator[tuple[Toolbox, list[str]]]:
    """The functions of `source`, and what they print."""
    path = tmp_path / "mine.py"
    path.write_text(source)
    printed: list[str] = []
    box = Toolbox([PythonFile(path, output=printed.append)], seconds=seconds)
    try:
        yield box, printed
    finally:
        await box.close()


async def called(box: Toolbox, name: str, **arguments: object) -> object:
    """What a call came to; a failure as an exception."""
    result = await box.call(FunctionCall("1", name, arguments))  # type: ignore[arg-type]  # plain values
    value = json.loads(result.content)
    if not result.ok:
        raise RuntimeError(value["error"])
    return value


async def names(box: Toolbox) -> list[str]:
    return [tool.function.name for tool in await box.list()]


async def test_a_file_from_beginning_to_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with opened(SOURCE, tmp_path) as (box, printed):
        found = {tool.function.name: tool for tool in await box.list()}
        assert list(found)[:3] == ["add", "bump", "nap"]
        assert not {"_private", "dumps", "Helper", "wrong", "alias"} & set(found)
        assert found["add"].effect == "unknown" and found["add"].origin.endswith("mine.py")
        assert found["add"].function.properties["a"] == {"type": "integer", "description": "the first"}
        assert box.notices == ("mine.py: wrong cannot be described: name 'Nowhere' is not defined. It is set aside.",)
        assert await called(box, "add", a=1) == 3
        assert await called(box, "add", a="1", b=4) == 5
        assert [await called(box, "bump") for _ in range(3)] == [1, 2, 3]
        assert await called(box, "nap", seconds=0) == "rested"
        assert await called(box, "own_loop") == "rested"
        assert await called(box, "odd") == {"raw": "(a PNG image, 8 bytes)", "set": [1]}
        assert await called(box, "where") == [False, str(Path.cwd()), str(tmp_path / "mine.py")]
        for name, arguments, sentence in (
            ("add", {"a": "one"}, "Invalid arguments: a: Input should be a valid integer"),
            ("add", {}, "Invalid arguments: a: Field required"),
            ("boom", {}, "ValueError: no\x1b[0m luck"),
            ("leave", {}, "SystemExit: 4"),
            ("leave_later", {}, "SystemExit: 5"),
            ("ask", {}, "EOFError"),
        ):
            with pytest.raises(RuntimeError) as failed:
                await called(box, name, **arguments)
            assert sentence in str(failed.value)
        assert await called(box, "nap", seconds=0) == "rested"
        assert await called(box, "bump") == 4
    assert printed[0] == "importing \\x1b[31mred\\x1b]0;title\\x07"
    assert {"adding 1", "from a child"} <= set(printed)
    assert not any("\x1b" in line for line in printed)
    assert capfd.readouterr().out == ""


async def test_a_process_that_ends_is_started_again(tmp_path: Path) -> None:
    async with opened(SOURCE, tmp_path) as (box, _):
        assert await called(box, "bump") == 1
        with pytest.raises(RuntimeError, match="ended with exit code 3"):
            await called(box, "die")
        assert await called(box, "bump") == 1


def running(marker: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if marker in (process.info["cmdline"] or [])]


def left_over(marker: str) -> list[psutil.Process]:
    """What still runs when everything that was killed had the time to be gone from the list of processes."""
    return psutil.wait_procs(running(marker), timeout=5)[1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_a_hanging_function_that_ignores_signals_ends_in_time_with_its_children(tmp_path: Path) -> None:
    marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
    async with opened(SOURCE, tmp_path, seconds=1.0) as (box, _):
        await box.list()
        began = time.perf_counter()
        with pytest.raises(RuntimeError, match="Timed out after 1 s"):
            await called(box, "hang", marker=marker)
        assert time.perf_counter() - began < 2.5
        assert left_over(marker) == []
        assert await called(box, "bump") == 1
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]


async def test_a_coroutine_is_cancelled_and_the_process_lives_on(tmp_path: Path) -> None:
    async with opened(SOURCE, tmp_path, seconds=0.5) as (box, _):
        await called(box, "bump")
        with pytest.raises(RuntimeError, match="Timed out"):
            await called(box, "nap", seconds=1000)
        assert await called(box, "bump") == 2
        with pytest.raises(RuntimeError, match="Timed out"):
            await called(box, "stubborn")
        await box.list()
        assert await called(box, "bump") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX sessions")
async def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
    source = f"""
import os, subprocess, sys
def die() -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(999)", "{marker}"])
    os._exit(1)
"""
    async with opened(source, tmp_path) as (box, _):
        with pytest.raises(RuntimeError, match="exit code 1"):
            await called(box, "die")
        assert left_over(marker) == []


async def test_cancelling_the_caller_ends_the_function(tmp_path: Path) -> None:
    marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
    async with opened(SOURCE, tmp_path) as (box, printed):
        await box.list()
        task = asyncio.create_task(called(box, "hang", marker=marker))
        async with asyncio.timeout(10):
            while not running(marker):  # noqa: ASYNC110  # nothing but the list of processes tells
                await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left_over(marker) == []
        assert printed


async def test_a_huge_result_costs_this_process_little(tmp_path: Path, data: Path) -> None:
    async with opened(SOURCE, tmp_path) as (box, _):
        await box.list()
        before = psutil.Process().memory_info().rss
        text = await called(box, "big")
        assert isinstance(text, str) and len(text) < 50_000 and "The whole result is in " in text
        assert psutil.Process().memory_info().rss - before < 20_000_000
    (file,) = (data / "results").iterdir()
    assert file.stat().st_size == 100_000_000


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def broken(:\n", "mine.py, line 1: "),
        ("\n\nimport nowhere_at_all\n", "mine.py, line 3: ModuleNotFoundError: No module named 'nowhere_at_all'."),
        ("def f():\n    return 1 / 0\nf()\n", "mine.py, line 2: ZeroDivisionError: division by zero."),
        ("import sys\nsys.exit(2)\n", "mine.py, line 2: SystemExit: 2."),
        ("import os\nos._exit(7)\n", "could not be imported. The process of mine.py ended with exit code 7."),
        ("def f() -> None: ...\nraise KeyboardInterrupt\n", "mine.py, line 2: KeyboardInterrupt."),
    ],
)
async def test_a_file_that_fails_to_import_is_one_notice(tmp_path: Path, source: str, sentence: str) -> None:
    good = PythonFunctions([len_of])
    path = tmp_path / "mine.py"
    path.write_text(source)
    box = Toolbox([PythonFile(path), good])
    assert await names(box) == ["len_of"]
    (notice,) = box.notices
    assert sentence in notice and notice.endswith("Its functions are set aside.")
    await box.close()


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    box = Toolbox([PythonFile(tmp_path / "nothing.py")])
    assert await names(box) == []
    assert "There is no file" in box.notices[0]
    await box.close()


async def test_a_file_that_takes_too_long_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fclocal.tools.worker.START_SECONDS", 0.5)
    async with opened("while True: pass\n", tmp_path) as (box, _):
        assert await names(box) == []
        assert "took longer than 0.5 s to import" in box.notices[0]


async def test_calls_at_the_same_time_share_one_process(tmp_path: Path) -> None:
    async with opened(SOURCE, tmp_path) as (box, _):
        counts = await asyncio.gather(*(called(box, "bump") for _ in range(8)))
        assert sorted(counts, key=str) == list(range(1, 9))


def test_one_loop_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    file = PythonFile(path, output=lambda line: None)

    async def bump_once() -> str:
        return (await file.call(FunctionCall("1", "bump", {}))).content

    async def bump_and_close() -> str:
        try:
            return await bump_once()
        finally:
            await file.close()

    assert [asyncio.run(bump_and_close()), asyncio.run(bump_and_close())] == ["1", "1"]


async def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    async with opened("def one() -> int:\n    return 1\n", tmp_path) as (box, _):
        assert await names(box) == ["one"]
        (tmp_path / "mine.py").write_text("def second() -> int:\n    return 2\n")
        assert await names(box) == ["second"]
        assert await called(box, "second") == 2
        (tmp_path / "mine.py").write_text("oops")
        assert await names(box) == []
        assert "NameError" in box.notices[0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("__all__ = ['_a']\ndef _a() -> int: ...\ndef b() -> int: ...\n", ["_a"]),
        ("from fclocal import function\n@function\ndef a() -> int: ...\ndef b() -> int: ...\n", ["a"]),
        ("from fclocal import function\n@function(name='said')\nasync def a() -> int: ...\n", ["said"]),
        ("from os import getcwd\nfrom json import dumps\ndef b() -> int: ...\n", ["b"]),
        (WRAPPED, ["b"]),
        ("def a(__import__: int) -> int: ...\n", ["a"]),
        ("x = 1\n", []),
    ],
)
async def test_which_functions_are_offered(tmp_path: Path, source: str, expected: list[str]) -> None:
    async with opened(source, tmp_path) as (box, _):
        assert await names(box) == expected
        assert bool(box.notices) == (not expected)


async def test_modules_beside_the_file_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 7\n")
    async with opened("import beside\ndef value() -> int:\n    return beside.VALUE\n", tmp_path) as (box, _):
        assert await called(box, "value") == 7


async def test_the_engine_is_not_loaded_in_the_process_of_a_file(tmp_path: Path) -> None:
    source = "import sys\nfrom fclocal import function\n@function\ndef loaded():\n    return sorted(sys.modules)\n"
    async with opened(source, tmp_path) as (box, _):
        loaded = await called(box, "loaded")
        assert isinstance(loaded, list) and not {"llama_cpp", "llguidance", "textual", "mcp"} & set(loaded)


def len_of(text: str) -> int:
    """How long a text is."""
    return len(text)


async def rested(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"


def leaving() -> None:
    sys.exit(1)


def waiting(text: str) -> object:
    return rested(0) if text else None


async def own(made: Callable[..., object], **arguments: object) -> FunctionResult:
    box = Toolbox([PythonFunctions([made])], seconds=0.2)
    return await box.call(FunctionCall("1", made.__name__, arguments))  # type: ignore[arg-type]  # plain values


async def test_functions_of_the_running_program() -> None:
    assert (await own(len_of, text="abc")).content == "3"
    assert (await own(rested, seconds=0)).content == '"rested"'
    assert (await own(waiting, text="x")).content == '"rested"'
    assert "Timed out" in (await own(rested, seconds=100)).content
    assert "SystemExit" in (await own(leaving)).content
    assert "Invalid arguments" in (await own(len_of)).content


async def test_a_plain_function_that_hangs_is_left_behind() -> None:
    import threading

    free = threading.Event()

    def stuck() -> bool:
        return free.wait(30)

    began = time.perf_counter()
    assert "Timed out" in (await own(stuck)).content
    assert time.perf_counter() - began < 1
    free.set()


def test_functions_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two functions named 'len_of'"):
        PythonFunctions([len_of, len_of])
