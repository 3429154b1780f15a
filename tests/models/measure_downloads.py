"""Figures for downloads that are too slow for every test run: `python -m tests.models.measure_downloads [MB]`.

Prints bytes received / size after 20 cuts and after 20 resets, downloads made by 8 processes that pull at once (with
locks, and with a flock that does nothing), and orphan bytes after 100 kills.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from fclocal.models.cache import PART, repo_folder
from tests.fake_hub import CHUNK, FakeHub, Fault, serve
from tests.gguf_bytes import gguf

REPO = "maker/big-GGUF"
NAME = "big-Q8_0.gguf"
PULL = """
import sys
from fclocal.models.catalog import load_catalog
from fclocal.models.fit import Machine
from fclocal.models.hub import Hub
from fclocal.models.pull import plan_pull, pull
from fclocal.models.store import Store
store, hub = Store(), Hub()
planned = plan_pull(sys.argv[1], load_catalog(), store, hub, Machine(1 << 40))
fetched = 0
def report(progress):
    global fetched
    fetched = max(fetched, progress.fetched)
pull(planned, store, hub, report=report)
print(fetched)
"""
NO_FLOCK = "int flock(int fd, int operation) { (void)fd; (void)operation; return 0; }\n"


def model(megabytes: int) -> bytes:
    noise = random.Random(3).randbytes(1 << 20)
    return gguf(tensors={"blk.0.ffn_up.weight": ((1024, megabytes * 256), 0)}, fill=noise)


def environment(fake: FakeHub, home: Path) -> dict[str, str]:
    names = {"CONFIG": "c", "DATA": "d", "CACHE": "k"}
    own = {f"FCLOCAL_{name}": str(home / folder) for name, folder in names.items()}
    return os.environ | own | {"HF_HUB_CACHE": str(home / "hub"), "HF_ENDPOINT": fake.endpoint}


def pull(fake: FakeHub, home: Path, **extra: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", PULL, REPO]
    return subprocess.Popen(words, env=environment(fake, home) | extra, stdout=subprocess.PIPE)


def result(home: Path) -> tuple[bool, int]:
    """(is the model whole, bytes of parts)."""
    folder = repo_folder(REPO, root=home / "hub")
    placed = list(folder.path.glob(f"snapshots/*/{NAME}"))
    parts = sum(part.stat().st_size for part in folder.blobs.glob(f"*{PART}"))
    return bool(placed and placed[0].read_bytes() == DATA), parts


def cuts(fake: FakeHub, home: Path, *, reset: bool = False) -> str:
    chance = random.Random(5)
    faults = [Fault(cut=chance.randrange(1, len(DATA) // 22), reset=reset) for _ in range(20)]
    fake.fail(NAME, Fault(), *faults)
    begin = time.monotonic()
    child = pull(fake, home)
    fetched = int(child.communicate()[0])
    whole, parts = result(home)
    kind = "resets" if reset else "cuts"
    outcome = f"exit {child.returncode}, whole {whole}, parts {parts}, {time.monotonic() - begin:.1f} s"
    return f"20 {kind} of {len(DATA) >> 20} MB: received/size {fetched / len(DATA):.4f}, {outcome}"


def together(fake: FakeHub, home: Path, **extra: str) -> str:
    children = [pull(fake, home, **extra) for _ in range(8)]
    codes = [child.communicate() and child.returncode for child in children]
    downloads = [request for request in fake.gets(NAME) if "range" not in request.headers]
    whole, parts = result(home)
    return f"8 pulls at once: exits {codes}, downloads {len(downloads)}, whole {whole}, parts {parts}"


def kills(fake: FakeHub, home: Path) -> str:
    chance = random.Random(9)
    finished = 0
    for _ in range(100):
        child = pull(fake, home)
        try:
            child.wait(chance.uniform(0.9, 2.2))
            finished += 1
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if finished:
            shutil.rmtree(home)
            finished = 0
    child = pull(fake, home)
    child.communicate()
    whole, parts = result(home)
    blobs = list(repo_folder(REPO, root=home / "hub").blobs.iterdir())
    return f"100 kills: exit {child.returncode}, whole {whole}, blobs {len(blobs)}, orphan bytes {parts}"


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="downloads-"))
    try:
        for number, measure in enumerate((cuts, partial(cuts, reset=True), together, kills)):
            with serve() as fake:
                fake.add(REPO).files[NAME] = DATA
                print(measure(fake, folder / str(number)), flush=True)
        library = folder / "noflock.so"
        source = folder / "noflock.c"
        source.write_text(NO_FLOCK)
        if shutil.which("cc") and not subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source]).returncode:
            with serve() as fake:
                fake.add(REPO).files[NAME] = DATA
                print("without locks,", together(fake, folder / "n", LD_PRELOAD=str(library)), flush=True)
    finally:
        shutil.rmtree(folder)


DATA = model(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

if __name__ == "__main__":
    print(f"chunks of {CHUNK >> 10} kB")
    main()
