"""The commands about models: catalog, pull, list, show, verify, remove. Each asks fclocal.models and prints."""

from __future__ import annotations

import sys
from typing import Annotated, TypeAlias

import typer

from fclocal.cli.options import AsJson
from fclocal.cli.progress import ProgressLine
from fclocal.cli.rim import leave, say
from fclocal.cli.tables import emit, machine, table, tell
from fclocal.errors import ExitCode, FclocalError, NetworkError, Refused
from fclocal.escapes import visible
from fclocal.models.adapter_files import imported_adapters
from fclocal.models.catalog import Catalog, load_catalog
from fclocal.models.fit import gb
from fclocal.models.keep import (
    Check,
    clear_unfinished,
    find_installed,
    plan_removal,
    unfinished,
)
from fclocal.models.keep import remove as remove_files
from fclocal.models.keep import verify as verify_files
from fclocal.models.listing import CatalogRow, ListRow, catalog_rows, list_rows
from fclocal.models.names import HubRepo, downloadable, parse_name
from fclocal.models.network import refuse_offline
from fclocal.models.store import Installed, Store

Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="A name of the catalog, owner/repo, or a path.")]
Names: TypeAlias = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Models (default: all).")]


def catalog(
    query: Annotated[list[str] | None, typer.Argument(metavar="[QUERY]...", help="Words that must occur.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the models that fclocal knows: size, whether they fit here, licence, access."""

    def command() -> None:
        known, store = load_catalog(), Store()
        tell(known.problems)
        rows = catalog_rows(known, store, machine(), query=" ".join(query or []))
        if as_json:
            emit([row.json() for row in rows])
            return
        table(
            ("NAME", "SIZE", "FITS", "ACCESS", "FILES", "LICENCE", "DIALECT", "INSTALLED"),
            [_catalog_cells(row) for row in rows],
        )
        tell(() if rows else (f"Nothing in the catalog matches {' '.join(query or [])!r}.",))

    leave(command)


def pull(
    name: Name,
    quant: Annotated[str, typer.Option("--quant", metavar="LABEL", help="Quantization, for example Q4_K_M.")] = "",
    revision: Annotated[str, typer.Option("--revision", metavar="REV", help="Branch, tag or commit.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be downloaded, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download a model, verified and resumable. The token comes from HF_TOKEN."""

    def command() -> None:
        known, store = load_catalog(), Store()
        tell(known.problems)
        present = _installed_or_none(name if not quant else f"{name}:{quant}", known, store)
        if present is None:
            downloadable(name, known)
        try:
            refuse_offline()
        except NetworkError as error:
            if present is None or dry_run or revision:
                raise
            say(f"{error.sentence} {name} is on this machine already.")
            _tell_ready(name, present, {}, as_json=as_json)
            return
        from fclocal.cli import pulling  # deferred: the Hub client is slow to import

        planned = pulling.plan(name, known, store, quant=quant, revision=revision)
        as_value = pulling.plan_json(planned)
        if dry_run:
            emit(as_value) if as_json else print("\n".join(pulling.plan_lines(planned)))
            return
        model = pulling.download(planned, store)
        _tell_ready(planned.name, model, as_value, as_json=as_json)

    leave(command)


def list_models(as_json: AsJson = False) -> None:
    """List the models and adapters on this machine, those of other tools in the Hugging Face cache included."""

    def command() -> None:
        known, store = load_catalog(), Store()
        rows, adapters, parts = list_rows(known, store), imported_adapters(store), unfinished(store)
        if as_json:
            models = [row.json() for row in rows]
            emit([*models, *(adapter.json() for adapter in adapters), *(part.json() for part in parts)])
            return
        cells = [_list_cells(row) for row in rows]
        cells += [(adapter.name, "adapter", gb(adapter.size), "ready", "", "") for adapter in adapters]
        table(("NAME", "QUANT", "SIZE", "STATE", "VERIFIED", "LAST USED"), cells)
        for part in parts:
            say(f"Unfinished: {gb(part.size)} of a file of {part.repo}. To go on: pull; to drop it: remove.")

    leave(command)


def verify(
    names: Names = None,
    repair: Annotated[bool, typer.Option("--repair", help="Download again what is wrong.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hash installed models again and compare; exit 4 when something is wrong."""

    def command() -> int:
        known, store = load_catalog(), Store()
        named = [model for name in names or () for model in find_installed(name, known, store)]
        models = named if names else store.installed()
        with ProgressLine() as progress:
            found = [(model, verify_files(model, store, report=progress)) for model in models]
        wrong = [(model, check) for model, checks in found for check in checks if check.verdict == "wrong"]
        if not as_json:
            for _, checks in found:
                for check in checks:
                    print(visible(check.sentence))
        tell(() if models else ("Nothing is downloaded, so there is nothing to verify.",))
        if wrong and repair:
            from fclocal.cli.pulling import repair as repair_file  # deferred: the Hub client is slow to import

            for model, check in wrong:
                repair_file(model, check, known, store)
        if as_json:
            emit([_check_json(model, check) for model, checks in found for check in checks])
        if not wrong or repair:
            return ExitCode.DONE
        say("Repair it with: fclocal verify --repair")
        return ExitCode.MODEL_BROKEN

    leave(command)


def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove files that other tools put there, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a model or an adapter from this machine and say what is freed."""

    def command() -> None:
        known, store = load_catalog(), Store()
        adapter = next((found for found in imported_adapters(store) if found.name == name), None)
        if adapter and _installed_or_none(name, known, store) is None:
            freed = adapter.remove()
            found = {"removed": [str(adapter.path)], "freed": freed}
            emit(found) if as_json else print(visible(f"Removed the adapter {name}: {gb(freed)} freed."))
            return
        reference = parse_name(name)
        repo = reference.repo if isinstance(reference, HubRepo) else getattr(known.find(name), "repo", None)
        parts = [part for part in unfinished(store) if part.repo == repo]
        if parts and repo and _installed_or_none(name, known, store) is None:
            freed = clear_unfinished(repo, store)
            words = f"Removed an unfinished download: {gb(freed)} freed."
            emit({"removed": [], "freed": freed}) if as_json else print(words)
            return
        plans = [plan_removal(model, store) for model in find_installed(name, known, store)]
        foreign = any(plan.shared for plan in plans)
        whose = f"{name} was put into the shared Hugging Face cache by another tool"
        if foreign and not yes and not _agreed(f"{whose}. Remove it?"):
            raise Refused(f"{whose}.", "To remove it all the same: --yes")
        freed = sum(remove_files(plan, store) for plan in plans)
        if as_json:
            emit({"removed": [str(path) for plan in plans for path in plan.links or plan.blobs], "freed": freed})
            return
        for plan in plans:
            print(visible(f"Removed {plan.model.name} {plan.model.quant}."))
        print(f"{gb(freed)} freed.")

    leave(command)


def _installed_or_none(name: str, known: Catalog, store: Store) -> Installed | None:
    """The installed model called `name`, if there is one."""
    try:
        return find_installed(name, known, store)[0]
    except FclocalError:
        return None


def _catalog_cells(row: CatalogRow) -> tuple[str, ...]:
    fits = {True: "yes", False: "no", None: "?"}[row.fits]
    dialect = row.entry.dialect if row.entry.dialect_exists else f"{row.entry.dialect} (not yet)"
    about = "" if any(file.size for file in row.entry.files) or row.entry.gguf == "built-in" else "~"
    size = f"{about}{gb(row.size)}" if row.size else "?"
    licence = row.entry.licence
    return (row.entry.id, size, fits, row.access, row.files, licence, dialect, ", ".join(row.installed))


def _list_cells(row: ListRow) -> tuple[str, ...]:
    model = row.model
    return (row.name, model.quant, gb(model.size), row.state, model.verified or "", model.used or "")


def _tell_ready(name: str, model: Installed, plan: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        facts = {"name": name, "repo": model.repo, "quant": model.quant, "size": model.size}
        emit(facts | plan | {"paths": [str(path) for path in model.paths], "verified": model.verified})
        return
    say(f"Ready: {name} {model.quant}, {gb(model.size)}, verified {model.verified or 'never'}.")
    print(model.path)


def _check_json(model: Installed, check: Check) -> dict[str, object]:
    return {
        "name": model.name,
        "path": str(check.path),
        "sha256": check.sha256,
        "expected": check.expected,
        "verdict": check.verdict,
        "fault": check.fault,
    }


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    say(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
