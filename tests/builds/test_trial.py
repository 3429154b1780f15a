"""The trial of the installed llama.cpp: once for real, then what broken ones say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fclocal.builds.trial import Trial, read, try_installed


def test_the_installed_build_loads_and_computes() -> None:
    trial = try_installed()
    assert trial.works and trial.version and trial.fault == ""
    assert any(device.startswith("cpu:") for device in trial.devices)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize(
    ("script", "said"),
    [("kill -ILL $$", "SIGILL"), ("echo no such kernel >&2; exit 3", "exit code 3. no such kernel")],
)
def test_a_process_that_dies_is_a_fault(tmp_path: Path, script: str, said: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o700)
    trial = try_installed(str(python))
    assert not trial.loads and said in trial.fault


def test_what_was_said_before_a_crash_counts() -> None:
    line = json.dumps({"version": "1", "offloads": True, "devices": ["gpu: CUDA0, RTX", "cpu: CPU, x"]})
    trial = read(f"noise\n{line}\n", "no kernel image is available\n", -6)
    assert trial.loads and trial.offloads and trial.gpu == "gpu: CUDA0, RTX"
    assert not trial.works and "SIGABRT" in trial.fault and "no kernel image" in trial.fault


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    assert try_installed(str(tmp_path / "none")) == Trial(
        False, fault=f"{tmp_path / 'none'} does not start: No such file or directory."
    )
