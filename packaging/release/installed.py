"""Install the wheel with pipx into build/pipx, away from everything else, and use what a person would use first.

`python installed.py` does it and prints the times; `interpreter()` is the Python of that environment, with the runtime
dependencies and nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import source
from distributions import DIST, names
from source import Refused

HOME = source.ROOT / "build/pipx"
QUESTION = "What is 12 * (3 + 4)?"


def _script(folder: Path, name: str) -> Path:
    return folder / (f"Scripts/{name}.exe" if os.name == "nt" else f"bin/{name}")


def interpreter() -> Path:
    """The Python of the environment. Raises Refused when nothing is installed."""
    found = _script(HOME / "venvs/fclocal", "python")
    if not found.exists():
        raise Refused("The wheel is not installed: run packaging/release/installed.py first.")
    return found


def install(wheel: Path) -> None:
    """`pipx install`, in place of what was there."""
    environment = {**os.environ, "PIPX_HOME": str(HOME), "PIPX_BIN_DIR": str(HOME / "bin")}
    command = [sys.executable, "-m", "pipx", "install", "--force", "--python", sys.executable, str(wheel)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise Refused(f"pipx install {wheel.name} failed:\n{done.stdout.decode()}{done.stderr.decode()}")


def use() -> Iterator[str]:
    """Run the installed command in an empty folder with an empty home; a line for each thing that works."""
    program = HOME / "bin" / ("fclocal.exe" if os.name == "nt" else "fclocal")
    with tempfile.TemporaryDirectory() as scratch:
        homes = {f"FCLOCAL_{name}": str(Path(scratch, name)) for name in ("CONFIG", "DATA", "CACHE")}
        place = {**os.environ, **homes, "HF_HOME": str(Path(scratch, "hf")), "HF_HUB_OFFLINE": "1"}
        place.pop("PYTHONPATH", None)

        def run(*words: str) -> str:
            began = time.perf_counter()
            done = subprocess.run(
                [str(program), *words], cwd=scratch, env=place, capture_output=True, check=False, timeout=300
            )
            if done.returncode:
                raise Refused(f"fclocal {' '.join(words)} ended with {done.returncode}:\n{done.stderr.decode()}")
            lines.append(f"fclocal {words[0]}: {time.perf_counter() - began:.1f} s")
            return done.stdout.decode("utf-8")

        lines: list[str] = []
        _expect("Usage" in run("--help"), "the help page")
        _expect(len(json.loads(run("catalog", "--json"))) > 1, "the catalog")
        _expect(
            json.loads(run("tools", "run", "calculator", '{"expression": "12 * (3 + 4)"}'))["result"] == 84, "a sum"
        )
        made: Mapping[str, object] = json.loads(run("call", QUESTION, "--builtin", "all", "--choice", "calculator"))
        _expect(made["function"] == "calculator", "a call by the built-in model")
        yield from lines


def _expect(right: bool, what: str) -> None:
    if not right:
        raise Refused(f"The installed fclocal does not give {what}.")


def main() -> None:
    """Install, use, print."""
    began = time.perf_counter()
    install(DIST / names()[0])
    print(f"pipx install: {time.perf_counter() - began:.0f} s")
    for line in use():
        print(line)


if __name__ == "__main__":
    try:
        main()
    except Refused as refusal:
        sys.exit(str(refusal))
