"""Where imported adapters lie, and which one `--adapter` means. Reads no file."""

from __future__ import annotations

from pathlib import Path

from fclocal.errors import ModelMissing, UsageError
from fclocal.models.store import Store


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
    there = sorted(found.stem for found in adapters_folder(store).glob("*.gguf"))
    raise ModelMissing(
        f"There is no adapter {path}.", f"Imported are: {', '.join(there)}." if there else "Make one: fclocal import"
    )
