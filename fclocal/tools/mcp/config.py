"""Read mcp.json in the usual `mcpServers` shape. Knows what a server is, not how to talk to one."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from fclocal.errors import UsageError
from fclocal.functions import Json

MAX_FILE = 1_000_000
ALL = "all"
SHAPE = '{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}'

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Command:
    """A server that is started here and talks on its stdin and stdout. `env` values may hold secrets."""

    command: str
    args: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that runs elsewhere and talks streamable HTTP. `url` and `headers` may hold secrets."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


Launch: TypeAlias = Command | Endpoint


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One entry of mcp.json. `word` is what `--mcp` asks for it with."""

    name: str
    launch: Launch
    word: str


@dataclass(frozen=True, slots=True)
class McpConfig:
    """The servers of one or more files, and the entries that cannot be used (name -> sentence)."""

    servers: Mapping[str, ServerConfig]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server may take. Times are seconds; `line` is bytes a message, `restarts` counts deaths in a row.

    `call` stays below the limit of the runner around it, so that it is this one that ends the server.
    """

    start: float = 20.0
    call: float = 59.0
    grace: float = 1.0
    line: int = 16 * 1024 * 1024
    messages_a_second: int = 1_000
    garbage_lines: int = 100
    tools: int = 1_000
    restarts: int = 3


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    type: str | None = None
    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}


def read_config(file: Path) -> McpConfig:
    """The servers of one file. Raises UsageError when the file as a whole cannot be read.

    Relative paths are relative to the file's folder, which is also where its servers are started.
    """
    entries = _entries(file)
    servers: dict[str, ServerConfig] = {}
    problems: dict[str, str] = {}
    for name, entry in entries.items():
        try:
            servers[name] = ServerConfig(name, _launch(name, entry, file.resolve().parent), f"{file}:{name}")
        except UsageError as error:
            problems[name] = str(error)
    return McpConfig(servers, problems)


def choose(words: Sequence[str], *, user_file: Path) -> tuple[McpConfig, tuple[str, ...]]:
    """What `--mcp` asks for: `NAME` or `all` of the user's own file, `FILE.json` or `FILE.json:NAME` of another one.

    Returns the servers and the names of the chosen ones in order. Raises UsageError for a file that cannot be read,
    a name that is not in it, and a name that two files share.
    """
    servers: dict[str, ServerConfig] = {}
    problems: dict[str, str] = {}
    came_from: dict[str, Path] = {}
    configs: dict[Path, McpConfig] = {}
    for word in dict.fromkeys(words):
        file, name = _file_and_name(word, user_file)
        config = configs.setdefault(file, read_config(file))
        for one in _names(config, name, file):
            if came_from.setdefault(one, file) != file:
                raise UsageError(f"{came_from[one]} and {file} both have an MCP server {one!r}.", "Rename one.")
            if one in config.servers:
                word = one if file == user_file else f"{file}:{one}"
                servers[one] = replace(config.servers[one], word=word)
            else:
                problems[one] = config.problems[one]
    return McpConfig(servers, problems), tuple(came_from)


def expand(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """`${NAME}` and `${NAME:-default}` in the values replaced from `environ`. Raises UsageError for a missing one."""
    return {key: _REFERENCE.sub(lambda match: _look_up(match, environ), value) for key, value in values.items()}


def shown_url(url: str) -> str:
    """A URL without user name, password, query values and fragment, which often are secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "?..." if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"


def _file_and_name(word: str, user_file: Path) -> tuple[Path, str]:
    if word.endswith(".json"):
        return Path(word), ALL
    before, mark, name = word.rpartition(".json:")
    return (Path(f"{before}.json"), name) if mark else (user_file, word)


def _names(config: McpConfig, name: str, file: Path) -> tuple[str, ...]:
    known = (*config.servers, *config.problems)
    if name in known:
        return (name,)
    if name == ALL:
        return known
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(known) or 'none'}."
    raise UsageError(f"{file} has no MCP server {name!r}.", hint)


def _entries(file: Path) -> Mapping[str, Json]:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise UsageError(f"There is no {file}.", f"Describe MCP servers in it: {SHAPE}") from None
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.", "Check its owner and permissions.") from None
    if len(data) > MAX_FILE:
        raise UsageError(f"{file} is bigger than {MAX_FILE:,} bytes.", "It is not a list of MCP servers.")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{file} is not JSON: {error.msg} at {where}.", "Repair it.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not JSON that can be used: {error}.", "Repair it.") from None
    servers = value.get("mcpServers") if isinstance(value, dict) else None
    if not isinstance(servers, dict):
        raise UsageError(f'{file} has no "mcpServers" object.', f"It should look like {SHAPE}")
    return servers


def _launch(name: str, entry: Json, folder: Path) -> Launch:
    if not name.strip() or any(ord(char) < 0x20 or char == "\x7f" for char in name):
        raise UsageError(f"{name!r} cannot be the name of an MCP server.", "Use letters, digits, - and _.")
    try:
        read = _Entry.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"MCP server {name!r}: {where or 'entry'}: {first['msg']}.") from None
    if bool(read.command) == bool(read.url):
        raise UsageError(f'MCP server {name!r} needs either "command" or "url".')
    if read.url:
        return _endpoint(name, read)
    texts = (read.command or "", *read.args, *read.env, *read.env.values(), read.cwd or "")
    if any("\0" in text for text in texts) or any(not key or "=" in key for key in read.env):
        raise UsageError(f"MCP server {name!r} has an argument or variable that no process can be given.")
    cwd = folder / Path(os.path.expanduser(read.cwd)) if read.cwd else folder  # noqa: PTH111  # keeps ~name it cannot find
    return Command(_program(read.command or "", folder), tuple(read.args), read.env, cwd)


def _program(command: str, folder: Path) -> str:
    """A program by path is meant from the file's folder, one by name from PATH."""
    expanded = Path(command).expanduser() if command.startswith("~/") else Path(command)
    return str(folder / expanded) if len(expanded.parts) > 1 else command


def _endpoint(name: str, read: _Entry) -> Endpoint:
    url = read.url or ""
    if read.type == "sse":
        raise UsageError(f"MCP server {name!r} uses the old SSE transport.", "Use its streamable HTTP address.")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or any(ord(char) <= 0x20 for char in url):
        raise UsageError(f"MCP server {name!r}: its url is not an http:// or https:// address.")
    for key, value in read.headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", key) or re.search(r"[\r\n\0]", value):
            raise UsageError(f"MCP server {name!r}: {key!r} cannot be an HTTP header.")
    return Endpoint(url, read.headers)


def _look_up(match: re.Match[str], environ: Mapping[str, str]) -> str:
    name, default = match.groups()
    found = environ.get(name, default)
    if found is None:
        raise UsageError(f"The environment variable {name} is not set.", "Set it, or write ${NAME:-default}.")
    return found
