"""Rows of the catalog and of the installed models: what `fclocal catalog` and `fclocal list` show, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fclocal.models.catalog import Catalog, Entry
from fclocal.models.fit import Machine, estimated_sizes, plan
from fclocal.models.keep import of_entry
from fclocal.models.names import STARTER, starter_path
from fclocal.models.quants import true_quant
from fclocal.models.store import Installed, Store
from fclocal.native.gguf import read_header


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One entry as it stands on this machine. `size` is about what a pull downloads; `fits` is None when unknown."""

    entry: Entry
    size: int | None
    fits: bool | None
    installed: tuple[str, ...]

    @property
    def access(self) -> str:
        """What it takes to get it."""
        if self.entry.gguf == "built-in":
            return "built in"
        return "paid, gated" if self.entry.paid else "gated" if self.entry.gated else "open"

    @property
    def files(self) -> str:
        """Whether there is something to pull."""
        words = {"published": "GGUF", "convert": "import", "unverified": "unchecked", "built-in": "GGUF"}
        return words[self.entry.gguf]

    def json(self) -> dict[str, object]:
        """The row for --json."""
        entry = self.entry
        return {
            "name": entry.id,
            "id": entry.id,
            "title": entry.title,
            "repo": entry.repo,
            "revision": entry.revision,
            "size": self.size,
            "fits": self.fits,
            "installed": list(self.installed),
            "gguf": entry.gguf,
            "pattern": entry.pattern,
            "files": [file.model_dump(exclude_defaults=True) for file in entry.files],
            "licence": entry.licence,
            "licence_url": str(entry.licence_url) if entry.licence_url else None,
            "gated": entry.gated,
            "paid": entry.paid,
            "purchase_url": str(entry.purchase_url) if entry.purchase_url else None,
            "dialect": entry.dialect,
            "dialect_exists": entry.dialect_exists,
            "context": entry.context,
            "stop": list(entry.stop),
            "base": entry.base,
            "adapter_repo": entry.adapter_repo,
            "needs_adapter": entry.needs_adapter,
            "dataset": entry.dataset,
            "notes": list(entry.notes),
        }


@dataclass(frozen=True, slots=True)
class ListRow:
    """One installed model; `id` is the catalog's name for it, if it has one."""

    id: str | None
    model: Installed
    built_in: bool = False

    @property
    def name(self) -> str:
        """What to type to load it."""
        return self.id or self.model.name

    @property
    def state(self) -> str:
        """`ready`, or `unverified` for a file that other tools put there and nobody has hashed."""
        return "ready" if self.built_in or self.model.verified or self.model.repo is None else "unverified"

    def json(self) -> dict[str, object]:
        """The row for --json."""
        model = self.model
        return {
            "name": self.name,
            "kind": "model",
            "repo": model.repo,
            "commit": model.commit,
            "quant": model.quant,
            "size": model.size,
            "state": self.state,
            "verified": model.verified,
            "used": model.used,
            "paths": [str(path) for path in model.paths],
        }


def catalog_rows(catalog: Catalog, store: Store, machine: Machine, *, query: str = "") -> tuple[CatalogRow, ...]:
    """Every entry in which each word of `query` occurs, in catalog order."""
    return tuple(_catalog_row(entry, store, machine) for entry in catalog.search(query))


def list_rows(catalog: Catalog, store: Store) -> tuple[ListRow, ...]:
    """The built-in model and everything in the Hub cache and in our own folder."""
    rows: list[ListRow] = []
    starter = starter_path()
    if starter.exists():
        rows.append(ListRow(STARTER, _starter(starter), built_in=True))
    for model in store.installed():
        entry = catalog.with_repo(model.repo) if model.repo else catalog.find(model.name)
        rows.append(ListRow(entry.id if entry else None, model))
    return tuple(rows)


def _catalog_row(entry: Entry, store: Store, machine: Machine) -> CatalogRow:
    if entry.gguf == "built-in":
        path = starter_path()
        size = path.stat().st_size if path.exists() else None
        return CatalogRow(entry, size, True, (true_quant(read_header(path), path.name),) if size else ())
    installed = of_entry(entry, store)
    size = entry.about_bytes
    fits = (
        plan(estimated_sizes(size, context=entry.context, kv=entry.kv_elements), machine, context=4096).fits
        if size
        else None
    )
    return CatalogRow(entry, size, fits, tuple(model.quant or model.path.name for model in installed))


def _starter(path: Path) -> Installed:
    quant = true_quant(read_header(path), path.name)
    return Installed(STARTER, None, None, quant, (path,), path.stat().st_size, None, None, ours=True)
