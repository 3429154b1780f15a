"""Put a portable llama.cpp into the Python that runs this: no CPU is assumed, the best variant is chosen at run time.

`python build_llama.py --work FOLDER`. The sources are those of the llama-cpp-python that pyproject.toml asks for. Its
own build knows neither where backends that are libraries of their own belong nor how to leave out what is not needed
here, so its Python part is installed alone and llama.cpp is built from the same sources beside it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLAGS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    "GGML_NATIVE": "OFF",
    "GGML_BACKEND_DL": "ON",
    "GGML_CPU_ALL_VARIANTS": "ON",
    "LLAMA_BUILD_COMMON": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_TOOLS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_INSTALL_RPATH": "@loader_path" if sys.platform == "darwin" else "$ORIGIN",
}
# Of llama.cpp's variants for x86, those that gain little over the one below them; each takes minutes to compile.
LEFT_OUT = ("ivybridge", "piledriver", "cannonlake", "cascadelake", "cooperlake")
LIBRARIES = ("*.so", "*.so.[0-9]", "*.dylib", "*.dll")


def main() -> None:
    """Fetch, build, install; a second run builds only what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="Folder for sources and objects.")
    work: Path = parser.parse_args().work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    archive = fetch(work)
    source = work / archive.name.removesuffix(".tar.gz")
    if not source.exists():
        with tarfile.open(archive) as packed:
            packed.extractall(work, filter="data")
        leave_out(source / "vendor" / "llama.cpp" / "ggml" / "src" / "CMakeLists.txt")
    built = work / "build"
    defines = [f"-D{name}={value}" for name, value in FLAGS.items()]
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    run("cmake", *generator, "-S", source / "vendor" / "llama.cpp", "-B", built, *defines)
    run("cmake", "--build", built, "--config", "Release")
    pip("install", "--no-cache-dir", "--no-deps", "--force-reinstall", "--no-build-isolation", archive, pure=True)
    place(built, licence=source / "vendor" / "llama.cpp" / "LICENSE")


def fetch(work: Path) -> Path:
    """The source archive of llama-cpp-python, downloaded once."""
    if not (found := sorted(work.glob("llama_cpp_python-*.tar.gz"))):
        needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
        needed = next(need for need in needs if re.match(r"llama-cpp-python\b", need))
        pip("download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", work, needed, pure=True)
        found = sorted(work.glob("llama_cpp_python-*.tar.gz"))
    return found[-1]


def leave_out(lists: Path) -> None:
    """Take the variants of LEFT_OUT from the build, which has no option for it."""
    lines = lists.read_text(encoding="utf-8").splitlines(keepends=True)
    left_out = re.compile(rf"\s*ggml_add_cpu_backend_variant\(({'|'.join(LEFT_OUT)})\s")
    kept = [line for line in lines if not left_out.match(line)]
    if len(lines) - len(kept) != len(LEFT_OUT):
        raise SystemExit(f"{lists} does not name each of {', '.join(LEFT_OUT)} once.")
    lists.write_text("".join(kept), encoding="utf-8")


def place(built: Path, *, licence: Path) -> None:
    """Copy the libraries beside the Python part, where llama-cpp-python and fclocal look for them."""
    folder = Path(sysconfig.get_path("platlib")) / "llama_cpp" / "lib"
    folder.mkdir(exist_ok=True)
    found = sorted({path for pattern in LIBRARIES for path in built.glob(f"bin/**/{pattern}")})
    if not any("ggml-cpu-" in path.name for path in found):
        raise SystemExit(f"No CPU variant was built in {built}.")
    for path in found:
        shutil.copy(path, folder / path.name)
    shutil.copy(licence, folder)
    print(f"{len(found)} libraries in {folder}")


def pip(*words: str | Path, pure: bool) -> None:
    """Run this Python's pip; with `pure`, llama-cpp-python builds nothing native."""
    scripts = sysconfig.get_path("scripts")
    flags = "-DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF" if pure else ""
    settings = {"CMAKE_ARGS": flags, "PATH": scripts + os.pathsep + os.environ["PATH"]}
    run(sys.executable, "-m", "pip", "--quiet", *words, **settings)


def run(*words: str | Path, **settings: str) -> None:
    """Run a command with `settings` in its environment; a failure ends this program."""
    done = subprocess.run([str(word) for word in words], env={**os.environ, **settings}, check=False)
    if done.returncode:
        raise SystemExit(f"{Path(words[0]).name} failed ({done.returncode}).")


if __name__ == "__main__":
    main()
