"""The models of the model screen as rows: what is installed, then what the catalog has. Knows no widgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fclocal.models.catalog import Catalog, Entry, load_catalog
from fclocal.models.fit import Fit, Machine, estimated_sizes, gb, plan, sizes_of
from fclocal.models.listing import ListRow, catalog_rows, list_rows
from fclocal.models.load_plan import here
from fclocal.models.names import source_from_file
from fclocal.models.store import Installed, Store

# Bytes of weights. Each token reads all of them once, and a laptop's memory gives 20 to 60 GB a second.
QUICK_ON_CPU: Final = 6_000_000_000


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One line. `installed` is None for a model that would have to be downloaded."""

    name: str
    quant: str
    size: int | None
    state: str
    installed: Installed | None
    built_in: bool
    entry: Entry | None
    fits: bool | None

    @property
    def key(self) -> str:
        """What tells rows apart."""
        return str(self.installed.path) if self.installed else self.name

    @property
    def load_name(self) -> str:
        """What to load: the file itself, so that it is the one that was pointed at."""
        return str(self.installed.path) if self.installed else self.name

    @property
    def size_text(self) -> str:
        """The size for people."""
        return gb(self.size) if self.size else "?"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Every model, and the machine they are to run on."""

    rows: tuple[ModelRow, ...]
    machine: Machine
    catalog: Catalog

    @property
    def best(self) -> ModelRow | None:
        """The largest open model that calls functions, can be downloaded now and answers at a reading pace here."""
        able = [row for row in self.rows if row.installed is None and row.entry and _free_to_pull(row.entry)]
        quick = [row for row in able if (fit := fit_of(row, self.machine)) and fit.fits and _is_quick(fit)]
        return max(quick, key=lambda row: row.size or 0, default=None)


def read_shelf() -> Shelf:
    """Look at the disk and the catalog. Reads headers, so not on the event loop."""
    catalog, store, machine = load_catalog(), Store(), here()
    rows = [_installed(row, catalog) for row in list_rows(catalog, store)]
    for row in catalog_rows(catalog, store, machine):
        if not row.installed:
            fits = {True: "fits", False: "does not fit", None: "size unknown"}[row.fits]
            state = f"{fits}, {row.access}" if row.entry.gguf != "convert" else f"to convert, {row.access}"
            rows.append(ModelRow(row.entry.id, "", row.size, state, None, False, row.entry, row.fits))
    return Shelf(tuple(rows), machine, catalog)


def fit_of(row: ModelRow, machine: Machine) -> Fit | None:
    """The memory plan of a row, exact for an installed model. Raises ModelBroken, ModelMissing."""
    if row.installed is not None:
        source = source_from_file(row.installed.path)
        return plan(sizes_of(source.header, source.facts), machine)
    if row.size is None:
        return None
    entry = row.entry
    sizes = estimated_sizes(row.size, context=entry.context if entry else None, kv=entry.kv_elements if entry else None)
    return plan(sizes, machine, context=4096)


def _installed(row: ListRow, catalog: Catalog) -> ModelRow:
    state = "built in" if row.built_in else row.state
    model = row.model
    return ModelRow(row.name, model.quant, model.size, state, model, row.built_in, catalog.find(row.name), True)


def _free_to_pull(entry: Entry) -> bool:
    open_to_all = entry.gguf == "published" and not entry.gated and not entry.paid
    return open_to_all and entry.dialect_exists and not entry.needs_adapter


def _is_quick(fit: Fit) -> bool:
    """All layers on the GPU, or so few weights that a laptop's memory reads them several times a second."""
    return fit.gpu_layers == -1 or fit.weights <= QUICK_ON_CPU
