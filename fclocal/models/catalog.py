"""The catalog: which models are known, from the shipped models.toml and the user's own. Knows no network and no files
on disk but those two."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, ValidationError, model_validator

from fclocal import paths
from fclocal.models.safe_names import check_file, check_repo, check_revision

# Prompt families that exist in fclocal/dialects; an entry may name another one and is then refused at load.
DIALECTS: Final = frozenset({"trelis-llama", "trelis-deepseek", "hermes", "llama3-json", "jinja"})

GgufState: TypeAlias = Literal["published", "convert", "unverified", "built-in"]
_ID: Final = r"^[a-z0-9][a-z0-9._-]{0,79}$"

RepoId: TypeAlias = Annotated[str, AfterValidator(check_repo)]
FileName: TypeAlias = Annotated[str, AfterValidator(check_file)]
Revision: TypeAlias = Annotated[str, AfterValidator(check_revision)]
Word: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class CatalogFile(_Table):
    """One GGUF file. `size` is exact bytes; `gigabytes` is what the Hub's page shows, rounded."""

    name: FileName
    quant: str = ""
    size: int | None = Field(default=None, gt=0)
    gigabytes: float | None = Field(default=None, gt=0)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    wrong_label: bool = False


class Entry(_Table):
    """One model. `parameters` are billions, `context` is in tokens, `pattern` is a glob over file names.

    `kv_elements` is how much one token takes in the KV cache: twice layers x KV heads x head size, for plans without a
    header. `needs_adapter` marks a base that calls functions only with an adapter on it.
    """

    id: str = Field(pattern=_ID)
    title: str = Field(min_length=1, max_length=200)
    aliases: tuple[str, ...] = ()
    repo: RepoId | None = None
    revision: Revision = "main"
    pattern: str | None = None
    files: tuple[CatalogFile, ...] = ()
    gguf: GgufState = "published"
    parameters: float | None = Field(default=None, gt=0)
    context: int | None = Field(default=None, gt=0)
    kv_elements: int | None = Field(default=None, gt=0)
    licence: str = Field(min_length=1)
    licence_url: HttpUrl | None = None
    gated: bool = False
    paid: bool = False
    purchase_url: HttpUrl | None = None
    dialect: Word
    layout: Literal["indented", "one-line"] | None = None
    stop: tuple[str, ...] = ()
    base: str | None = None
    adapter_repo: RepoId | None = None
    needs_adapter: bool = False
    dataset: str | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.gguf != "built-in" and self.repo is None:
            raise ValueError('repo is missing: add repo = "owner/name"')
        if self.gguf == "published" and not (self.pattern or self.files):
            raise ValueError("neither files nor pattern says which GGUF files belong to it")
        if self.paid and self.purchase_url is None:
            raise ValueError("paid = true needs a purchase_url")
        return self

    @property
    def dialect_exists(self) -> bool:
        """Whether this version can speak the model's prompt family."""
        return self.dialect in DIALECTS

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that finds this entry, the id first."""
        return (self.id, *self.aliases)

    def has_file(self, name: str) -> bool:
        """Whether a file called `name` (without folders) can only be one of this entry."""
        listed = any(PurePosixPath(file.name).name == name for file in self.files)
        return listed or bool(self.pattern and self.pattern != "*.gguf" and PurePosixPath(name).match(self.pattern))

    @property
    def about_bytes(self) -> int | None:
        """Size of the usual download: a file's, else 4.85 bits for each parameter (Q4_K_M), else None."""
        sizes = [entry.size or int((entry.gigabytes or 0) * 1e9) for entry in self.files]
        known = sorted(size for size in sizes if size)
        if known:
            preferred = [size for size, file in zip(sizes, self.files, strict=True) if size and file.quant == "Q4_K_M"]
            return preferred[0] if preferred else known[len(known) // 2]
        return int(self.parameters * 1e9 * 4.85 / 8) if self.parameters else None


@dataclass(frozen=True, slots=True)
class Catalog:
    """Entries by id, in the order of the files, and a sentence for each entry that was set aside."""

    entries: Mapping[str, Entry]
    problems: tuple[str, ...] = ()

    def find(self, name: str) -> Entry | None:
        """The entry called `name` (id or alias, in any case)."""
        wanted = name.lower()
        if wanted in self.entries:
            return self.entries[wanted]
        return next((entry for entry in self.entries.values() if wanted in map(str.lower, entry.aliases)), None)

    def with_repo(self, repo: str) -> Entry | None:
        """The entry whose files come from `repo`."""
        wanted = repo.lower()
        return next((entry for entry in self.entries.values() if (entry.repo or "").lower() == wanted), None)

    def near(self, name: str) -> str | None:
        """The known name closest to `name`, if one is close."""
        names = [known for entry in self.entries.values() for known in entry.names]
        wanted = name.lower()
        close = get_close_matches(wanted, names, n=1, cutoff=0.6)
        close = close or [known for known in names if wanted in known or known.startswith(wanted[:5])][:1]
        return close[0] if close else None

    def search(self, query: str) -> tuple[Entry, ...]:
        """Entries in which every word of `query` occurs."""
        words = query.lower().split()
        return tuple(entry for entry in self.entries.values() if all(word in _haystack(entry) for word in words))


def load_catalog(*, shipped: Path | None = None, own: Path | None = None) -> Catalog:
    """Read the shipped catalog and merge the user's over it, key by key. Broken entries become problems, not errors."""
    problems: list[str] = []
    tables: dict[str, tuple[Path, dict[str, object]]] = {}
    for path in (shipped or paths.catalog_file(), own or paths.config_folder() / "models.toml"):
        for name, table in _tables(path, problems).items():
            before = tables[name][1] if name in tables else {}
            tables[name] = (path, before | table)
    entries: dict[str, Entry] = {}
    for name, (path, table) in tables.items():
        try:
            entries[name] = Entry.model_validate(table | {"id": name})
        except ValidationError as error:
            problems.append(_sentence(path, name, error))
    return Catalog(entries, tuple(problems))


def _tables(path: Path, problems: list[str]) -> dict[str, dict[str, object]]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{path} is set aside: {error}. Correct it or remove it.")
        return {}
    models = document.get("models", {})
    if not isinstance(models, dict):
        problems.append(f"{path}: models is no table. Write each model as [models.NAME].")
        return {}
    tables: dict[str, dict[str, object]] = {}
    for name, table in models.items():
        if isinstance(table, dict):
            tables[name] = table
        else:
            problems.append(f"{path}: models.{name} is no table. Write it as [models.{name}].")
    return tables


def _sentence(path: Path, name: str, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    cure = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        close = get_close_matches(key.split(".")[-1], [*Entry.model_fields, *CatalogFile.model_fields], n=1)
        cure = f"no such key{f', did you mean {close[0]}?' if close else ''}"
    cure = " ".join(cure.split()).rstrip(".")
    return f"{path}: [models.{name}] is set aside: {key}{': ' if key else ''}{cure}."


def _haystack(entry: Entry) -> str:
    parts = [*entry.names, entry.title, entry.repo or "", entry.licence, entry.dialect, entry.base or ""]
    parts += ["paid" if entry.paid else "free", "gated" if entry.gated else "open"]
    return " ".join(parts).lower()
