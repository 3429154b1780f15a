"""The built app as a tarball in dist/: `python pack.py`. The same app gives the same bytes."""

from __future__ import annotations

import gzip
import platform
import re
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "packaging" / "release"))
import source  # noqa: E402  # its folder is no package

APP = ROOT / "build" / "app" / "fclocal"
UNWANTED = ("torch", "tkinter", "pytest", "pip", "test")


def tarball() -> Path:
    """Where the tarball of this version for this machine's kind belongs."""
    return ROOT / "dist" / f"fclocal-{source.version()}-{sys.platform}-{platform.machine()}.tar.gz"


def moment() -> int:
    """Unix seconds that every file gets: those of the last commit."""
    return int(source.epoch() or 0)


def check(app: Path) -> None:
    """Raise Refused unless the app holds llama.cpp with its CPU variants and nothing that it should not."""
    if not (app / "fclocal").exists():
        raise source.Refused("There is no app in build/app/fclocal. Try: make app")
    inside = app / "_internal"
    if len(list(inside.glob("llama_cpp/lib/*ggml-cpu-*"))) < 2:
        raise source.Refused("The app has no CPU variants of llama.cpp; it would run on few machines.")
    if found := [name for name in UNWANTED if (inside / name).exists()]:
        raise source.Refused(f"The app holds {', '.join(found)}.")


def glibc_floor(app: Path) -> tuple[int, int]:
    """The newest version of glibc's symbols that any library in the app asks for."""
    found = {
        (int(major), int(minor))
        for path in app.rglob("*")
        if path.is_file() and (content := path.read_bytes()).startswith(b"\x7fELF")
        for major, minor in re.findall(rb"\0GLIBC_(\d+)\.(\d+)", content)
    }
    return max(found, default=(0, 0))


def pack(app: Path, target: Path) -> None:
    """Write `app` as fclocal/ into `target`, owned by root, with one time for all files."""
    target.parent.mkdir(exist_ok=True)

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = moment()
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        archive.add(app, "fclocal", recursive=False, filter=plain)
        for path in sorted(app.rglob("*")):
            archive.add(path, str("fclocal" / path.relative_to(app)), recursive=False, filter=plain)


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def main() -> None:
    check(APP)
    target = tarball()
    pack(APP, target)
    floor = "needs glibc {}.{}".format(*glibc_floor(APP)) if sys.platform == "linux" else sys.platform
    print(f"{target.relative_to(ROOT)}: {size(target) / 1e6:.1f} MB, unpacked {size(APP) / 1e6:.1f} MB, {floor}")


if __name__ == "__main__":
    try:
        main()
    except source.Refused as refusal:
        sys.exit(str(refusal))
