"""An installed package becomes a wheel again that pip accepts."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fclocal.builds import keep
from fclocal.errors import DiskError, UsageError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package as pip leaves it, in a folder of its own."""
    site = tmp_path / "site"
    info = site / "tiny_engine-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "tiny_engine/lib").mkdir(parents=True)
    (site / "tiny_engine/__init__.py").write_text("answer = 42\n")
    (site / "tiny_engine/lib/libx, y.so").write_bytes(bytes(range(256)))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-engine\nVersion: 1.2\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\nTag: py2-none-any\n")
    (info / "INSTALLER").write_text("pip\n")
    names = ["tiny_engine/__init__.py", '"tiny_engine/lib/libx, y.so"', "tiny_engine/__pycache__/__init__.cpython.pyc"]
    names += [f"{info.name}/{name}" for name in ("METADATA", "WHEEL", "INSTALLER", "RECORD")]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in (*names, "../bin/tiny")))
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    return site


def test_the_wheel_holds_what_was_installed_and_installs_again(installed: Path, tmp_path: Path) -> None:
    wheel = keep.keep_installed("tiny-engine")
    assert wheel.name == "tiny_engine-1.2-py3.py2-none-any.whl" and keep.kept_wheel() == wheel
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"tiny_engine/lib/libx, y.so", "tiny_engine-1.2.dist-info/RECORD"} <= names
    assert not any("INSTALLER" in name or name.endswith(".pyc") or ".." in name for name in names)
    target = tmp_path / "again"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target)]
    subprocess.run([*command, str(wheel)], check=True, timeout=60)
    assert (target / "tiny_engine/lib/libx, y.so").read_bytes() == bytes(range(256))


def test_one_wheel_is_kept(installed: Path) -> None:
    first = keep.keep_installed("tiny-engine")
    (first.parent / "older-1-py3-none-any.whl").touch()
    assert keep.keep_installed("tiny-engine") == first
    assert list(first.parent.iterdir()) == [first]


def test_a_damaged_package_is_not_kept_and_leaves_nothing(installed: Path) -> None:
    (installed / "tiny_engine/__init__.py").unlink()
    with pytest.raises(DiskError, match="Cannot keep"):
        keep.keep_installed("tiny-engine")
    assert keep.kept_wheel() is None


def test_what_is_not_from_a_wheel_is_not_kept(installed: Path) -> None:
    (installed / "tiny_engine-1.2.dist-info/WHEEL").unlink()
    with pytest.raises(UsageError, match="not installed from a wheel"):
        keep.keep_installed("tiny-engine")
    with pytest.raises(UsageError, match="not installed"):
        keep.keep_installed("no-such-project-here")
