"""Plan a download, show the plan, carry it out. A module of its own because the Hub client is slow to import."""

from __future__ import annotations

from fclocal.cli.progress import ProgressLine
from fclocal.cli.rim import say
from fclocal.cli.tables import fit_json, machine, tell
from fclocal.errors import ModelBroken
from fclocal.models.cache import repo_folder
from fclocal.models.catalog import Catalog
from fclocal.models.fit import gb
from fclocal.models.hub import Hub
from fclocal.models.keep import Check, discard
from fclocal.models.network import refuse_offline
from fclocal.models.pull import PullPlan, plan_pull
from fclocal.models.pull import pull as fetch
from fclocal.models.store import Installed, Store


def plan(name: str, known: Catalog, store: Store, *, quant: str, revision: str) -> PullPlan:
    """What pulling `name` would do."""
    return plan_pull(name, known, store, Hub(), machine(), quant=quant, revision=revision)


def download(planned: PullPlan, store: Store) -> Installed:
    """Carry out a plan, telling on stderr what it is and how it goes on."""
    tell(plan_lines(planned))
    with ProgressLine(total=planned.variant.size) as progress:
        return fetch(planned, store, Hub(), report=progress)


def plan_lines(planned: PullPlan) -> list[str]:
    """What a pull would do, in words."""
    variant = planned.variant
    parts = f" in {len(variant.files)} parts" if len(variant.files) > 1 else ""
    what = f"{variant.quant or 'no label'}, {gb(variant.size)}{parts}"
    lines = [f"{planned.repo}@{planned.commit[:12]}: {variant.name} ({what})"]
    lines.append(f"Chosen: {planned.reason}.")
    if planned.missing < variant.size:
        lines.append(f"To download: {gb(planned.missing)}; the rest is there.")
    if planned.fit:
        lines.append(planned.fit.sentence)
    if planned.entry:
        link = f" ({planned.entry.licence_url})" if planned.entry.licence_url else ""
        lines.append(f"Licence: {planned.entry.licence}{link}")
    if planned.gated:
        lines.append("Gated: reading the files needs an account with access, and HF_TOKEN.")
    return [*lines, *planned.notes]


def plan_json(planned: PullPlan) -> dict[str, object]:
    """What a pull would do, for --json."""
    return {
        "name": planned.name,
        "repo": planned.repo,
        "revision": planned.revision,
        "commit": planned.commit,
        "quant": planned.variant.quant,
        "reason": planned.reason,
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in planned.variant.files],
        "size": planned.variant.size,
        "missing": planned.missing,
        "gated": planned.gated,
        "fit": fit_json(planned.fit) if planned.fit else None,
        "header_read": planned.header_read,
        "notes": list(planned.notes),
    }


def repair(model: Installed, check: Check, known: Catalog, store: Store) -> None:
    """Download again a file that was found wrong."""
    if model.repo is None or model.commit is None:
        raise ModelBroken(f"{check.path.name} was imported here and cannot be downloaded again.", "Import it again.")
    refuse_offline()
    hub = Hub()
    base = repo_folder(model.repo, root=store.root).snapshot(model.commit)
    name = model.path.relative_to(base).as_posix()
    planned = plan_pull(f"{model.repo}@{model.commit}:{name}", known, store, hub, machine())
    discard(check)
    with ProgressLine(total=planned.variant.size) as progress:
        fetch(planned, store, hub, report=progress)
    say(f"{check.path.name} is right again.")
