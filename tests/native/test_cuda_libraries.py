"""A library that needs the CUDA runtime loads when only NVIDIA's package from PyPI has it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TRY = """
import ctypes, sys
sys.path[:0] = [sys.argv[1]]
from fclocal.native.cuda_libraries import preload
if sys.argv[2] == "preload":
    preload()
print(ctypes.CDLL(sys.argv[3]).answer())
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler")
def test_nvidias_packages_are_found_for_a_cuda_build_only(tmp_path: Path) -> None:
    runtime = tmp_path / "nvidia/cuda_runtime/lib/libcudart.so.99"
    ours = tmp_path / "llama_cpp/lib/libggml-cuda.so"
    for library in (runtime, ours):
        library.parent.mkdir(parents=True)
    (tmp_path / "llama_cpp/__init__.py").touch()
    compile_ = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o"]
    subprocess.run(
        [*compile_, str(runtime), f"-Wl,-soname,{runtime.name}"], input=b"int there(void) { return 42; }", check=True
    )
    source = b"int there(void); int answer(void) { return there(); }"
    subprocess.run([*compile_, str(ours), "-x", "none", str(runtime)], input=source, check=True)

    def tried(word: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", TRY, str(tmp_path), word, str(moved)]
        return subprocess.run(words, capture_output=True, text=True, timeout=60)

    moved = ours
    assert tried("preload").stdout == "42\n"
    assert "libcudart.so.99" in tried("nothing").stderr
    moved = ours.rename(ours.with_name("libggml-x.so"))
    assert "libcudart.so.99" in tried("preload").stderr, "no CUDA build, nothing is loaded"
