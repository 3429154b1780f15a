"""The files around the app on Linux: made of the help pages, valid for the programs that read them."""

from __future__ import annotations

import importlib
import plistlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
LINUX = PACKAGING / "linux"
WORDS = {"": ["chat", "sessions"], "chat": ["--functions"], "tools": ["check"], "sessions export": ["--output"]}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Imports a file of packaging/linux by its name."""
    monkeypatch.syspath_prepend(str(LINUX))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(LINUX) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def pages(module: object) -> tuple[object, ...]:
    return module("pages").read()  # type: ignore[operator]  # an importer


def needs(program: str) -> str:
    found = shutil.which(program)
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


def test_pages_are_those_of_the_commands(pages: tuple[ModuleType, ...]) -> None:
    from fclocal.cli.app import build, command_words

    assert [page.words for page in pages] == ["", *command_words(build())]
    by_words = {page.words: page for page in pages}
    for words, names in WORDS.items():
        page = by_words[words]
        known = {entry.names for entry in page.commands} | {flag for entry in page.options for flag in entry.flags}
        assert known >= set(names)
    choice = next(entry for entry in by_words["chat"].options if "--choice" in entry.flags)
    assert choice.choices == ("auto", "required", "none")
    assert choice.text.endswith("[default: auto]")


def test_man_page_has_every_command_and_option(module: object, pages: tuple[ModuleType, ...]) -> None:
    text = module("man").render(pages, version="1.2", date="2026-01-02")  # type: ignore[operator]  # an importer
    plain = text.replace("\\-", "-")
    for page in pages:
        assert f"fclocal {page.words}".strip() in plain
        for entry in (*page.options, *page.arguments):
            assert entry.names in plain or all(flag in plain for flag in entry.flags)
    groff = needs("groff")
    done = subprocess.run([groff, "-man", "-ww", "-Tutf8"], input=text.encode(), capture_output=True, check=True)
    assert done.stderr == b""


def test_man_page_names_every_exit_code(module: object) -> None:
    from fclocal.errors import ExitCode

    codes = module("man").CODES  # type: ignore[operator]  # an importer
    assert [int(part.split()[0]) for part in codes.rstrip(".").split(", ")] == [int(code) for code in ExitCode]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_have_every_command_and_option(
    module: object, pages: tuple[ModuleType, ...], shell: str, tmp_path: Path
) -> None:
    text = getattr(module("completions"), shell)(pages)  # type: ignore[operator]  # an importer
    for page in pages:
        for entry in page.commands:
            assert f"{page.words} {entry.names}".strip().split()[-1] in text
        for option in page.options:
            assert all((flag if shell != "fish" else flag.lstrip("-")) in text for flag in option.flags)
    script = tmp_path / "fclocal"
    script.write_text(text, encoding="utf-8")
    subprocess.run([needs(shell), "-n", str(script)], check=True, timeout=30)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["fclocal", "sessi"], ["sessions"]),
        (["fclocal", "tools", ""], ["list", "check", "run", "-h", "--help"]),
        (["fclocal", "chat", "--missing", ""], ["ask", "warn", "off"]),
        (["fclocal", "sessions", "export", "--out"], ["--output"]),
        (["fclocal", "serve", "--port", "--hos"], ["--host"]),
    ],
)
def test_bash_offers(
    module: object, pages: tuple[ModuleType, ...], typed: list[str], offered: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "fclocal"
    script.write_text(module("completions").bash(pages), encoding="utf-8")  # type: ignore[operator]  # an importer
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _fclocal; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        [needs("bash"), "--norc", "-c", code, "-", str(script), *typed], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == offered
    assert done.stderr == ""


def test_fish_offers_subcommands(module: object, pages: tuple[ModuleType, ...], tmp_path: Path) -> None:
    fish = needs("fish")
    script = tmp_path / "fclocal.fish"
    script.write_text(module("completions").fish(pages), encoding="utf-8")  # type: ignore[operator]  # an importer
    code = f"source {script}; complete -C 'fclocal tools '; complete -C 'fclocal chat --missing '"
    variables = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([fish, "-N", "-c", code], env=variables, capture_output=True, text=True, check=True)
    offered = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert {"list", "check", "run", "ask", "warn", "off"} <= set(offered)
    assert "serve" not in offered


def test_desktop_file_is_valid() -> None:
    subprocess.run([needs("desktop-file-validate"), str(LINUX / "fclocal.desktop")], check=True)


def test_unit_is_valid_and_hardened(tmp_path: Path) -> None:
    text = (LINUX / "fclocal.service").read_text(encoding="utf-8")
    for line in (
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateUsers=yes",
        "ExecStartPre=+/usr/bin/mkdir -p %h/.local/share/fclocal",
        "ReadWritePaths=%h/.local/share/fclocal",
        "Restart=on-failure",
        "ExecStart=/usr/bin/fclocal serve",
    ):
        assert line in text.splitlines()
    unit = tmp_path / "fclocal.service"
    unit.write_text(text.replace("/usr/bin/fclocal", "/bin/true"), encoding="utf-8")
    analyze = needs("systemd-analyze")
    variables = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    words = [analyze, "verify", "--user", "--man=no", str(unit)]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_package_depends_on_what_the_app_asks_for(
    module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("readelf")
    deb = module("deb")  # type: ignore[operator]  # an importer
    shutil.copy(needs("true"), tmp_path / "fclocal")
    (tmp_path / "notes.txt").write_text("no program", encoding="utf-8")
    assert re.fullmatch(r"libc6 \(>= 2\.\d+\)", deb.depends(tmp_path))
    monkeypatch.setattr(deb, "PACKAGES", {"libz": "zlib1g"})
    with pytest.raises(deb.source.Refused, match=r"asks for .*libc\.so\.6"):
        deb.depends(tmp_path)
    (tmp_path / "_internal").mkdir()
    (tmp_path / "fclocal").rename(tmp_path / "_internal/program")
    shutil.copy(tmp_path / "_internal/program", tmp_path / "_internal/libc.so.6")
    assert deb.depends(tmp_path) == ""


@pytest.mark.parametrize("path", sorted((PACKAGING / "macos").glob("*.plist")), ids=lambda path: path.name)
def test_property_lists_can_be_read(path: Path) -> None:
    with path.open("rb") as file:
        assert plistlib.load(file)
