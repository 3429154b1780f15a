"""The .deb of the built app, in dist/: `python deb.py`. Needs dpkg-deb and readelf; same app, same bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import completions
import man
import pages

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "packaging" / "app"))
import pack  # noqa: E402  # its folder is no package
from pack import source  # noqa: E402

# Every library that the app asks its system for, and the package that has it.
LIBC6 = ("ld-linux-x86-64", "libc", "libdl", "libm", "libpthread", "libresolv", "librt", "libutil")
PACKAGES = {**dict.fromkeys(LIBC6, "libc6"), "libz": "zlib1g"}
MAINTAINER = "fclocal maintainers <fclocal@users.noreply.github.com>"
CONTROL = """\
Package: fclocal
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {kilobytes}
Depends: {depends}
Section: utils
Priority: optional
Homepage: https://github.com/fclocal/fclocal
Description: function calls you can trust from local GGUF models
 Ask a local model in plain words and get a function call that is valid
 against the function's schema, with a receipt of what was enforced and
 where each argument came from. Works offline with a small built-in model;
 llama.cpp and everything else that it needs is inside.
"""
CHANGELOG = """\
fclocal ({version}) unstable; urgency=medium

  * What changed is in /usr/share/doc/fclocal/CHANGELOG.md.gz.

 -- {maintainer}  {date}
"""


def main() -> None:
    """Build the package and print its name and size."""
    pack.check(pack.APP)
    architecture = _output("dpkg", "--print-architecture")
    target = ROOT / "dist" / f"fclocal_{source.version()}_{architecture}.deb"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "fclocal"
        fill(tree)
        control(tree, architecture)
        settle(tree)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(pack.moment())}
        words = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(target)]
        subprocess.run(words, env=environment, stdout=subprocess.DEVNULL, check=True)
    print(f"{target.relative_to(ROOT)}: {pack.size(target) / 1e6:.1f} MB")


def fill(tree: Path) -> None:
    """Put everything under `tree` where it lies once installed."""
    shutil.copytree(pack.APP, tree / "usr/lib/fclocal", symlinks=True)
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/fclocal").symlink_to("../lib/fclocal/fclocal")
    for name, folder in {
        "fclocal.desktop": "usr/share/applications",
        "fclocal.svg": "usr/share/icons/hicolor/scalable/apps",
        "fclocal.service": "usr/lib/systemd/user",
        "copyright": "usr/share/doc/fclocal",
    }.items():
        _write(tree / folder / name, (HERE / name).read_text(encoding="utf-8"))
    _write(tree / "usr/share/lintian/overrides/fclocal", (HERE / "lintian-overrides").read_text(encoding="utf-8"))
    read = pages.read()
    _write(tree / "usr/share/bash-completion/completions/fclocal", completions.bash(read))
    _write(tree / "usr/share/zsh/vendor-completions/_fclocal", completions.zsh(read))
    _write(tree / "usr/share/fish/vendor_completions.d/fclocal.fish", completions.fish(read))
    moment = datetime.fromtimestamp(pack.moment(), UTC)
    page = man.render(read, version=source.version(), date=f"{moment:%Y-%m-%d}")
    _compressed(tree / "usr/share/man/man1/fclocal.1", page)
    change = CHANGELOG.format(version=source.version(), maintainer=MAINTAINER, date=format_datetime(moment))
    _compressed(tree / "usr/share/doc/fclocal/changelog", change)
    _compressed(tree / "usr/share/doc/fclocal/CHANGELOG.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def control(tree: Path, architecture: str) -> None:
    """What dpkg is told, and the sums that `dpkg --verify` compares. There are no scripts: nothing is started, and
    removal has nothing to undo."""
    text = CONTROL.format(
        version=source.version(),
        architecture=architecture,
        maintainer=MAINTAINER,
        kilobytes=-(-pack.size(tree) // 1024),
        depends=depends(tree / "usr/lib/fclocal"),
    )
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink()
    ]
    _write(tree / "DEBIAN/control", text)
    _write(tree / "DEBIAN/md5sums", "".join(sums))


def depends(app: Path) -> str:
    """The packages whose libraries the app asks for. Raises Refused for a library that is in none of them."""
    programs = [path for path in app.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    inside = {path.name for path in programs}
    asked = {name for path in programs for name in _asked(path) if path.parent == app or name not in inside}
    packages = {PACKAGES.get(name.partition(".so")[0], name) for name in asked}
    if unknown := sorted(packages - set(PACKAGES.values())):
        raise source.Refused(f"The app asks for {', '.join(unknown)}, which no package that it depends on has.")
    glibc = "{}.{}".format(*pack.glibc_floor(app))
    return ", ".join(f"{name} (>= {glibc})" if name == "libc6" else name for name in sorted(packages))


def _asked(program: Path) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.+)\]", _output("readelf", "--dynamic", "--wide", str(program)))


def settle(tree: Path) -> None:
    """One mode and one time for all files, whatever the umask."""
    for path in sorted(tree.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path == tree / "usr/lib/fclocal/fclocal"
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (pack.moment(),) * 2, follow_symlinks=False)
    tree.chmod(0o755)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _compressed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    try:
        main()
    except source.Refused as refusal:
        sys.exit(str(refusal))
