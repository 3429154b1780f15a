"""Keep the installed llama-cpp-python as a wheel file, so that going back needs neither a compiler nor the network."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from fclocal import paths
from fclocal.builds.wheels import PROJECT
from fclocal.errors import DiskError, UsageError

FOLDER: Final = "builds"
_BLOCK: Final = 2**20
# What an installer adds to what the wheel held.
_ADDED: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


def kept_wheel() -> Path | None:
    """The wheel that was kept before the last exchange, if there is one."""
    found = sorted((paths.data_folder() / FOLDER).glob("*.whl"))
    return found[0] if found else None


def keep_installed(project: str = PROJECT) -> Path:
    """Write the installed build as a wheel and return it; one that was kept earlier is replaced.

    Raises UsageError when it is not installed from a wheel, DiskError when there is no room.
    """
    try:
        distribution = importlib.metadata.distribution(project)
    except importlib.metadata.PackageNotFoundError:
        raise UsageError(f"{project} is not installed, so there is nothing to keep.") from None
    wheel = distribution.read_text("WHEEL")
    if not wheel or not distribution.files:
        raise UsageError(f"{project} was not installed from a wheel, so it cannot be kept.")
    folder = paths.private_folder(paths.private_folder(paths.data_folder()) / FOLDER)
    target = folder / _file_name(distribution, wheel)
    partial = target.with_suffix(".partial")
    try:
        _write(distribution, partial)
        for earlier in folder.glob("*.whl"):
            earlier.unlink()
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DiskError(f"Cannot keep the present build in {folder}: {error.strerror}.", "Free some space.") from None
    return target


def _file_name(distribution: importlib.metadata.Distribution, wheel: str) -> str:
    """The name that goes with the tags in WHEEL: those of one wheel are a product, written with dots."""
    tags = [line.partition(":")[2].strip().split("-") for line in wheel.splitlines() if line.startswith("Tag:")]
    parts = (".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
    return "-".join([distribution.name.replace("-", "_"), distribution.version, *parts]) + ".whl"


def _write(distribution: importlib.metadata.Distribution, target: Path) -> None:
    record: list[str] = []
    own = ""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, file in _members(distribution):
            digest, size = _digest(file)
            archive.write(file, name)
            record.append(f'"{name}",sha256={digest},{size}')
            if PurePosixPath(name).name == "WHEEL":
                own = str(PurePosixPath(name).with_name("RECORD"))
        archive.writestr(own, "\n".join([*record, f"{own},,"]) + "\n")
    target.chmod(0o600)


def _members(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, Path]]:
    """The files that the wheel held, by their names in it. Programs that an installer wrote lie outside it."""
    for entry in distribution.files or ():
        name = PurePosixPath(entry).as_posix()
        if ".." in entry.parts or entry.suffix == ".pyc" or entry.is_absolute():
            continue
        if entry.parent.name.endswith(".dist-info") and entry.name in _ADDED:
            continue
        yield name, Path(str(distribution.locate_file(entry)))


def _digest(file: Path) -> tuple[str, int]:
    """SHA-256 as RECORD writes it, and the size in bytes."""
    found, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
            size += len(block)
    return base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode(), size
