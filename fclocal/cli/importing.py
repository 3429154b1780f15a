"""Plan an import, tell what it is, carry it out. A module of its own because what it needs is slow to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fclocal.cli.progress import ProgressLine
from fclocal.cli.rim import say
from fclocal.cli.tables import tell
from fclocal.errors import UsageError
from fclocal.models.adapter import CONFIG, base_name, plan_adapter, write_adapter
from fclocal.models.catalog import DIALECTS, Catalog, load_catalog
from fclocal.models.convert import ConvertPlan, Origin, convert, dry_size, plan_conversion
from fclocal.models.fit import gb
from fclocal.models.hub import Hub
from fclocal.models.import_source import Source, fetched, find_base, find_source, remote_files
from fclocal.models.network import refuse_offline
from fclocal.models.store import Store
from fclocal.native.quantize import check_label


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed."""

    source: str
    quant: str
    name: str
    base: str
    dialect: str
    pre: str
    revision: str
    force: bool
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it. `path` is None when nothing was to be written; `size` in bytes."""

    name: str
    kind: str
    quant: str
    size: int
    path: Path | None
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        if self.path is None:
            return f"{self.name}: {self.kind}, {self.quant}, {gb(self.size)}; nothing was written."
        use = f"--adapter {self.name}" if self.kind == "adapter" else f"--model {self.name}"
        return f"Ready: {self.name} {self.quant}, {gb(self.size)}. Use it with {use}"

    def json(self) -> dict[str, object]:
        """The outcome for --json."""
        return {
            "name": self.name,
            "kind": self.kind,
            "quant": self.quant,
            "size": self.size,
            "path": str(self.path) if self.path else None,
            "notes": list(self.notes),
        }


def run(wanted: Wanted) -> Imported:
    """Import what was asked for; the story goes to stderr. Raises the errors of fclocal.models."""
    known, store = load_catalog(), Store()
    tell(known.problems)
    label = check_label(wanted.quant)
    if wanted.dialect and wanted.dialect not in DIALECTS:
        raise UsageError(f"No dialect {wanted.dialect!r}.", f"There are: {', '.join(sorted(DIALECTS))}.")
    source = find_source(wanted.source, known, name=wanted.name, revision=wanted.revision)
    if source.folder is None:
        refuse_offline()
        if wanted.dry_run:
            return _listed(source, label)
        _tell_licence(source)
    with ProgressLine() as progress:
        folder = fetched(source, store, Hub(), progress)
    if (folder / CONFIG).exists() and not (folder / "config.json").exists():
        return _adapter(wanted, source, folder, known, store)
    return _model(wanted, source, folder, store)


def _model(wanted: Wanted, source: Source, folder: Path, store: Store) -> Imported:
    entry = source.entry
    origin = Origin(
        repo=source.repo or (entry.repo if entry and entry.repo else ""),
        licence=entry.licence if entry else "",
        base=entry.base or "" if entry else "",
        dialect=wanted.dialect or (entry.dialect if entry else ""),
        layout=entry.layout or "" if entry else "",
        stop=entry.stop if entry else (),
    )
    plan = plan_conversion(folder, store, name=source.name, quant=wanted.quant, pre=wanted.pre, origin=origin)
    tell(plan.notes)
    if wanted.dry_run:
        return Imported(plan.name, "model", plan.quant, dry_size(plan, store), None, plan.notes)
    if plan.target.exists() and not wanted.force:
        say(f"{plan.target.name} is there already; --force makes it again.")
    else:
        say(_story(plan))
        with ProgressLine() as progress:
            convert(plan, store, progress)
    return Imported(plan.name, "model", plan.quant, plan.target.stat().st_size, plan.target, plan.notes)


def _adapter(wanted: Wanted, source: Source, folder: Path, known: Catalog, store: Store) -> Imported:
    with ProgressLine() as progress:
        base = find_base(wanted.base or base_name(folder), known, store, hub=Hub, report=progress)
        plan = plan_adapter(folder, base, store, name=source.name, repo=source.repo)
        ranks = ", ".join(map(str, plan.ranks))
        say(f"{len(plan.pairs)} LoRA pairs of rank {ranks} for {plan.base}, {gb(plan.size)}.")
        if wanted.dry_run:
            return Imported(plan.name, "adapter", "F32", plan.size, None)
        if plan.target.exists() and not wanted.force:
            say(f"{plan.target.name} is there already; --force makes it again.")
        else:
            write_adapter(plan, progress)
    return Imported(plan.name, "adapter", "F32", plan.target.stat().st_size, plan.target)


def _listed(source: Source, label: str) -> Imported:
    """What importing a repository would download."""
    listing = remote_files(source, Hub())
    kind = "adapter" if any(file.name == CONFIG for file in listing.files) else "model"
    size = sum(file.size for file in listing.files)
    say(f"{source.repo}@{listing.commit[:12]}: {len(listing.files)} files, {gb(size)} to download.")
    return Imported(source.name, kind, label if kind == "model" else "F32", size, None)


def _story(plan: ConvertPlan) -> str:
    config = plan.config
    shape = f"{config.num_hidden_layers} layers, {config.hidden_size} wide, vocabulary {config.vocab_size:,}"
    return f"{plan.name}: {plan.parameters / 1e9:.2f} billion weights in {plan.stored} ({shape}) become {plan.quant}."


def _tell_licence(source: Source) -> None:
    if source.entry:
        link = f" ({source.entry.licence_url})" if source.entry.licence_url else ""
        say(f"Licence: {source.entry.licence}{link}")
