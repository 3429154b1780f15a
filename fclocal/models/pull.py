"""From a name to a verified model on disk: decide what to fetch, say what it costs, fetch it, link it, remember it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from fclocal.errors import FclocalError, ModelBroken, ModelMissing, OutOfMemory, Refused
from fclocal.models import cache
from fclocal.models.catalog import Catalog, CatalogFile, Entry
from fclocal.models.download import Fetch, fetch, left_over, place, require_space
from fclocal.models.fit import Fit, Machine, Sizes, estimated_sizes, gb, plan, sizes_of
from fclocal.models.hub import Hub, Interrupted, Listing
from fclocal.models.names import downloadable
from fclocal.models.progress import Report
from fclocal.models.quants import (
    Choice,
    RemoteFile,
    Variant,
    by_tag,
    choose,
    size_contradicts,
    variants,
    wrong_label,
)
from fclocal.models.shards import read_model
from fclocal.models.store import Installed, Store
from fclocal.native.gguf import Header, parse_header, read_header
from fclocal.native.hyperparameters import hyperparameters

HEADER_START: Final = 2 << 20
_HEADER_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull would do. `missing` are the bytes that still have to come; `revision` is what the user named.

    `fit` is None when nothing is known about the model's shape; `header_read` says that it comes from the model's own
    header. `notes` are sentences for the user.
    """

    name: str
    repo: str
    revision: str
    commit: str
    variant: Variant
    reason: str
    entry: Entry | None
    gated: bool
    missing: int
    fit: Fit | None
    header_read: bool
    notes: tuple[str, ...] = ()


def plan_pull(
    text: str, catalog: Catalog, store: Store, hub: Hub, machine: Machine, *, quant: str = "", revision: str = ""
) -> PullPlan:
    """Decide which files `text` means on the Hub, and whether they fit here. Downloads nothing but listing and header.

    Raises UsageError, ModelMissing (unknown model, quantization or revision; no GGUF in the repository), OutOfMemory
    when no quantization fits and none was named, Refused and NetworkError.
    """
    name, entry, repo, wanted_revision, tag = downloadable(text, catalog)
    tag, wanted_revision = quant or tag, revision or wanted_revision
    listing = _listing(hub, repo, wanted_revision, entry, catalog)
    found = _offered(listing, entry, tag)

    def fits(variant: Variant) -> bool:
        return plan(_estimate(variant, entry), machine, context=4096).fits

    if tag:
        choice = Choice(by_tag(found, tag, where=repo), "as you named it")
    else:
        automatic = choose(found, fits=fits)
        if automatic is None:
            smallest = found[-1]
            raise OutOfMemory(
                f"No quantization of {name} fits: the smallest, {smallest.quant}, has {gb(smallest.size)}, and "
                f"{gb(machine.memory)} are free.",
                f"To download it all the same: fclocal pull {name} --quant {smallest.quant}",
            )
        choice = automatic
    return _planned(name, entry, listing, wanted_revision, choice, store, hub, machine)


def pull(planned: PullPlan, store: Store, hub: Hub, *, report: Report) -> Installed:
    """Carry out a plan and give the installed model: size, sha256 and header are right, or an error is raised.

    `report` gets Progress values and may raise to stop. Raises Refused for a gated model without access, ModelBroken
    for a file that is not what it should be, DiskError and NetworkError.
    """
    folder = cache.repo_folder(planned.repo, root=store.root)
    require_space(folder.path, planned.missing, what=planned.name)
    placed: list[Path] = []
    for file in planned.variant.files:
        job = Fetch(
            hub, folder, planned.commit, file, report, trusted=lambda path, digest: store.known_sha256(path) == digest
        )
        try:
            blob = fetch(job)
        except Refused as error:
            raise access_refused(planned.entry, planned.repo, error) from None
        _check_header(blob, file.name)
        if file.sha256:
            store.mark_verified(blob, file.sha256)
        placed.append(place(folder, planned.commit, file.name, blob, revision=planned.revision))
    hyperparameters(read_model(placed[0]), name=placed[0].name)
    for file in planned.variant.files:
        store.mark_pulled(planned.repo, planned.commit, file.name)
    ready = [model for model in store.of_repo(planned.repo, revision=planned.commit) if model.path == placed[0]]
    if not ready:
        raise ModelBroken(f"{planned.name} was fetched, but it is not in {folder.path}.", "Try: fclocal verify")
    return ready[0]


def remote_header(hub: Hub, listing: Listing, file: RemoteFile) -> Header:
    """The header of a file on the Hub: 2 MB are read, then twice as much until it is whole. Raises like Hub.read."""
    held = b""

    def read(offset: int, size: int) -> bytes:
        nonlocal held
        while offset >= len(held) and len(held) < file.size:
            ahead = min(max(len(held), HEADER_START), file.size - len(held))
            more = hub.read(listing.repo, listing.commit, file.name, len(held), ahead)
            if not more:
                break
            held += more
        return held[offset : offset + size]

    return parse_header(read, file_size=file.size, name=file.name)


def access_refused(entry: Entry | None, repo: str, error: FclocalError) -> Refused:
    """What a user without access needs to know: the licence, where to buy or ask, and the token."""
    page = f"https://huggingface.co/{repo}"
    if entry is None:
        return Refused(error.sentence, f"Ask for access at {page}, then set HF_TOKEN.")
    licence = f"Licence: {entry.licence}" + (f" ({entry.licence_url})" if entry.licence_url else "")
    if entry.paid:
        return Refused(
            f"{entry.id} is sold by its authors, and this machine's token has no access to {repo}. {licence}.",
            f"Buy a licence at {entry.purchase_url}, ask for access at {page}, then set HF_TOKEN.",
        )
    return Refused(
        f"{entry.id} is gated, and this machine's token has no access. {licence}.", f"Ask at {page}, then set HF_TOKEN."
    )


def _listing(hub: Hub, repo: str, revision: str, entry: Entry | None, catalog: Catalog) -> Listing:
    try:
        return hub.listing(repo, revision)
    except (ModelMissing, Refused) as error:
        if entry is not None and (entry.gated or entry.paid):
            raise access_refused(entry, repo, error) from None
        known = [one.repo for one in catalog.entries.values() if one.repo and one.repo != repo]
        close = get_close_matches(repo, known, n=1, cutoff=0.8)
        if entry is None and close and isinstance(error, ModelMissing):
            raise ModelMissing(f"{error.sentence} Did you mean {close[0]}?", error.cure) from None
        raise


def _offered(listing: Listing, entry: Entry | None, tag: str) -> tuple[Variant, ...]:
    found = variants(listing.files)
    if entry is not None and not tag:
        listed = {file.name for file in entry.files}
        ours = [one for one in found if one.name in listed or (entry.pattern and Path(one.name).match(entry.pattern))]
        found = tuple(ours) or found
    if found:
        return found
    weights = [file for file in listing.files if file.name.endswith((".safetensors", ".bin"))]
    if any(file.name.endswith(".safetensors") for file in weights):
        raise ModelMissing(f"{listing.repo} holds no GGUF file.", f"It has safetensors: fclocal import {listing.repo}")
    hint = (
        "It has PyTorch pickles only, which are not read."
        if weights
        else "Look for a repository with -GGUF in its name."
    )
    raise ModelMissing(f"{listing.repo} holds no GGUF file.", hint)


def _planned(
    name: str,
    entry: Entry | None,
    listing: Listing,
    revision: str,
    choice: Choice,
    store: Store,
    hub: Hub,
    machine: Machine,
) -> PullPlan:
    variant, notes = choice.variant, list(entry.notes if entry else ())
    catalogued = {file.name: file for file in entry.files} if entry else {}
    pinned = tuple(_pinned(file, catalogued.get(file.name)) for file in variant.files)
    variant = replace(variant, files=pinned)
    if entry and not entry.dialect_exists:
        notes.append(f"This version of fclocal cannot speak its prompt format ({entry.dialect}) yet.")
    folder = cache.repo_folder(listing.repo, root=store.root)
    missing = sum(_missing(folder, file) for file in variant.files)
    header = _header(hub, listing, variant, notes)
    sizes = _estimate(variant, entry)
    if header is not None:
        sizes = sizes_of(header, hyperparameters(header, name=variant.name))
        wrong = wrong_label(header, variant.name) if len(variant.files) == 1 else None
        notes += [wrong] if wrong else []
    elif entry and entry.parameters:
        wrong = size_contradicts(variant.quant, variant.size, entry.parameters * 1e9)
        notes += [f"{variant.name}: {wrong}"] if wrong else []
    return PullPlan(
        name,
        listing.repo,
        revision,
        listing.commit,
        variant,
        choice.reason,
        entry,
        listing.gated,
        missing,
        plan(sizes, machine),
        header is not None,
        tuple(notes),
    )


def _estimate(variant: Variant, entry: Entry | None) -> Sizes:
    if entry is None:
        return estimated_sizes(variant.size)
    return estimated_sizes(variant.size, context=entry.context, kv=entry.kv_elements)


def _header(hub: Hub, listing: Listing, variant: Variant, notes: list[str]) -> Header | None:
    """The remote header when it can be had; a model of several files is judged by its size."""
    if len(variant.files) > 1:
        return None
    for attempt in range(_HEADER_ATTEMPTS):
        try:
            return remote_header(hub, listing, variant.files[0])
        except Refused:
            notes.append("The files can be listed but not read with this machine's token, so sizes are estimates.")
            return None
        except Interrupted as broken:
            if attempt + 1 == _HEADER_ATTEMPTS:
                notes.append(f"{broken.sentence} So sizes are estimates.")
    return None


def _pinned(file: RemoteFile, known: CatalogFile | None) -> RemoteFile:
    """The file as the Hub lists it; raises when the catalog knows another hash."""
    if known and known.sha256 and file.sha256 and known.sha256 != file.sha256:
        raise ModelBroken(
            f"{file.name} on the Hub is not the file that the catalog knows (sha256 {file.sha256[:12]}, not "
            f"{known.sha256[:12]}).",
            "Correct the catalog if the new file is wanted.",
        )
    return file


def _missing(folder: cache.RepoFolder, file: RemoteFile) -> int:
    blob = folder.blobs / (file.sha256 or file.oid or "-")
    return 0 if blob.exists() else max(0, file.size - left_over(folder, file))


def _check_header(blob: Path, name: str) -> None:
    """Raise ModelBroken, and remove the file, unless it is a whole GGUF file."""
    try:
        header = read_header(blob)
        if header.number("split.count") < 2:
            hyperparameters(header, name=name)
    except ModelBroken as error:
        blob.unlink(missing_ok=True)
        raise ModelBroken(error.sentence.replace(blob.name, name), "It was removed.") from None
