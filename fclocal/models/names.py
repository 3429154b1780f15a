"""What the user typed -> what to load. Reads headers and folders, never the network."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from fclocal import paths
from fclocal.errors import ModelBroken, ModelMissing, UsageError
from fclocal.grammar.syntax import Layout
from fclocal.models.catalog import Catalog, Entry
from fclocal.models.quants import PREFERRED, RemoteFile, Variant, by_tag, quant_of, shard_of, true_quant, wrong_label
from fclocal.models.repair import overrides
from fclocal.models.safe_names import check_file, check_repo, check_revision
from fclocal.models.shards import read_model, shard_paths
from fclocal.models.store import Installed, Store, as_variants
from fclocal.native.gguf import Header
from fclocal.native.hyperparameters import Hyperparameters, hyperparameters

STARTER: Final = "starter"
_HUB_HOSTS: Final = ("hf.co/", "huggingface.co/", "www.huggingface.co/")
_HUB_PAGE: Final = re.compile(r"(?P<repo>[^/]+/[^/@:]+)/(?:blob|resolve|tree)/(?P<revision>[^/]+)(?:/(?P<file>.+))?")
# At least two characters, so that the drive of C:name is none.
_TAGGED_PATH: Final = re.compile(r"(?P<path>..+):(?P<tag>[\w-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A path on this machine; `tag` is the quantization that is wanted of it."""

    path: Path
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogName:
    """A catalog id, an alias, or the name of an imported model."""

    name: str
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class HubRepo:
    """A repository on the Hub; `tag` is a quantization or a file name."""

    repo: str
    revision: str | None = None
    tag: str | None = None


Reference: TypeAlias = "LocalFile | CatalogName | HubRepo"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that can be loaded now.

    `dialect` and `layout` are those of the catalog entry, else those that the file names; None when neither does.
    `overrides` are metadata values to correct at load; `notes` are sentences the user should see on stderr.
    """

    name: str
    path: Path
    quant: str
    header: Header
    facts: Hyperparameters
    entry: Entry | None = None
    dialect: str | None = None
    layout: Layout | None = None
    stop: tuple[str, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def chat_template(self) -> str:
        """The file's own chat template, or an empty string."""
        return self.header.text("tokenizer.chat_template")

    @property
    def shards(self) -> tuple[Path, ...]:
        """Every file of the model, in order."""
        return shard_paths(self.path)


def parse_name(text: str) -> Reference:
    """Read NAME[:QUANT], owner/repo[@revision][:QUANT|:file.gguf], hf.co/..., a Hub page's address, or PATH[:QUANT].

    Raises UsageError with the accepted forms.
    """
    text = text.strip()
    if not text or "\x00" in text or len(text) > 4096:
        raise UsageError("The model's name is empty or impossible.", "Give a name of fclocal catalog, or a .gguf file.")
    tagged = _TAGGED_PATH.fullmatch(text)
    if tagged and _is_path(tagged["path"]) and not os.path.lexists(_at_home(Path(text))):
        return LocalFile(_at_home(Path(tagged["path"])), tagged["tag"])
    if _is_path(text):
        return LocalFile(_at_home(Path(text)))
    hub = text.removeprefix("https://").removeprefix("http://")
    host = next((host for host in _HUB_HOSTS if hub.lower().startswith(host)), None)
    if host is None and "://" in text:
        raise UsageError(f"{text[:120]} is not a model on the Hugging Face Hub.", "Only huggingface.co is known.")
    hub = hub[len(host) :].strip("/") if host else text
    try:
        return _hub_name(hub) if host or "/" in hub else _catalog_name(text)
    except ValueError as error:
        raise UsageError(
            f"{error}.", "Use NAME, NAME:QUANT, owner/repo:QUANT, owner/repo@revision:file.gguf, or a path."
        ) from None


def resolve(text: str, catalog: Catalog, store: Store) -> ModelSource:
    """Find a model on this machine by what the user typed and read its header.

    Raises UsageError for a name that cannot be one, ModelMissing for a model that is unknown or not downloaded, and
    ModelBroken for a file that is no model.
    """
    match parse_name(text):
        case LocalFile(path, tag):
            return source_from_file(local_file(path, tag), catalog=catalog)
        case CatalogName(name, tag):
            return _named(name, tag, catalog, store)
        case HubRepo(repo, revision, tag):
            entry = catalog.with_repo(repo)
            model = _pick(store.of_repo(repo, revision=revision), tag, text)
            return source_from_file(model.path, name=text, entry=entry)


def downloadable(text: str, catalog: Catalog) -> tuple[str, Entry | None, str, str, str]:
    """(name, entry, repository, revision, tag) of what the user typed. Raises UsageError and ModelMissing."""
    match parse_name(text):
        case LocalFile(path):
            raise UsageError(f"{path} is a file, not a model to download.", "Load it with --model.")
        case CatalogName(name, tag):
            entry = catalog.find(name)
            if entry is None:
                raise unknown(name, catalog)
            if entry.repo is None:
                raise UsageError(f"{entry.id} comes with fclocal.", f"Use it at once: fclocal chat --model {entry.id}")
            return entry.id, entry, entry.repo, entry.revision, tag or ""
        case reference:
            known = catalog.with_repo(reference.repo)
            revision = reference.revision or (known.revision if known else "main")
            return reference.repo, known, reference.repo, revision, reference.tag or ""


def source_from_file(
    path: Path, *, name: str | None = None, entry: Entry | None = None, catalog: Catalog | None = None
) -> ModelSource:
    """Read the header of `path` and say what is known about loading it. Raises ModelMissing and ModelBroken."""
    header = read_model(path)
    facts = hyperparameters(header, name=path.name)
    if entry is None and catalog is not None:
        entry = next((known for known in catalog.entries.values() if known.has_file(path.name)), None)
    fixes, notes = overrides(header, path.name, base=entry.base if entry else None)
    wrong = wrong_label(header, path.name)
    return ModelSource(
        name=name or path.stem,
        path=path,
        quant=true_quant(header, path.name),
        header=header,
        facts=facts,
        entry=entry,
        dialect=entry.dialect if entry else header.text("fclocal.dialect") or None,
        layout=(entry.layout if entry else None) or _layout(header.text("fclocal.layout")),
        stop=entry.stop if entry else _texts(header.metadata.get("fclocal.stop")),
        overrides=fixes,
        notes=(*((wrong,) if wrong else ()), *notes),
    )


def local_file(path: Path, tag: str | None = None) -> Path:
    """The GGUF file that `path` means: itself, or the only model in a folder; of quantization `tag`.

    Raises ModelMissing, ModelBroken and UsageError.
    """
    try:
        if not path.exists():
            raise ModelMissing(f"There is no file {path}.", "Try: fclocal list")
        found = _models_at(path)
    except OSError as error:
        raise ModelMissing(f"{path} cannot be read: {error.strerror or error}.") from None
    if tag and found:
        named = {Variant(_quant_at(model), (RemoteFile(model.name, 0),)): model for model in found}
        wanted = by_tag(tuple(named), tag, where=str(path)).quant
        found = [model for variant, model in named.items() if variant.quant == wanted]
    if len(found) == 1:
        return found[0]
    cure = f"Name one of: {', '.join(model.name for model in found[:8])}." if found else "fclocal import makes one."
    what = f"{len(found) or 'no'} GGUF models{f' of {tag}' if tag and found else ''}"
    raise UsageError(f"The folder {path} holds {what}.", cure)


def unknown(name: str, catalog: Catalog) -> ModelMissing:
    """The error for a name that nothing has, with the nearest one that something has."""
    close = catalog.near(name)
    hint = f" Did you mean {close!r}?" if close else ""
    return ModelMissing(f"No model {name!r}.{hint}", "Try: fclocal catalog")


def starter_path() -> Path:
    """Where the built-in model lies."""
    return paths.package_file("models/starter/starter.gguf")


def _named(name: str, tag: str | None, catalog: Catalog, store: Store) -> ModelSource:
    entry = catalog.find(name)
    if entry is None:
        imported = [model for model in store.installed() if model.repo is None and model.name == name]
        if not imported:
            if tag is None and Path(name).is_file():
                raise ModelMissing(f"No model {name!r}.", f"If the file here is meant: ./{name}")
            raise unknown(name, catalog)
        return source_from_file(_pick(imported, tag, name).path, name=name)
    if entry.gguf == "built-in":
        path = starter_path()
        if not path.exists():
            raise ModelMissing("The starter model is not part of this installation.", "Install fclocal from its wheel.")
        source = source_from_file(path, name=entry.id, entry=entry)
        if tag and tag.upper() != source.quant.upper():
            raise ModelMissing(f"{name} has no quantization {tag!r}.", f"There is: {source.quant}.")
        return source
    found = store.of_repo(entry.repo or "", revision=None if entry.revision == "main" else entry.revision)
    found = tuple(model for model in found if entry.has_file(model.path.name)) or found
    pulled = [model for model in store.installed() if model.repo is None and model.name == entry.id]
    return source_from_file(_pick([*found, *pulled], tag, entry.id).path, name=entry.id, entry=entry)


def _pick(found: Sequence[Installed], tag: str | None, text: str) -> Installed:
    """The installed model that is meant: by tag, else Q4_K_M, else the one used last, else the largest."""
    if not found:
        pull = text if tag is None or text.endswith(tag) else f"{text}:{tag}"
        raise ModelMissing(f"{text} is not on this machine.", f"Try: fclocal pull {pull}")
    if tag:
        named = as_variants(found)
        return named[by_tag(tuple(named), tag, where=f"{text} on this machine")]
    preferred = [model for model in found if model.quant == PREFERRED]
    return preferred[0] if preferred else max(found, key=lambda model: (model.used or "", model.size))


def _models_at(path: Path) -> list[Path]:
    """The file `path`, or the models in the folder `path`, each by its first shard. Raises OSError."""
    if not path.is_dir():
        return [path]
    found = sorted(entry for entry in path.iterdir() if entry.suffix == ".gguf")
    return [entry for entry in found if (shard_of(entry.name) or ("", 1, 1))[1] == 1]


def _quant_at(path: Path) -> str:
    """What the weights are, or for a broken file what its name says; if that is nothing, its fault is raised."""
    try:
        return true_quant(read_model(path), path.name)
    except (ModelBroken, ModelMissing):
        if label := quant_of(path.name):
            return label
        raise


def _texts(value: object) -> tuple[str, ...]:
    """The strings of a metadata array."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, tuple) else ()


def _layout(word: str) -> Layout | None:
    match word:
        case "one-line" | "indented":
            return word
        case _:
            return None


def _at_home(path: Path) -> Path:
    """`~` expanded where it names somebody."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _is_path(text: str) -> bool:
    if text.startswith(("/", "./", "../", "~", ".\\", "..\\")) or re.match(r"[A-Za-z]:[\\/]", text) or "\\" in text:
        return True
    if text in (".", ".."):
        return True
    if "://" in text or text.lower().startswith(_HUB_HOSTS):
        return False
    if text.lower().endswith(".gguf") and ":" not in text:
        return True
    try:
        return "/" in text and Path(text).exists()
    except OSError:
        return False


def _catalog_name(text: str) -> CatalogName:
    name, _, tag = text.partition(":")
    if not re.fullmatch(r"[\w.-]{1,120}", name):
        raise ValueError(f"{text[:120]!r} cannot be the name of a model")
    return CatalogName(name, _tag(tag))


def _hub_name(text: str) -> HubRepo:
    page = _HUB_PAGE.fullmatch(text.partition("?")[0])
    if page:
        name = page["file"]
        return HubRepo(check_repo(page["repo"]), check_revision(page["revision"]), check_file(name) if name else None)
    rest, _, tag = text.partition(":")
    repo, _, revision = rest.partition("@")
    return HubRepo(check_repo(repo), check_revision(revision) if revision else None, _tag(tag))


def _tag(tag: str) -> str | None:
    return check_file(tag) if tag else None
