"""The index and the listing, verifying, repairing and removing."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from fclocal.errors import ModelMissing
from fclocal.models.cache import PART, cache_root, repo_folder
from fclocal.models.catalog import load_catalog
from fclocal.models.fit import Machine
from fclocal.models.hub import Hub
from fclocal.models.keep import (
    clear_unfinished,
    discard,
    find_installed,
    plan_removal,
    remove,
    unfinished,
    verify,
)
from fclocal.models.listing import catalog_rows, list_rows
from fclocal.models.progress import Progress
from fclocal.models.pull import plan_pull, pull
from fclocal.models.store import Installed, Store
from tests.fake_hub import FakeHub
from tests.gguf_bytes import gguf

REPO = "Qwen/Qwen3-4B-GGUF"


def quiet(progress: Progress) -> None:
    pass


@pytest.fixture
def pulled(fake: FakeHub, hub: Hub, store: Store, machine: Machine, model: bytes) -> Installed:
    fake.add(REPO).files |= {"Qwen3-4B-Q4_K_M.gguf": model, "Qwen3-4B-Q8_0.gguf": gguf()}
    return pull(plan_pull("qwen3-4b", load_catalog(), store, hub, machine), store, hub, report=quiet)


def rewrite(path: Path, data: bytes) -> None:
    path.resolve().write_bytes(data)


def test_hash_is_remembered_until_the_file_changes(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"one")
    calls: list[int] = []
    first = store.file_sha256(path, progress=lambda done, total: calls.append(done))
    assert first == hashlib.sha256(b"one").hexdigest()
    assert store.file_sha256(path, progress=lambda done, total: calls.append(done)) == first
    assert calls == [3]
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert store.known_sha256(path) is None
    assert store.file_sha256(path) == hashlib.sha256(b"two").hexdigest()
    with pytest.raises(ModelMissing):
        store.file_sha256(tmp_path / "nothing")


def test_broken_index_is_set_aside(store: Store, tmp_path: Path) -> None:
    store.data.mkdir(parents=True)
    store.index.write_bytes(b"this is no database" * 100)
    path = tmp_path / "x"
    path.write_bytes(b"x")
    store.file_sha256(path)
    assert store.known_sha256(path) is not None
    assert store.index.with_suffix(".broken").exists()


WRITER = """
import sys
from pathlib import Path
from fclocal.models.store import Store
store, path = Store(), Path(sys.argv[1])
print("ready", flush=True)
while True:
    store.mark_verified(path, "a" * 64)
    store.mark_used(path)
"""


def test_index_survives_kills_at_any_moment(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    store.mark_verified(path, "a" * 64)
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
        child.wait()
        child.stdout.close()
        assert store.known_sha256(path) == "a" * 64
    database = sqlite3.connect(store.index)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_listing_shows_ours_and_others(store: Store, pulled: Installed) -> None:
    other = repo_folder("other/tool-GGUF", root=store.root).snapshot("e" * 40)
    other.mkdir(parents=True)
    (other / "tool.Q8_0.gguf").write_bytes(gguf())
    store.own_folder.mkdir(parents=True)
    (store.own_folder / "mine-Q4_K_M.gguf").write_bytes(gguf())
    store.mark_used(pulled.path)
    rows = {row.name: row for row in list_rows(load_catalog(), store)}
    assert rows["qwen3-4b"].state == "ready"
    assert rows["qwen3-4b"].model.used
    assert rows["other/tool-GGUF"].state == "unverified"
    assert not rows["other/tool-GGUF"].model.ours
    assert rows["mine-Q4_K_M"].model.repo is None
    catalog = {row.entry.id: row for row in catalog_rows(load_catalog(), store, Machine(8 << 30))}
    assert catalog["qwen3-4b"].installed == ("Q4_K_M",)
    assert catalog["trelis-llama-70b"].fits is False
    assert catalog["starter"].access == "built in"


def test_verify_finds_right_wrong_and_cut_files(store: Store, pulled: Installed, model: bytes) -> None:
    assert [check.verdict for check in verify(pulled, store, report=quiet)] == ["right"]
    rewrite(pulled.path, model[:-1] + b"!")
    check = verify(pulled, store, report=quiet)[0]
    assert check.verdict == "wrong"
    assert check.expected == hashlib.sha256(model).hexdigest()
    assert store.known_sha256(pulled.path) is None
    rewrite(pulled.path, model[:-9])
    assert "cut off" in verify(pulled, store, report=quiet)[0].sentence


def test_wrong_files_are_repaired_by_a_pull(
    store: Store, pulled: Installed, hub: Hub, machine: Machine, model: bytes
) -> None:
    rewrite(pulled.path, model[:-1] + b"!")
    check = verify(pulled, store, report=quiet)[0]
    planned = plan_pull(f"{REPO}@{pulled.commit}:{pulled.path.name}", load_catalog(), store, hub, machine)
    discard(check)
    assert pull(planned, store, hub, report=quiet).path.read_bytes() == model


def test_remove_frees_what_nothing_else_names(
    store: Store, pulled: Installed, hub: Hub, machine: Machine, model: bytes
) -> None:
    eight = pull(plan_pull("qwen3-4b:Q8_0", load_catalog(), store, hub, machine), store, hub, report=quiet)
    plan = plan_removal(pulled, store)
    assert (plan.freed, plan.shared) == (len(model), False)
    assert remove(plan, store) == len(model)
    assert not pulled.path.exists()
    assert find_installed("qwen3-4b", load_catalog(), store)[0].path == eight.path
    assert find_installed("qwen3-4b", load_catalog(), store)[0].verified
    remove(plan_removal(eight, store), store)
    assert not repo_folder(REPO, root=store.root).path.exists()
    with pytest.raises(ModelMissing):
        find_installed("qwen3-4b", load_catalog(), store)


def test_remove_leaves_a_blob_that_another_commit_names(store: Store, pulled: Installed) -> None:
    folder = repo_folder(REPO, root=store.root)
    later = folder.snapshot("f" * 40)
    later.mkdir()
    (later / "Qwen3-4B-Q4_K_M.gguf").symlink_to(pulled.path.resolve())
    plan = plan_removal(pulled, store)
    assert (plan.blobs, plan.freed) == ((), 0)
    remove(plan, store)
    assert (later / "Qwen3-4B-Q4_K_M.gguf").exists()


def test_hard_links_are_followed_where_symlinks_do_not_exist(
    store: Store, hub: Hub, machine: Machine, fake: FakeHub, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: object) -> None:
        raise OSError(1, "no symlinks here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    fake.add(REPO).files["Qwen3-4B-Q4_K_M.gguf"] = model
    installed = pull(plan_pull("qwen3-4b", load_catalog(), store, hub, machine), store, hub, report=quiet)
    assert not installed.path.is_symlink()
    assert installed.verified
    assert [check.verdict for check in verify(installed, store, report=quiet)] == ["right"]
    assert remove(plan_removal(installed, store), store) == len(model)
    assert not repo_folder(REPO, root=store.root).path.exists()


def test_what_other_tools_put_there_is_marked(store: Store) -> None:
    other = repo_folder("other/tool-GGUF", root=store.root).snapshot("e" * 40)
    other.mkdir(parents=True)
    (other / "tool.Q8_0.gguf").write_bytes(gguf())
    (model,) = find_installed("other/tool-GGUF", load_catalog(), store)
    assert plan_removal(model, store).shared


def test_unfinished_downloads_are_found_and_cleared(store: Store) -> None:
    blobs = repo_folder("a/b", root=store.root).blobs
    blobs.mkdir(parents=True)
    (blobs / f"{'a' * 64}.x{PART}").write_bytes(b"12345")
    assert [(part.repo, part.size) for part in unfinished(store)] == [("a/b", 5)]
    assert clear_unfinished("a/b", store) == 5
    assert unfinished(store) == ()


def test_cache_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "b"))
    assert cache_root() == tmp_path / "b" / "hub"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert cache_root() == tmp_path / "c" / "huggingface" / "hub"
