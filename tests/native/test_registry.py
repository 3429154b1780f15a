"""Backends that are libraries of their own, on a stand-in for ggml and on the installed llama.cpp."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from fclocal.errors import FclocalError
from fclocal.native import binding, registry
from fclocal.native.registry import function, load_backends


class Ggml:
    """Stands in for ggml: what is registered, and what lies in its folder."""

    def __init__(self, *, registered: int, in_folder: int, folder: Path) -> None:
        self._name = str(folder / "libllama.so")
        self.registered = registered
        self.in_folder = in_folder
        self.searched: list[str] = []

    def ggml_backend_reg_count(self) -> int:
        return self.registered

    def ggml_backend_load_all_from_path(self, folder: bytes) -> None:
        self.searched.append(folder.decode())
        self.registered += self.in_folder


@pytest.fixture(autouse=True)
def plain_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in's methods need no ctypes."""
    real = registry.function
    monkeypatch.setattr(
        registry,
        "function",
        lambda llama, name, *types: getattr(llama, name) if isinstance(llama, Ggml) else real(llama, name, *types),
    )


def test_backends_that_are_linked_in_are_enough(tmp_path: Path) -> None:
    ggml = Ggml(registered=1, in_folder=1, folder=tmp_path)
    load_backends(ggml)  # type: ignore[arg-type]  # a stand-in
    assert ggml.searched == []


def test_backends_are_loaded_from_the_folder_of_llama_cpp_alone(tmp_path: Path) -> None:
    folder = tmp_path / "große Ablage"
    ggml = Ggml(registered=0, in_folder=1, folder=folder)
    load_backends(ggml)  # type: ignore[arg-type]  # a stand-in
    assert ggml.searched == [str(folder)]


def test_no_backend_is_said(tmp_path: Path) -> None:
    with pytest.raises(FclocalError, match=r"No backend of llama\.cpp in .* runs on this machine"):
        load_backends(Ggml(registered=0, in_folder=0, folder=tmp_path))  # type: ignore[arg-type]  # a stand-in


def test_the_installed_one_has_a_backend_after_loading() -> None:
    load_backends(binding.api._lib)
    assert function(binding.api._lib, "ggml_backend_reg_count", ctypes.c_size_t)() >= 1
    with pytest.raises(RuntimeError, match="no ggml_missing"):
        function(binding.api._lib, "ggml_missing", None)


@pytest.mark.parametrize("first", ["system_info", "supports_gpu_offload", "start_backend"])
def test_whatever_is_asked_first_loads_backends(first: str) -> None:
    """In a process of its own, since backends stay loaded."""
    code = f"""
from fclocal.native import binding, registry
asked = []
binding.load_backends = lambda llama: asked.append(llama)
binding.{first}()
assert asked == [binding.api._lib], asked
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
