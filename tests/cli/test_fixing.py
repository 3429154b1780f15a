"""`fclocal doctor --fix`: what it says, what it runs, and what it makes of the result."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from packaging.tags import Tag

from fclocal.builds import keep
from fclocal.builds.environment import Command, Environment
from fclocal.builds.host import Gpu, Host
from fclocal.builds.trial import Trial
from fclocal.builds.wheels import WheelIndex
from fclocal.cli import fixing
from fclocal.cli.app import run
from fclocal.errors import UsageError

VENV = Environment("venv", "/v/python", Path("/v"), pip=True, uv="", writable=True, managed=False)
PLAIN = Host(system="linux", machine="x86_64")
NVIDIA = replace(PLAIN, gpus=(Gpu("nvidia", "RTX 4090", "8.9"),), cuda=(12, 4))
CPU = Trial(True, devices=("cpu: CPU, EPYC",), computed=True, version="0.5")
CUDA = Trial(True, offloads=True, devices=("gpu: CUDA0, RTX 4090", "cpu: CPU, EPYC"), computed=True, version="0.5")
BROKEN = Trial(False, fault="llama.cpp does not load: no libcudart.so.12.")


class Listed(WheelIndex):
    """An index that answers without a network."""

    listed: frozenset[str] = frozenset({"cu124", "cpu"})

    def has(self, tag: str) -> bool:
        return tag in self.listed


@dataclass
class Machine:
    """A machine on which a command changes what the next trial finds."""

    host: Host = NVIDIA
    before: Trial = CPU
    after: Trial = CUDA
    code: int = 0
    environment: Environment = VENV
    index: WheelIndex = field(default_factory=lambda: Listed("0.3.36", address="https://host", tags=frozenset[Tag]()))
    ran: list[Command] = field(default_factory=list)

    def run(self, command: Command) -> int:
        self.ran.append(command)
        return self.code

    @property
    def rim(self) -> fixing.Rim:
        return fixing.Rim(
            host=lambda: self.host,
            environment=lambda: self.environment,
            index=lambda: self.index,
            trial=lambda: self.after if self.ran else self.before,
            run=self.run,
        )

    def fix(self, *, yes: bool = False, as_json: bool = False) -> int:
        return fixing.fix(yes=yes, wanted=None, as_json=as_json, rim=self.rim)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Keeping the present build writes a small file in place of 24 MB."""

    def keep_installed() -> Path:
        file = tmp_path / "llama_cpp_python-0.3.36-py3-none-any.whl"
        file.touch()
        return file

    monkeypatch.setattr(fixing, "keep_installed", keep_installed)
    return keep_installed


def test_without_yes_nothing_runs_and_stdout_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    assert machine.fix() == 0 and machine.ran == []
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    assert "--extra-index-url https://host/cu124" in line and "llama-cpp-python==0.3.36" in line
    assert "RTX 4090" in said.err and "--yes" in said.err and "To go back" in said.err


def test_with_yes_it_runs_tries_and_says_how_to_go_back(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine()
    assert machine.fix(yes=True) == 0
    (command,) = machine.ran
    assert "https://host/cu124" in command.words
    said = capsys.readouterr()
    assert "works" in said.out and "CUDA0" in said.out
    assert "llama_cpp_python-0.3.36-py3-none-any.whl" in said.err


@pytest.mark.parametrize("after", [CPU, BROKEN, replace(CUDA, computed=False, fault="no kernel image")])
def test_a_build_that_does_not_use_the_gpu_is_told_and_stays_until_told_to_go_back(
    after: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(after=after)
    assert machine.fix(yes=True) == 1 and len(machine.ran) == 1
    said = capsys.readouterr()
    assert "does not do what it should" in said.out and "To go back" in said.err
    assert after.fault in said.out


def test_a_command_that_fails_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert Machine(code=2, after=CPU).fix(yes=True) == 1
    assert "exit code 2" in capsys.readouterr().err


@pytest.mark.parametrize(("host", "before"), [(PLAIN, CPU), (NVIDIA, CUDA)])
def test_a_build_that_fits_stays(host: Host, before: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(host=host, before=before)
    assert machine.fix(yes=True) == 0 and machine.ran == []
    said = capsys.readouterr()
    assert said.out == "" and "nothing needs to be installed" in said.err


def test_a_build_that_does_not_load_is_replaced_on_the_cpu_too() -> None:
    machine = Machine(host=PLAIN, before=BROKEN, after=CPU)
    assert machine.fix(yes=True) == 0 and "https://host/cpu" in machine.ran[0].words


def test_missing_tools_are_named_and_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(host=replace(NVIDIA, cuda=(12, 2)))
    assert machine.fix(yes=True) == 1 and machine.ran == []
    said = capsys.readouterr()
    assert "CUDA toolkit 12.2 or older" in said.err and "C++ compiler" in said.err
    assert "CMAKE_ARGS=-DGGML_CUDA=on" in said.out


def test_a_driver_that_is_too_old_is_a_problem_with_a_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert Machine(host=replace(NVIDIA, cuda=(11, 4))).fix() == 1
    assert "Update it to 520" in capsys.readouterr().err


def test_json_is_one_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert Machine().fix(yes=True, as_json=True) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["action"], value["backend"], value["ok"]) == ("install", "cuda", True)
    assert value["after"]["offloads"] is True and "cu124" in value["command"] and ".whl" in value["back"]


def test_going_back(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine(before=BROKEN, after=CPU)
    with pytest.raises(UsageError, match="No earlier build"):
        fixing.go_back(yes=True, as_json=False, rim=machine.rim)
    wheel = tmp_path / "llama.whl"
    monkeypatch.setattr(fixing, "kept_wheel", lambda: wheel)
    assert fixing.go_back(yes=False, as_json=False, rim=machine.rim) == 0 and machine.ran == []
    assert str(wheel) in capsys.readouterr().out
    assert fixing.go_back(yes=True, as_json=False, rim=machine.rim) == 0
    assert machine.ran[0].words[-1] == str(wheel)


def test_an_app_is_never_changed() -> None:
    machine = Machine(environment=replace(VENV, kind="app"))
    with pytest.raises(UsageError, match="one-folder app"):
        machine.fix(yes=True)
    assert machine.ran == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--yes"], "go with --fix"),
        (["--backend", "cpu"], "go with --fix"),
        (["--fix", "--back"], "opposites"),
        (["--fix", "--backend", "gpu"], "--backend 'gpu'"),
        (["--back"], "No earlier build"),
    ],
)
def test_words_that_do_not_go_together(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert keep.kept_wheel() is None
    with pytest.raises(SystemExit) as left:
        run(["doctor", *words])
    captured = capsys.readouterr()
    assert (left.value.code, captured.out) == (2, "") and said in captured.err


def test_what_the_command_prints_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    words = (sys.executable, "-c", "import os; print(os.environ['CMAKE_ARGS']); raise SystemExit(4)")
    assert fixing.run_command(Command(words, (("CMAKE_ARGS", "-DX=on"),))) == 4
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "-DX=on\n")
    with pytest.raises(UsageError, match="does not start"):
        fixing.run_command(Command(("/no/such/program",)))
