"""Where imported adapters lie, and which one `--adapter` means. Reads no file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fclocal.errors import DiskError, ModelMissing, UsageError
from fclocal.models.store import Store


@dataclass(frozen=True, slots=True)
class Adapter:
    """An imported adapter; `size` in bytes."""

    name: str
    path: Path
    size: int

    def json(self) -> dict[str, object]:
        """The row for --json."""
        return {"name": self.name, "kind": "adapter", "state": "ready", "size": self.size, "paths": [str(self.path)]}

    def remove(self) -> int:
        """Delete it and give the bytes freed. Raises DiskError."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise DiskError(f"{self.path} cannot be removed: {error.strerror or error}.") from None
        return self.size


def imported_adapters(store: Store) -> tuple[Adapter, ...]:
    """Every imported adapter, by name."""
    found = sorted(adapters_folder(store).glob("*.gguf"))
    return tuple(Adapter(path.stem, path, path.stat().st_size) for path in found)


def adapters_folder(store: Store) -> Path:
    """Where imported adapters are kept: beside the models, so that nothing takes them for models."""
    return store.data / "adapters"


def find_adapter(path: Path, store: Store) -> Path:
    """The file that `--adapter` means: a path, or the name of an imported adapter. Raises ModelMissing, UsageError."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; an adapter is one GGUF file.", f"Try: fclocal import {path}")
    if path.exists():
        return path
    named = adapters_folder(store) / f"{path.name.removesuffix('.gguf')}.gguf"
    if path.name == str(path) and named.exists():
        return named
    there = [adapter.name for adapter in imported_adapters(store)]
    raise ModelMissing(
        f"There is no adapter {path}.", f"Imported are: {', '.join(there)}." if there else "Make one: fclocal import"
    )
