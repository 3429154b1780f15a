"""What goes into the app beside the modules that PyInstaller finds by itself. Needs no PyInstaller."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

# Scripts that fclocal starts by their path.
SCRIPTS = ("dialects/template_child.py",)

# Imported by name at run time, where an analysis of the code cannot see it.
DYNAMIC = ("fclocal", "textual.widgets", "rich._unicode_data", "tzdata")

# Parts of the standard library that a terminal program without a compiler has no use for; crypt, which Python 3.13 took
# away, would need a library that not every Linux has.
LEFT_OUT_STDLIB = frozenset(
    {
        "antigravity",
        "crypt",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "nis",
        "test",
        "this",
        "tkinter",
        "turtle",
        "turtledemo",
        "venv",
    }
)
LEFT_OUT = (
    *sorted(LEFT_OUT_STDLIB),
    "_crypt",
    "_tkinter",
    "hf_xet",  # downloads go through fclocal's own code
    "IPython",
    "matplotlib",
    "PIL",
    "pip",
    "pkg_resources",
    "pytest",
    "scikit_build_core",
    "setuptools",
    "torch",
    "transformers",
)

# Each library of llama.cpp lies under two names, and under these nothing loads it: llama-cpp-python opens libllama.so
# by its path, the others ask for libggml-base.so.0.
UNUSED_NAMES = ("libllama.so.[0-9]", "libggml-base.so")


def data_files(package: Path) -> list[tuple[str, str]]:
    """Each file of the fclocal package that is not imported, with its folder in the app."""
    found = [path for path in sorted(package.rglob("*")) if path.is_file() and _is_data(path.relative_to(package))]
    return [(str(path), str(Path("fclocal") / path.parent.relative_to(package))) for path in found]


def _is_data(path: Path) -> bool:
    return path.as_posix() in SCRIPTS or (path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts)


def llama_libraries() -> list[tuple[str, str]]:
    """Every library of llama.cpp, once: the CPU variants are loaded by path, so nothing links to them."""
    found = importlib.util.find_spec("llama_cpp")
    if found is None or found.origin is None:
        raise SystemExit("llama_cpp is not installed: run build_llama.py first.")
    files = sorted((Path(found.origin).parent / "lib").iterdir())
    unused = ("LICENSE", *UNUSED_NAMES)
    return [(str(path), "llama_cpp/lib") for path in files if not any(path.match(name) for name in unused)]


def standard_library() -> list[str]:
    """The whole standard library: Python files of the user's own (--tools) may import any of it."""
    names = sorted(sys.stdlib_module_names - LEFT_OUT_STDLIB)
    return [module for name in names for module in _with_submodules(name)]


def _with_submodules(name: str) -> Iterator[str]:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return
    if found is None:
        return
    yield name
    for place in found.submodule_search_locations or ():
        for path in sorted(Path(place).rglob("*.py")):
            parts = path.relative_to(place).with_suffix("").parts
            if not {"test", "tests", "__main__", "idle_test"} & set(parts):
                yield ".".join((name, *parts)).removesuffix(".__init__")
