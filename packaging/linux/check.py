"""Install the .deb in a bare Debian, use it, remove it, and compare every file: `python check.py`.

As root on Linux with debootstrap, which fetches the system once into build/debian; the rest happens offline.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BASE = Path(os.environ.get("DEBIAN_ROOT", ROOT / "build" / "debian"))
# What apt and dpkg write for any package, and what is no file of the system.
RECORDS = ("proc/", "tmp/", "var/lib/dpkg/", "var/lib/apt/", "var/cache/", "var/log/")
ASKED = ("chat", "What is 12 * (3 + 4)?")
USERS_OWN = "/root/.cache/huggingface/model.gguf"


def main() -> None:
    found = sorted((ROOT / "dist").glob("fclocal_*.deb"))
    if not found:
        sys.exit("There is no .deb in dist/. Try: make deb")
    if os.environ.get("FCLOCAL_ALONE") != "1":
        if not (BASE / "usr/bin/apt").exists():
            subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(BASE)], check=True)
        words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", sys.executable, *sys.argv]
        os.execvpe("unshare", words, {**os.environ, "FCLOCAL_ALONE": "1"})
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", str(BASE), str(root)], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
        try:
            check(root, found[-1])
        finally:
            subprocess.run(["umount", str(root / "proc")], check=True)


def check(root: Path, package: Path) -> None:
    """Everything, in the order in which a user would do it."""
    before = files(root)
    shutil.copy(package, root / "tmp")
    begun = time.monotonic()
    run(root, "apt-get", "install", "--yes", f"/tmp/{package.name}")
    installed = files(root)
    print(f"installed in {time.monotonic() - begun:.1f} s: {len(installed - before)} files and folders, all of them in")
    print("  " + "\n  ".join(sorted({"/".join(name.split("/")[:4]) for name in installed - before})))
    if gone := before - installed:
        sys.exit(f"Installing took away {sorted(gone)}.")
    if changed := run(root, "dpkg", "--verify", "fclocal"):
        sys.exit(f"dpkg does not find what it installed:\n{changed}")
    print("asked:", run(root, "fclocal", *ASKED).strip())
    used = files(root)
    print("made by using it:", ", ".join(sorted(used - installed)))
    (root / USERS_OWN[1:]).parent.mkdir(parents=True)
    (root / USERS_OWN[1:]).write_text("a model of the user's\n", encoding="utf-8")
    run(root, "apt-get", "remove", "--yes", "fclocal")
    left = files(root) - before
    own = {name for name in left if name.startswith("root/")}
    print("left after removal:", ", ".join(sorted(left)))
    if left - own or USERS_OWN[1:] not in own:
        sys.exit("Removal left something of the system's, or took something of the user's.")


def files(root: Path) -> set[str]:
    """Every file, link and folder but those of RECORDS."""
    names = (str(path.relative_to(root)) for path in root.rglob("*"))
    return {name for name in names if not name.startswith(RECORDS)}


def run(root: Path, *words: str) -> str:
    """Run a command in the root, end with what it said when it fails."""
    variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
    command = [shutil.which("chroot") or "chroot", str(root), *words]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
