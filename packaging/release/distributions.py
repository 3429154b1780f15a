"""Build the sdist, and the wheel from it, out of the last commit, into dist/. `--check` builds again and compares.

The same commit gives the same bytes in any folder, under any umask and at any time: tools are pinned, times are those
of the commit, modes are normalised by hatchling.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import source
from source import Refused

DIST = source.ROOT / "dist"
CATALOG = "models.toml"


def names() -> tuple[str, str]:
    """The wheel's and the sdist's file name."""
    version = source.version()
    return f"fclocal-{version}-py3-none-any.whl", f"fclocal-{version}.tar.gz"


def build(target: Path, *, wheel_from_sdist: bool = True) -> dict[str, str]:
    """Build both into `target`, and give the sha256 of each by name. Raises Refused when one is not complete."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if moment := source.epoch():
        environment["SOURCE_DATE_EPOCH"] = moment
    with tempfile.TemporaryDirectory() as scratch:
        tree = source.copy_to(Path(scratch))
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target)]
        command += [] if wheel_from_sdist else ["--sdist", "--wheel"]
        done = subprocess.run([*command, str(tree)], cwd=scratch, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise Refused(f"The build failed:\n{done.stdout.decode()}{done.stderr.decode()}")
    wheel, sdist = names()
    if source.has_git():
        complete(target / wheel, target / sdist, source.tracked())
    return {name: hashlib.sha256((target / name).read_bytes()).hexdigest() for name in (wheel, sdist)}


def complete(wheel: Path, sdist: Path, tracked: tuple[str, ...]) -> None:
    """Raise Refused unless the sdist holds exactly `tracked`, and the wheel the package and the catalog of it."""
    with tarfile.open(sdist) as archive:
        top = sdist.name.removesuffix(".tar.gz")
        found = {member.name.removeprefix(f"{top}/") for member in archive.getmembers() if member.isfile()}
    _same(sdist.name, found - {"PKG-INFO"}, set(tracked))
    with zipfile.ZipFile(wheel) as packed:
        found = {name for name in packed.namelist() if ".dist-info/" not in name}
    _same(wheel.name, found, {f"fclocal/{CATALOG}", *(name for name in tracked if name.startswith("fclocal/"))})


def twine(*files: Path) -> None:
    """Raise Refused when the index would refuse the metadata or could not render the README."""
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise Refused(done.stdout.decode() + done.stderr.decode())


def rebuild(built: dict[str, str]) -> None:
    """Build in another folder under another umask, the wheel without the sdist. Raises Refused when bytes differ."""
    with tempfile.TemporaryDirectory() as scratch:
        before = os.umask(0o077)
        try:
            again = build(Path(scratch), wheel_from_sdist=False)
        finally:
            os.umask(before)
    different = [name for name, digest in built.items() if again[name] != digest]
    if different:
        raise Refused(f"A second build gives other bytes: {', '.join(different)}.")


def _same(where: str, found: set[str], wanted: set[str]) -> None:
    missing, more = sorted(wanted - found), sorted(found - wanted)
    if missing or more:
        raise Refused(f"{where} lacks {missing or 'nothing'} and has {more or 'nothing'} that is not of the source.")


def main() -> None:
    """Build, check the metadata, print names, sizes and sha256."""
    if source.has_git() and (changed := source.uncommitted()):
        print(f"Not committed and not in it: {', '.join(name[3:] for name in changed)}.", file=sys.stderr)
    DIST.mkdir(exist_ok=True)
    built = build(DIST)
    twine(*(DIST / name for name in built))
    for name, digest in built.items():
        print(f"{digest}  {(DIST / name).stat().st_size:>9,} bytes  dist/{name}")
    if "--check" in sys.argv[1:]:
        rebuild(built)
        print("A second build in another folder and under another umask gives the same bytes.")


if __name__ == "__main__":
    try:
        main()
    except Refused as refusal:
        sys.exit(str(refusal))
