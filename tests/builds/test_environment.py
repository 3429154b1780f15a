"""The command that exchanges llama-cpp-python, in every kind of environment."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fclocal.builds.choose import Build
from fclocal.builds.environment import (
    Environment,
    fitting_version,
    install,
    install_file,
    refuse_unchangeable,
    this_environment,
)
from fclocal.builds.wheels import WheelIndex
from fclocal.errors import UsageError

VENV = Environment("venv", "/v/bin/python", Path("/v"), pip=True, uv="", writable=True, managed=False)
INDEX = WheelIndex("0.3.36", address="https://host/whl", tags=frozenset())
READY = Build("cuda", tag="cu124", packages=("nvidia-cublas-cu12",))
SOURCE = Build("rocm", defines=("GGML_HIP=on", "GPU_TARGETS=gfx1030;gfx1100"), variables=(("HIP_PATH", "/opt/rocm"),))


def test_a_ready_wheel_comes_from_its_index_alone() -> None:
    assert install(READY, VENV, INDEX).text == (
        "/v/bin/python -m pip install --force-reinstall --no-deps --only-binary :all: "
        "--extra-index-url https://host/whl/cu124 llama-cpp-python==0.3.36 nvidia-cublas-cu12"
    )


def test_a_build_from_source_gets_its_definitions_and_never_a_cached_wheel() -> None:
    command = install(SOURCE, VENV, INDEX)
    assert command.text == (
        "CMAKE_ARGS='-DGGML_HIP=on -DGPU_TARGETS=gfx1030;gfx1100' HIP_PATH=/opt/rocm /v/bin/python -m pip install "
        "--force-reinstall --no-deps --no-binary llama-cpp-python --no-cache-dir llama-cpp-python==0.3.36"
    )
    assert dict(command.variables)["CMAKE_ARGS"] == "-DGGML_HIP=on -DGPU_TARGETS=gfx1030;gfx1100"


def test_powershell() -> None:
    windows = replace(VENV, python=r"C:\My Tools\python.exe", windows=True)
    text = install(SOURCE, windows, INDEX).text
    assert text.startswith("$env:CMAKE_ARGS = '-DGGML_HIP=on -DGPU_TARGETS=gfx1030;gfx1100'; ")
    assert r"& 'C:\My Tools\python.exe' -m pip install" in text


def test_an_environment_of_uv_has_no_pip() -> None:
    uv = replace(VENV, kind="uv tool", pip=False, uv="/bin/uv")
    words = install(SOURCE, uv, INDEX).words
    assert words[:5] == ("/bin/uv", "pip", "install", "--python", "/v/bin/python")
    assert "--reinstall" in words and "--no-cache" in words
    assert install_file(Path("/k/x.whl"), uv).words[-2:] == ("--no-deps", "/k/x.whl")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (replace(VENV, kind="app"), "one-folder app"),
        (replace(VENV, kind="system", managed=True), "operating system manages"),
        (replace(VENV, writable=False), "cannot be written"),
        (replace(VENV, pip=False), "neither pip nor uv"),
    ],
)
def test_what_must_not_be_changed_is_refused_with_a_cure(environment: Environment, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        refuse_unchangeable(environment)
    assert refused.value.cure


def test_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert this_environment().python == sys.executable
    assert fitting_version().startswith("0.3.")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    for mark, kind in (("pipx_metadata.json", "pipx"), ("uv-receipt.toml", "uv tool"), ("conda-meta", "conda")):
        (tmp_path / mark).touch()
        assert this_environment().kind == kind
        (tmp_path / mark).unlink()
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    stdlib = tmp_path / "lib"
    stdlib.mkdir()
    (stdlib / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(stdlib))
    assert this_environment().kind == "system" and this_environment().managed
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert this_environment().kind == "app"
