from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fclocal.tools.files import MAX_READ, MAX_SAVE, delete_files, list_files, read_file, save_chat
from fclocal.tools.folders import ANCHORED, FileRefused, Folders

SECRET = "the secret outside"
WAYS = [pytest.param(True, marks=pytest.mark.skipif(not ANCHORED, reason="no dir_fd here")), False]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A root with files, links that lead out of it, and a secret beside it."""
    for name in ("config", "data", "cache"):
        monkeypatch.setenv(f"FCLOCAL_{name.upper()}", str(tmp_path / "root" / f"own-{name}"))
        (tmp_path / "root" / f"own-{name}").mkdir(parents=True)
    root = tmp_path / "root"
    outside = tmp_path / "root-evil"
    (root / "notes").mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    (root / "a.txt").write_text("plain")
    (root / "notes" / "b.txt").write_text("below")
    (root / ".env").write_text(SECRET)
    (root / ".hidden").mkdir()
    (root / ".hidden" / "c.txt").write_text(SECRET)
    (root / "own-config" / "config.toml").write_text(SECRET)
    (root / "file-link").symlink_to(outside / "secret.txt")
    (root / "folder-link").symlink_to(outside)
    (root / "inner-link").symlink_to(root / "a.txt")
    (root / "loop").symlink_to(root / "loop")
    yield root
    assert (outside / "secret.txt").read_text() == SECRET
    assert [entry.name for entry in outside.iterdir()] == ["secret.txt"]


@pytest.fixture(params=WAYS, ids=["anchored", "rechecked"])
def folders(root: Path, request: pytest.FixtureRequest) -> Folders:
    return Folders((root,), anchored=request.param)


ESCAPES = [
    "../root-evil/secret.txt",
    "notes/../../root-evil/secret.txt",
    "notes/../a.txt",
    "..",
    "./../root-evil/secret.txt",
    "//root-evil/secret.txt",
    "/etc/passwd",
    "~/secret.txt",
    "file-link",
    "folder-link/secret.txt",
    "folder-link/../a.txt",
    "inner-link",
    "loop",
    "loop/a.txt",
    ".env",
    ".hidden/c.txt",
    "notes/../.env",
    "own-config/config.toml",
    "a.txt/../../root-evil/secret.txt",
    "a.txt\0.png",
    "notes\\..\\..\\root-evil\\secret.txt",
    "file:///etc/passwd",
    "x" * 300,
    "",
    ".",
    "notes",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out(folders: Folders, root: Path, path: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read_file(folders, path)
    assert SECRET not in str(refused.value)
    with pytest.raises(FileRefused):
        delete_files(folders, [path])
    assert (root / ".env").exists() and (root / "file-link").is_symlink() and (root / "a.txt").exists()


@pytest.mark.parametrize("path", ["..", "folder-link", ".hidden", "own-config", "/etc", "notes/..", "a.txt", "nothing"])
def test_no_folder_outside_is_listed(folders: Folders, path: str) -> None:
    with pytest.raises(FileRefused):
        list_files(folders, path)


@pytest.mark.parametrize(
    "name", ["../x", "folder-link/x", ".x", "/tmp/x", "own-data/x", "", "notes/", "nothing/x", "~/x"]
)
def test_nothing_is_saved_outside(folders: Folders, root: Path, name: str) -> None:
    before = sorted(root.rglob("*"))
    with pytest.raises(FileRefused):
        save_chat(folders, name, "", "text")
    assert sorted(root.rglob("*")) == before


def test_reading_and_listing(folders: Folders, root: Path) -> None:
    assert read_file(folders, "a.txt") == "plain"
    assert read_file(folders, "./notes/b.txt") == "below"
    assert read_file(folders, str(root / "notes" / "b.txt")) == "below"
    assert list_files(folders, ".") == list_files(folders, str(root)) == list_files(folders, "")
    assert list_files(folders, ".") == ["a.txt", "notes/", "own-cache/", "own-config/", "own-data/"]
    assert list_files(folders, "notes/") == ["b.txt"]


def test_a_root_may_be_named_through_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    folders = Folders((tmp_path / "alias",))
    assert read_file(folders, "a.txt") == read_file(folders, str(tmp_path / "alias" / "a.txt")) == "plain"


def test_several_roots_and_the_current_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_file(Folders((root / "notes", root)), str(root / "a.txt")) == "plain"
    monkeypatch.chdir(root / "notes")
    assert read_file(Folders(), "b.txt") == "below"
    with pytest.raises(FileRefused, match="outside"):
        read_file(Folders(), str(root / "a.txt"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("grün".encode(), "grün"),
        (b"\xef\xbb\xbfmark", "mark"),
        ("grün".encode("utf-16"), "grün"),
        (b"", ""),
        (b"\x1b]0;x\x07", "\x1b]0;x\x07"),
    ],
)
def test_texts(folders: Folders, root: Path, content: bytes, text: str) -> None:
    (root / "text").write_bytes(content)
    assert read_file(folders, "text") == text


def test_what_is_no_text_is_described(folders: Folders, root: Path) -> None:
    (root / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (640).to_bytes(4, "big") + (480).to_bytes(4, "big"))
    with pytest.raises(FileRefused, match="a PNG image, 640 x 480, 24 bytes"):
        read_file(folders, "a.png")
    (root / "latin").write_bytes("grün".encode("latin-1"))
    with pytest.raises(FileRefused, match="no text: binary data, 4 bytes"):
        read_file(folders, "latin")


def test_a_file_that_is_too_large_is_refused(folders: Folders, root: Path) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(MAX_READ + 1)
    with pytest.raises(FileRefused, match="10,485,761 bytes"):
        read_file(folders, "large")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(folders: Folders, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(FileRefused, match="not a regular file"):
        read_file(folders, "pipe")


def test_saving_never_overwrites(folders: Folders, root: Path) -> None:
    assert save_chat(folders, "talk", "About cats", "Meow") == "talk.txt"
    assert save_chat(folders, "talk", "", "Purr") == "talk-2.txt"
    assert save_chat(folders, "talk.txt", "", "Hiss\n") == "talk-3.txt"
    assert save_chat(folders, "notes/x.md", "", "y") == "notes/x.md"
    assert (root / "talk.txt").read_text() == "About cats\n\nMeow\n"
    assert (root / "talk-2.txt").read_text() == "Purr\n"
    assert (root / "talk-3.txt").read_text() == "Hiss\n"
    assert stat.S_IMODE((root / "talk.txt").stat().st_mode) == 0o600


def test_saving_over_a_link_makes_a_new_file(folders: Folders, root: Path, tmp_path: Path) -> None:
    (root / "trap.txt").symlink_to(tmp_path / "root-evil" / "secret.txt")
    assert save_chat(folders, "trap", "", "text") == "trap-2.txt"


def test_too_much_text_is_not_saved(folders: Folders, root: Path) -> None:
    with pytest.raises(FileRefused, match="at most"):
        save_chat(folders, "talk", "", "x" * (MAX_SAVE + 1))
    assert not (root / "talk.txt").exists()


def test_deleting_says_what_went_and_what_stayed(folders: Folders, root: Path) -> None:
    answer = delete_files(folders, ["a.txt", "nothing.txt", "file-link", "notes", "a.txt"])
    assert answer["deleted"] == ["a.txt"]
    kept = answer["not_deleted"]
    assert isinstance(kept, dict) and set(kept) == {"nothing.txt", "file-link", "notes"}
    assert not (root / "a.txt").exists() and (root / "notes" / "b.txt").exists()


def test_deleting_too_many_or_nothing_is_refused(folders: Folders, root: Path) -> None:
    with pytest.raises(FileRefused, match="Nothing was deleted"):
        delete_files(folders, [f"{n}.txt" for n in range(101)])
    with pytest.raises(FileRefused, match=r"There is no 'nothing.txt'"):
        delete_files(folders, ["nothing.txt"])
    with pytest.raises(FileRefused, match="Nothing was deleted"):
        delete_files(folders, [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    parts=st.lists(
        st.sampled_from(
            [
                "..",
                ".",
                "notes",
                "a.txt",
                "folder-link",
                "file-link",
                "/",
                "root-evil",
                "secret.txt",
                "~",
                "",
                "\\",
                "\0",
                "own-config",
                "loop",
            ]
        ),
        max_size=8,
    ),
    joint=st.sampled_from(["/", "//", "/./", "\\"]),
)
def test_no_combination_of_steps_leads_out(folders: Folders, parts: list[str], joint: str) -> None:
    path = joint.join(parts)
    for use in (lambda: read_file(folders, path), lambda: "".join(list_files(folders, path))):
        with suppress(FileRefused):
            assert SECRET not in use() and "secret.txt" not in use()


@pytest.mark.skipif(not ANCHORED, reason="no dir_fd here")
def test_a_folder_swapped_for_a_link_while_reading_never_leads_out(root: Path, tmp_path: Path) -> None:
    """A thread swaps `swap` between a folder of our own and a link to the outside, as fast as it can."""
    folders = Folders((root,))
    mine, link, swap = root / "mine", root / "link", root / "swap"
    mine.mkdir()
    (mine / "secret.txt").write_text("inside")
    link.symlink_to(tmp_path / "root-evil")
    done = threading.Event()

    def swapping() -> None:
        while not done.is_set():
            mine.rename(swap)
            swap.rename(mine)
            link.rename(swap)
            swap.rename(link)

    swapper = threading.Thread(target=swapping)
    swapper.start()
    seen: set[str] = set()
    try:
        for turn in range(50_000):
            if turn > 3000 and len(seen) > 1:
                break
            try:
                seen.add(read_file(folders, "swap/secret.txt"))
            except FileRefused:
                seen.add("refused")
    finally:
        done.set()
        swapper.join()
    assert seen == {"inside", "refused"}
