"""Settings from config.toml, checked once. Knows keys and defaults, not what they are used for."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fclocal import __version__
from fclocal.errors import UsageError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Generation(_Table):
    """How tokens are chosen when no option says so."""

    temperature: float = Field(default=0.0, ge=0, le=10)
    max_tokens: int = Field(default=1024, ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0)


class Approval(_Table):
    """Who decides what runs. `rules` are read in order: `"tool": "allow" | "ask" | "deny"`, globs allowed;
    `"tool(argument=glob)"` looks at one argument."""

    mode: Literal["ask", "deny", "allow-reads"] = "ask"
    rules: dict[str, Literal["allow", "ask", "deny"]] = Field(default_factory=dict)


class Search(_Table):
    """Where search_web asks. A SearXNG address, or Brave with its key in the environment variable `key_env`."""

    provider: Literal["searxng", "brave"] | None = None
    url: str | None = None
    key_env: str = "BRAVE_API_KEY"


class Files(_Table):
    """Folders that the file functions may touch; empty means the current folder."""

    roots: tuple[Path, ...] = ()


class Tools(_Table):
    """The environment variables, by name or pattern, that functions of Python files see beside the harmless ones."""

    environment: tuple[str, ...] = ()


class Config(_Table):
    """All settings. `model` is what commands load when --model is not given."""

    model: str | None = None
    generation: Generation = Generation()
    approval: Approval = Approval()
    search: Search = Search()
    files: Files = Files()
    tools: Tools = Tools()


def read_config(file: Path) -> Config:
    """Settings from `file`, or the defaults when there is none. Raises UsageError naming file and key."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {file}: {error}.", "Repair or remove it.") from None
    try:
        return Config.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}.", "Repair or remove it.") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise _unknown(file, key, [str(part) for part in first["loc"]]) from None
        raise UsageError(f"{file}: {key}: {first['msg']}.", "Correct that key or remove it.") from None


def _unknown(file: Path, key: str, path: list[str]) -> UsageError:
    """A key of a newer version, or one that is spelt wrong: which of the two cannot be seen."""
    table: type[BaseModel] = Config
    for part in path[:-1]:
        table = table.model_fields[part].annotation  # type: ignore[assignment]  # only tables have keys in them
    close = get_close_matches(path[-1], table.model_fields, n=1)
    meant = f"Did you mean {close[0]}? If not, update fclocal or remove the key." if close else ""
    sentence = f"{file}: fclocal {__version__} knows no setting {key}."
    return UsageError(sentence, meant or "Update fclocal if a newer one wrote it, or remove the key.")
