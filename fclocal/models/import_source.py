"""What `fclocal import` was given -> a folder with the files it needs, from this disk or from the Hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from fclocal.errors import ModelMissing, Refused, UsageError
from fclocal.models.adapter import CONFIG, WEIGHTS, Base, base_of_config, base_of_header
from fclocal.models.catalog import Catalog, Entry
from fclocal.models.checkpoint import read_config
from fclocal.models.hub import Hub, Listing
from fclocal.models.names import CatalogName, HubRepo, LocalFile, parse_name, resolve, unknown
from fclocal.models.progress import Report
from fclocal.models.pull import access_refused
from fclocal.models.snapshot import fetch_snapshot
from fclocal.models.store import Store

_SMALL: Final = frozenset(
    {
        "config.json",
        "tokenizer.model",
        "tokenizer.json",
        "tokenizer_config.json",
        "added_tokens.json",
        "chat_template.jinja",
        "model.safetensors.index.json",
    }
)
_PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True, slots=True)
class Source:
    """What is imported: a `folder` on this disk, or else a repository at a revision, and its catalog entry if any."""

    name: str
    folder: Path | None
    repo: str
    revision: str
    entry: Entry | None


def find_source(text: str, catalog: Catalog, *, name: str = "", revision: str = "") -> Source:
    """Read PATH, owner/repo[@revision] or a catalog name. `name` is what the user wants it called.

    Raises UsageError for what is no checkpoint or cannot be a name, Refused for a pickle, and ModelMissing.
    """
    here = Path(text).expanduser() if text else Path()
    if text and here.is_dir():
        folder = here.resolve()
        entry = catalog.find(name or folder.name) or _of_page(folder.name, catalog)
        return Source(_name(name or (entry.id if entry else folder.name), catalog), folder, "", "", entry)
    match parse_name(text):
        case LocalFile(path):
            raise _no_folder(path)
        case CatalogName(word, _):
            entry = catalog.find(word)
            if entry is None:
                raise unknown(word, catalog)
            if entry.repo is None:
                raise UsageError(f"{entry.id} is built in; there is nothing to import.")
            return Source(_name(name or entry.id, catalog), None, entry.repo, revision or entry.revision, entry)
        case HubRepo(repo, wanted, tag):
            if tag:
                raise UsageError(
                    f"{tag!r} names a file; a checkpoint is imported whole.", f"Try: fclocal import {repo}"
                )
            entry = catalog.with_repo(repo)
            chosen = name or (entry.id if entry else repo.partition("/")[2])
            return Source(_name(chosen, catalog), None, repo, revision or wanted or "main", entry)


def remote_files(source: Source, hub: Hub) -> Listing:
    """What the repository of `source` holds that an import needs: a model, or else an adapter.

    Raises Refused for weights that are Python pickles, ModelMissing when there are none, and NetworkError.
    """
    listing = hub.listing(source.repo, source.revision)
    names = {file.name for file in listing.files}
    wanted = _adapter_file if CONFIG in names and "config.json" not in names else _model_file
    files = tuple(file for file in listing.files if wanted(file.name))
    if not any(file.name.endswith(".safetensors") for file in files):
        pickles = sorted(name for name in names if name.endswith(_PICKLES))
        if pickles:
            raise Refused(
                f"{source.repo} holds its weights in {pickles[0]}, a Python pickle, which can run any program when it "
                "is read.",
                "Look for a version of it in safetensors.",
            )
        ggufs = any(name.endswith(".gguf") for name in names)
        cure = f"It holds GGUF files: fclocal pull {source.repo}" if ggufs else "Look at its page on the Hub."
        raise ModelMissing(f"{source.repo} holds no safetensors weights.", cure)
    return Listing(listing.repo, listing.commit, listing.gated, files, listing.skipped)


def fetched(source: Source, store: Store, hub: Hub, report: Report) -> Path:
    """The folder of `source`, downloaded if it is not on this disk. Raises like `remote_files`, and DiskError."""
    if source.folder is not None:
        return source.folder
    names = {file.name for file in remote_files(source, hub).files}
    return _fetch(source, names.__contains__, store, hub, report)


def find_base(text: str, catalog: Catalog, store: Store, *, hub: Callable[[], Hub], report: Report) -> Base:
    """The base model of an adapter: a checkpoint folder, a model on this machine, or a repository's config.json.

    Raises UsageError when `text` is empty or no llama model, ModelMissing, Refused and NetworkError.
    """
    if not text:
        raise UsageError("The adapter does not name its base model.", "Name it: --base NAME|PATH")
    here = Path(text).expanduser()
    if (here / "config.json").is_file():
        return base_of_config(read_config(here), here.resolve().name)
    try:
        return base_of_header(resolve(text, catalog, store).header, text)
    except ModelMissing:
        found = parse_name(text)
        entry = catalog.find(found.name) if isinstance(found, CatalogName) else None
        repo = found.repo if isinstance(found, HubRepo) else entry.repo if entry else None
        if repo is None:
            raise
        source = Source(text, None, repo, "main", catalog.with_repo(repo))
        return base_of_config(read_config(_fetch(source, "config.json".__eq__, store, hub(), report)), text)


def _fetch(source: Source, wanted: Callable[[str], bool], store: Store, hub: Hub, report: Report) -> Path:
    try:
        return fetch_snapshot(source.repo, wanted=wanted, store=store, hub=hub, report=report, revision=source.revision)
    except Refused as error:
        raise access_refused(source.entry, source.repo, error) from None


def _model_file(name: str) -> bool:
    # Some repositories hold a second copy of the weights in Mistral's own layout.
    weights = name.endswith(".safetensors") and not name.startswith(("consolidated", "adapter"))
    return "/" not in name and (name in _SMALL or weights)


def _adapter_file(name: str) -> bool:
    return name in (CONFIG, WEIGHTS)


def _of_page(folder: str, catalog: Catalog) -> Entry | None:
    """The entry whose repository is called like a folder."""
    wanted = folder.lower()
    entries = catalog.entries.values()
    return next((one for one in entries if PurePosixPath(one.repo or "").name.lower() == wanted), None)


def _name(wanted: str, catalog: Catalog) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-.")[:80]
    if not name:
        raise UsageError(f"{wanted[:80]!r} cannot be the name of a model.", "Give one: --name NAME")
    entry = catalog.find(name)
    if entry is not None and entry.gguf == "built-in":
        raise UsageError(f"{name} is the built-in model.", "Give another name: --name NAME")
    return name


def _no_folder(path: Path) -> UsageError | Refused | ModelMissing:
    if not path.exists():
        return ModelMissing(f"There is no folder {path}.", "Name the folder of a checkpoint, or owner/repo.")
    if path.suffix in _PICKLES:
        return Refused(
            f"{path.name} is a Python pickle, which can run any program when it is read.",
            "Look for a version of it in safetensors.",
        )
    if path.suffix == ".gguf":
        return UsageError(f"{path.name} is a GGUF file already.", f"Use it as it is: --model {path}")
    return UsageError(f"{path} is a file.", f"Name the checkpoint's folder: {path.parent}")
