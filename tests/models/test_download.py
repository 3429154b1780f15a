"""Downloads that break in every way, and what lies on the disk afterwards."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fclocal.errors import DiskError, FclocalError, ModelBroken, ModelMissing, NetworkError, Refused
from fclocal.models.cache import PART, RepoFolder, repo_folder
from fclocal.models.download import Fetch, fetch, place, reclaim, require_space
from fclocal.models.hub import Hub
from fclocal.models.progress import Progress
from fclocal.models.quants import RemoteFile
from tests.fake_hub import FakeHub, Fault, serve

REPO = "maker/tiny-GGUF"
NAME = "tiny-Q4_K_M.gguf"


@pytest.fixture
def job(fake: FakeHub, hub: Hub, model: bytes, tmp_path: Path) -> Fetch:
    fake.add(REPO).files[NAME] = model
    return make_job(hub, model)


def make_job(hub: Hub, data: bytes, *, name: str = NAME, report: Callable[[Progress], None] | None = None) -> Fetch:
    file = RemoteFile(name, len(data), hashlib.sha256(data).hexdigest())
    return Fetch(hub, repo_folder(REPO), "c" * 40, file, report or (lambda progress: None), sleep=lambda seconds: None)


def parts(folder: RepoFolder) -> list[Path]:
    return list(folder.blobs.glob(f"*{PART}"))


def assert_only_partial(job: Fetch) -> None:
    assert not job.blob.exists()


def test_whole_file_arrives_under_its_hash(job: Fetch, model: bytes) -> None:
    assert fetch(job).read_bytes() == model
    assert job.blob.name == hashlib.sha256(model).hexdigest()
    assert parts(job.folder) == []


@pytest.mark.parametrize("cut", [0.01, 0.5, 0.99])
def test_cut_lines_are_resumed(job: Fetch, fake: FakeHub, model: bytes, cut: float) -> None:
    at = int(len(model) * cut)
    fake.fail(NAME, Fault(cut=at))
    fetch(job)
    assert job.blob.read_bytes() == model
    ranges = [request.headers.get("range") for request in fake.gets(NAME)]
    assert ranges == [None, f"bytes={at}-"]
    assert fake.fetched == len(model)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut=100_000, reset=True),
        Fault(cut=100_000, stall=True),
        Fault(status=503),
        Fault(status=429, retry_after=1),
        Fault(status=500),
        Fault(cut=0),
    ],
    ids=["reset", "stall", "503", "429", "500", "nothing"],
)
def test_passing_faults_are_outlived(job: Fetch, model: bytes, fake: FakeHub, fault: Fault) -> None:
    job = replace(job, hub=Hub(endpoint=fake.endpoint, timeout=0.5))
    fake.fail(NAME, Fault(cut=50_000), fault)
    assert fetch(job).read_bytes() == model


def test_server_that_stays_broken_is_given_up_and_the_part_is_kept(job: Fetch, fake: FakeHub) -> None:
    fake.fail(NAME, Fault(cut=500_000), *[Fault(status=503)] * 20)
    with pytest.raises(NetworkError, match="503"):
        fetch(job)
    assert_only_partial(job)
    assert [part.stat().st_size for part in parts(job.folder)] == [500_000]


def test_next_call_goes_on_where_the_last_one_stopped(job: Fetch, fake: FakeHub, model: bytes) -> None:
    fake.fail(NAME, Fault(cut=1_000_000), *[Fault(status=503)] * 20)
    with pytest.raises(NetworkError):
        fetch(job)
    fake.faults.clear()
    fetch(job)
    assert fake.fetched == len(model)


def test_twenty_cuts_cost_at_most_five_percent(job: Fetch, fake: FakeHub, model: bytes) -> None:
    fake.fail(NAME, *[Fault(cut=len(model) // 22)] * 20)
    fetch(job)
    assert fake.fetched / len(model) <= 1.05


def test_server_without_ranges_starts_again(job: Fetch, fake: FakeHub, model: bytes) -> None:
    fake.fail(NAME, Fault(cut=900_000), Fault(ignore_range=True))
    assert fetch(job).read_bytes() == model


def test_change_on_the_server_starts_again(job: Fetch, fake: FakeHub, model: bytes) -> None:
    fake.fail(NAME, Fault(cut=900_000, etag="old"))
    assert fetch(job).read_bytes() == model
    assert fake.gets(NAME)[1].headers["if-range"] == '"old"'


def test_part_that_was_spoiled_on_disk_is_fetched_again(job: Fetch, fake: FakeHub, model: bytes) -> None:
    fake.fail(NAME, Fault(cut=1_000_000), *[Fault(status=503)] * 20)
    with pytest.raises(NetworkError):
        fetch(job)
    parts(job.folder)[0].write_bytes(b"\x00" * 1_000_000)
    fake.faults.clear()
    assert fetch(job).read_bytes() == model


def test_part_longer_than_the_file_is_dropped(job: Fetch, model: bytes) -> None:
    job.folder.blobs.mkdir(parents=True)
    (job.folder.blobs / f"{job.hash_name}.0000{PART}").write_bytes(b"x" * (len(model) + 5))
    assert fetch(job).read_bytes() == model


def test_wrong_bytes_of_the_right_size_are_refused(job: Fetch, fake: FakeHub) -> None:
    fake.fail(NAME, *[Fault(flip=777_777)] * 4)
    with pytest.raises(ModelBroken, match="other bytes"):
        fetch(job)
    assert_only_partial(job)
    assert parts(job.folder) == []


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault(html=True), NetworkError, "web page"),
        (Fault(length=10), NetworkError, "declares"),
        (Fault(status=403, code="GatedRepo"), Refused, "gated"),
        (Fault(status=403), Refused, "denied"),
        (Fault(status=401), ModelMissing, "private"),
        (Fault(status=404, code="EntryNotFound"), ModelMissing, "no such file"),
        (Fault(status=404), ModelMissing, "Hub has no"),
        (Fault(status=418), NetworkError, "418"),
    ],
)
def test_lasting_faults_are_named_at_once(
    job: Fetch, fake: FakeHub, fault: Fault, error: type[FclocalError], words: str
) -> None:
    fake.fail(NAME, *[fault] * 3)
    with pytest.raises(error, match=words):
        fetch(job)
    assert len(fake.gets(NAME)) == 1
    assert_only_partial(job)


def test_416_with_a_whole_part_is_checked_and_used(job: Fetch, model: bytes) -> None:
    job.folder.blobs.mkdir(parents=True)
    (job.folder.blobs / f"{job.hash_name}.0000{PART}").write_bytes(model)
    assert fetch(job).read_bytes() == model


def test_416_in_the_middle_starts_again(job: Fetch, fake: FakeHub, model: bytes) -> None:
    fake.fail(NAME, Fault(cut=400_000), Fault(status=416))
    assert fetch(job).read_bytes() == model


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"<!doctype html>" * 999, "begins with"), (b"GGUF\x01\x00\x00\x00" * 999, "version 1")],
)
def test_files_that_are_no_gguf_stop_after_their_first_bytes(fake: FakeHub, hub: Hub, data: bytes, words: str) -> None:
    fake.add(REPO).files[NAME] = data
    job = make_job(hub, data)
    with pytest.raises(ModelBroken, match=words):
        fetch(job)
    assert list(job.folder.blobs.iterdir()) == []


def test_token_is_not_sent_to_another_origin(model: bytes) -> None:
    with serve(cdn=True) as fake:
        fake.add(REPO).files[NAME] = model
        assert fake.cdn is not None
        fetch(make_job(Hub(endpoint=fake.endpoint), model))
        assert fake.gets(NAME)[0].headers["authorization"] == "Bearer hf_canary"
        assert all("hf_canary" not in str(request.headers) for request in fake.cdn.log)
        assert fake.cdn.fetched == len(model)


def test_small_files_are_verified_by_gits_hash(fake: FakeHub, hub: Hub) -> None:
    repo = fake.add(REPO)
    repo.files["config.json"], repo.small = b'{"a": 1}', frozenset({"config.json"})
    file = hub.listing(REPO).file("config.json")
    assert file is not None
    job = Fetch(hub, repo_folder(REPO), repo.commit, file, lambda progress: None)
    assert fetch(job).read_bytes() == b'{"a": 1}'
    assert file.sha256 is None


def test_blob_that_is_there_is_hashed_and_not_fetched(job: Fetch, fake: FakeHub, model: bytes) -> None:
    job.folder.blobs.mkdir(parents=True)
    job.blob.write_bytes(model)
    seen: list[str] = []
    fetch(replace(job, report=lambda progress: seen.append(progress.phase)))
    assert fake.gets(NAME) == []
    assert "checking" in seen


def test_blob_with_wrong_bytes_is_replaced(job: Fetch, model: bytes) -> None:
    job.folder.blobs.mkdir(parents=True)
    job.blob.write_bytes(b"\x00" * len(model))
    assert fetch(job).read_bytes() == model


def test_stopping_keeps_the_part(job: Fetch, fake: FakeHub, model: bytes) -> None:
    def stop(progress: Progress) -> None:
        if progress.done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(replace(job, report=stop))
    kept = parts(job.folder)[0].stat().st_size
    assert kept > 1_000_000
    assert fetch(job).read_bytes() == model
    assert fake.gets(NAME)[1].headers["range"] == f"bytes={kept}-"


def test_eight_pulls_at_once_download_once(job: Fetch, fake: FakeHub, model: bytes) -> None:
    fake.gate = threading.Event()
    waiting = threading.Barrier(9, timeout=20)
    failures: list[BaseException] = []

    def pull() -> None:
        told: list[str] = []

        def report(progress: Progress) -> None:
            told.append(progress.phase)

        waiting.wait()
        try:
            fetch(replace(job, report=report))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=pull) for _ in range(8)]
    for thread in threads:
        thread.start()
    waiting.wait()
    fake.gate.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(fake.gets(NAME)) == 1
    assert job.blob.read_bytes() == model


def test_two_writers_without_locks_do_not_spoil_the_file(
    job: Fetch, fake: FakeHub, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fclocal.models.download.FileLock", _NoLock)
    fake.fail(NAME, *[Fault(cut=300_000)] * 6)
    failures: list[BaseException] = []

    def pull() -> None:
        try:
            assert fetch(job).read_bytes() == model
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert job.blob.read_bytes() == model


class _NoLock:
    def __init__(self, path: Path) -> None:
        pass

    def acquire(self, timeout: float, poll_interval: float) -> None:
        pass

    def release(self) -> None:
        pass


KILLED = """
import sys
from fclocal.models.cache import repo_folder
from fclocal.models.download import Fetch, fetch
from fclocal.models.hub import Hub
from fclocal.models.quants import RemoteFile
endpoint, name, size, sha = sys.argv[1:]
file = RemoteFile(name, int(size), sha)
def report(progress):
    print(progress.done, flush=True)
fetch(Fetch(Hub(endpoint=endpoint), repo_folder("maker/tiny-GGUF"), "c" * 40, file, report))
"""


def test_kill_leaves_one_part_that_the_next_start_uses(job: Fetch, fake: FakeHub, model: bytes) -> None:
    for done in (500_000, 1_500_000):
        already = sum(part.stat().st_size for part in parts(job.folder))
        fake.fail(NAME, Fault(cut=done - already, stall=True))
        arguments = [fake.endpoint, NAME, str(len(model)), job.hash_name]
        process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= done:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert len(parts(job.folder)) == 1
        assert_only_partial(job)
    assert fetch(job).read_bytes() == model
    assert parts(job.folder) == []
    assert fake.fetched <= len(model) * 1.05


def test_useless_parts_are_reclaimed(job: Fetch) -> None:
    fetch(job)
    orphan = job.folder.blobs / f"{job.hash_name}.dead{PART}"
    orphan.write_bytes(b"x" * 1000)
    other = "f" * 64
    for size in (10, 20):
        (job.folder.blobs / f"{other}.{size}{PART}").write_bytes(b"x" * size)
    assert reclaim(job.folder) == 1010
    assert [part.stat().st_size for part in parts(job.folder)] == [20]


def test_full_disk_is_said_before_and_leaves_nothing(job: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DiskError, match="free"):
        require_space(job.folder.path, 1 << 60, what="tiny")

    def full(self: object, size: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fclocal.models.download._Line._write", full)
    with pytest.raises(DiskError, match="full"):
        fetch(job)
    assert list(job.folder.blobs.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux")
def test_really_full_disk_leaves_no_bytes(job: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this container may not mount")
    try:
        job = replace(job, folder=repo_folder(REPO, root=disk))
        with pytest.raises(DiskError, match="free"):
            fetch(job)
        monkeypatch.setattr("fclocal.models.download.require_space", lambda *_, **__: None)
        with pytest.raises(DiskError, match="full"):
            fetch(job)
        assert list(job.folder.blobs.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_cache_that_cannot_be_written_is_said(hub: Hub, fake: FakeHub, model: bytes, tmp_path: Path) -> None:
    fake.add(REPO).files[NAME] = model
    (tmp_path / "hub").write_text("a file where the cache should be")
    with pytest.raises(DiskError, match="Cannot write"):
        fetch(make_job(hub, model))


def test_placed_file_is_a_link_that_other_tools_understand(job: Fetch, model: bytes) -> None:
    target = place(job.folder, job.commit, NAME, fetch(job), revision="main")
    assert target.read_bytes() == model
    assert (job.folder.refs / "main").read_text() == job.commit
    assert target.readlink() == Path("../../blobs") / job.hash_name
    assert place(job.folder, job.commit, NAME, job.blob, revision="main") == target
