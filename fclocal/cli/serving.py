"""The work of `fclocal serve`: words to settings, then serve."""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from fclocal.chat.offer import make_offer
from fclocal.cli.options import one_of
from fclocal.cli.rim import say
from fclocal.cli.tables import emit
from fclocal.cli.words import TurnWords
from fclocal.errors import UsageError
from fclocal.runtime import open_tools, settings
from fclocal.server.endpoint import Endpoint
from fclocal.server.run import Server
from fclocal.server.settings import Limits, Settings
from fclocal.tools.toolset import Tool

KEY_ENV = "FCLOCAL_API_KEY"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The options of `serve` as typed."""

    turn: TurnWords
    host: str
    port: int
    api_key_file: Path | None
    keep_alive: str
    parallel: int
    queue: int
    log_format: str
    as_json: bool = False


async def serve_words(words: Words) -> None:
    """Read the options and serve. Raises UsageError, PortInUse, ModelMissing."""
    config = settings()
    plan = words.turn.settings(config, missing="warn", max_calls=8)
    wanted = Settings(
        options=replace(words.turn.options(), sequences=words.parallel),
        host=words.host,
        port=words.port,
        key=read_key(words.api_key_file),
        named=words.turn.model is not None,
        keep_alive=read_duration(words.keep_alive),
        log_format=one_of("--log-format", words.log_format, ("text", "json")) or "text",
        sampling=plan.request.sampling,
        seeded=words.turn.seed is not None,
        max_tokens=plan.request.max_tokens,
        choice=plan.request.choice,
        missing=plan.missing,
        system=words.turn.system,
        limits=Limits(parallel=words.parallel, queue=words.queue),
    )
    async with AsyncExitStack() as stack:
        toolbox = await open_tools(wanted.options, config, stack)
        tools: tuple[Tool, ...] = tuple(await toolbox.list())
        offer = make_offer(tuple(tool.function for tool in tools), "auto") if tools else None
        for notice in (*toolbox.notices, *(offer.notes if offer else ())):
            say(notice)
        server = Server(replace(wanted, tools=tools), config)
        _announce(server.endpoint, as_json=words.as_json)
        await server.serve()


def read_key(file: Path | None) -> str | None:
    """The API key of `file` or of the environment, or None. Raises UsageError for a file that others can read."""
    if file is None:
        return os.environ.get(KEY_ENV, "").strip() or None
    try:
        mode = file.stat().st_mode
        key = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {file}: {getattr(error, 'strerror', None) or error}.") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"{file} can be read by others.", f"Try: chmod 600 {file}")
    if not key:
        raise UsageError(f"{file} is empty.", "Write the key into it.")
    return key


def read_duration(word: str) -> float | None:
    """Seconds of `300`, `90s`, `5m` or `1h`; None for -1, which means for ever. Raises UsageError."""
    if word.strip() == "-1":
        return None
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smh]?)", word.strip())
    if not found:
        raise UsageError(f"--keep-alive {word!r} is not a time.", "Use seconds, 5m, 1h, or -1 for ever.")
    return float(found[1]) * _UNITS[found[2]]


def _announce(endpoint: Endpoint, *, as_json: bool) -> None:
    chosen = endpoint.models.default()
    for notice in chosen.notices:
        say(notice)
    shown = f"[{endpoint.settings.host}]" if ":" in endpoint.settings.host else endpoint.settings.host
    address = f"http://{shown}:{endpoint.settings.port}"
    if as_json:
        emit({"url": address, "openai": f"{address}/v1", "model": chosen.source.name})
        sys.stdout.flush()
    say(f"Serving {chosen.source.name} on {address} (page: {address}/, OpenAI: {address}/v1). Ctrl-C stops.")
