"""What goes into the app, and what its entry does with the command lines that fclocal starts."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
APP = ROOT / "packaging" / "app"


def load(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(f"app_{name}", APP / f"{name}.py")
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_data_files_are_those_that_are_tracked() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "fclocal"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    contents = load("contents")
    scripts = {f"fclocal/{script}" for script in contents.SCRIPTS}
    wanted = {name for name in tracked.stdout.split("\0") if name and not name.endswith(".py")} | scripts
    found = contents.data_files(ROOT / "fclocal")
    assert {Path(path).relative_to(ROOT).as_posix() for path, _ in found} == wanted
    assert all((ROOT / folder / Path(path).name).samefile(path) for path, folder in found)


def test_scripts_are_those_that_fclocal_starts_by_path() -> None:
    """A script that is started by its path must lie in the app as a file."""
    started = {
        f"{path.parent.name}/{line.split('with_name(')[1].split(')')[0].strip(chr(34))}"
        for path in (ROOT / "fclocal").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "with_name(" in line and '.py")' in line
    }
    assert started == set(load("contents").SCRIPTS)


def test_the_whole_standard_library_is_named() -> None:
    named = set(load("contents").standard_library())
    assert {"json", "json.decoder", "sqlite3", "xml.dom.minidom", "email.mime.text", "wave"} <= named
    assert not {"test", "tkinter", "idlelib", "json.__main__"} & named


def test_a_library_is_in_the_app_under_the_names_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llama_cpp"
    (package / "lib").mkdir(parents=True)
    (package / "__init__.py").touch()
    wanted = {"libggml.so", "libggml.so.0", "libggml-base.so.0", "libggml-cpu-x64.so", "libllama.so", "libllama.dylib"}
    for name in (*wanted, "libllama.so.0", "libggml-base.so", "LICENSE"):
        (package / "lib" / name).touch()
    monkeypatch.delitem(sys.modules, "llama_cpp", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert {Path(path).name for path, _ in load("contents").llama_libraries()} == wanted


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["-P", "-c", "import sys; print(sys.argv[1:], __name__)", "a", "b"], "['a', 'b'] __main__"),
        (["-I", "-B", "-X", "utf8", "SCRIPT", "a"], "script ['a'] __main__"),
        (["-m", "fclocal.cli.words"], ""),
        (["--help"], "Usage: fclocal [OPTIONS]"),
        (["-m", "json.tool"], "fclocal --help"),
    ],
)
def test_entry_is_python_for_what_fclocal_starts(words: list[str], shown: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('script', sys.argv[1:], __name__)\n", encoding="utf-8")
    line = [str(script) if word == "SCRIPT" else word for word in words]
    done = subprocess.run(
        [sys.executable, str(APP / "entry.py"), *line],
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown in done.stdout + done.stderr, done


@pytest.mark.parametrize(("original", "left"), [(None, None), ("/opt/cuda/lib", "/opt/cuda/lib")])
def test_programs_beside_the_app_get_the_systems_libraries(
    original: str | None, left: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("LD_LIBRARY_PATH", "/app/_internal")
    monkeypatch.delenv("LD_LIBRARY_PATH_ORIG", raising=False)
    if original:
        monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", original)
    load("entry").restore_library_path()
    assert (os.environ.get("LD_LIBRARY_PATH"), "LD_LIBRARY_PATH_ORIG" in os.environ) == (left, False)


def test_the_same_app_gives_the_same_tarball(tmp_path: Path) -> None:
    pack = load("pack")
    app = tmp_path / "app"
    (app / "_internal").mkdir(parents=True)
    (app / "fclocal").write_text("program", encoding="utf-8")
    (app / "fclocal").chmod(0o755)
    (app / "_internal" / "link").symlink_to("../fclocal")
    pack.pack(app, tmp_path / "one.tar.gz")
    (app / "fclocal").touch()
    (app / "_internal").chmod(0o700)
    pack.pack(app, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        modes = {member.name: (member.mode, member.uid) for member in archive.getmembers() if not member.issym()}
    assert modes == {"fclocal": (0o755, 0), "fclocal/_internal": (0o755, 0), "fclocal/fclocal": (0o755, 0)}


def test_an_app_without_variants_or_with_too_much_is_refused(tmp_path: Path) -> None:
    pack = load("pack")
    with pytest.raises(pack.source.Refused, match="no app"):
        pack.check(tmp_path)
    (tmp_path / "fclocal").touch()
    with pytest.raises(pack.source.Refused, match="no CPU variants"):
        pack.check(tmp_path)
    (tmp_path / "_internal/llama_cpp/lib").mkdir(parents=True)
    for name in ("haswell", "x64"):
        (tmp_path / f"_internal/llama_cpp/lib/libggml-cpu-{name}.so").write_bytes(b"\x7fELF\0GLIBC_2.4\0GLIBC_2.36\0")
    pack.check(tmp_path)
    assert pack.glibc_floor(tmp_path) == (2, 36)
    (tmp_path / "_internal/torch").mkdir()
    with pytest.raises(pack.source.Refused, match="holds torch"):
        pack.check(tmp_path)
