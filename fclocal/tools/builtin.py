"""The functions that come with the product, as a toolset. Knows builtins.json and which of its functions does what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache

from fclocal.config import Config
from fclocal.errors import UsageError
from fclocal.escapes import whole_characters
from fclocal.functions import Function, Json, parse_functions
from fclocal.grammar.check import check
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.paths import package_file
from fclocal.tools import files, network
from fclocal.tools.arithmetic import CannotCalculate
from fclocal.tools.calculator import calculate, written
from fclocal.tools.clock import UnknownZone, told
from fclocal.tools.toolset import BUILT_IN, Effect, Tool
from fclocal.tools.units import CannotConvert, convert

DEFAULT = ("calculator", "convert_units", "current_time", "weather", "search_arxiv", "search_web")
ALIASES = {"search_bing": "search_web"}

_EFFECTS: Mapping[str, Effect] = {
    "calculator": "compute",
    "convert_units": "compute",
    "current_time": "compute",
    "weather": "network",
    "search_arxiv": "network",
    "search_web": "network",
    "list_files": "read",
    "read_file": "read",
    "save_chat": "write",
    "delete_file": "write",
}
_REFUSALS = (CannotCalculate, CannotConvert, UnknownZone, files.FileRefused, network.NetworkRefused)


def expand(words: Iterable[str]) -> tuple[str, ...]:
    """The functions that `--builtin` words stand for: names, `default`, `all`, `none` (which undoes what is before it).

    Raises UsageError with the nearest name for an unknown word.
    """
    names: list[str] = []
    for word in words:
        match word.strip():
            case "none":
                names.clear()
            case "default":
                names += DEFAULT
            case "all":
                names += _described()
            case name if name in _described() or name in ALIASES:
                names.append(name)
            case name:
                raise UsageError(f"No built-in function {name!r}.", _suggestion(name))
    return tuple(dict.fromkeys(names))


def _suggestion(name: str) -> str:
    known = [*_described(), *ALIASES, "default", "all", "none"]
    near = get_close_matches(name, known, 1)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."


@cache
def _described() -> Mapping[str, Function]:
    text = package_file("tools/builtins.json").read_text("utf-8")
    return {function.name: function for function in parse_functions(text, origin="builtins.json")}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the functions need from outside: folders, the search service, hosts, the time (aware)."""

    files: files.Folders
    web: network.Web
    clock: Callable[[], datetime]


class Builtins:
    """The named built-in functions. `config` gives the file roots and the search service.

    `clock` returns the present, aware; `hosts` are the addresses of the public services. Raises UsageError for an
    unknown name.
    """

    def __init__(
        self,
        names: Sequence[str] = DEFAULT,
        *,
        config: Config | None = None,
        clock: Callable[[], datetime] = _now,
        hosts: network.Hosts | None = None,
    ) -> None:
        config = config or Config()
        self._names = expand(names)
        web = network.Web(config.search, hosts or network.Hosts())
        self._around = Surroundings(files.Folders(config.files.roots), web, clock)

    async def list(self) -> Sequence[Tool]:
        return tuple(Tool(function_named(name), BUILT_IN, _EFFECTS[ALIASES.get(name, name)]) for name in self._names)

    async def call(self, call: FunctionCall) -> FunctionResult:
        if call.name not in self._names:
            return failure(call, f"There is no built-in function {call.name}.")
        problems = check(call.arguments, function_named(call.name).parameters)
        if problems:
            return failure(call, f"Invalid arguments: {problems[0].sentence}")
        try:
            content = await _FUNCTIONS[ALIASES.get(call.name, call.name)](self._around, call.arguments)
        except _REFUSALS as refused:
            return failure(call, str(refused))
        return FunctionResult(call.id, whole_characters(content), name=call.name)


def function_named(name: str) -> Function:
    """The description of a built-in function; an alias is described like what it stands for."""
    if name in ALIASES:
        meant = _described()[ALIASES[name]]
        return replace(meant, name=name, metadata={**(meant.metadata or {}), "function": name})
    return _described()[name]


def failure(call: FunctionCall, sentence: str) -> FunctionResult:
    """A failed call, as data for the model."""
    content = json.dumps({"error": whole_characters(sentence)}, ensure_ascii=False)
    return FunctionResult(call.id, content, ok=False, name=call.name)


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, default=list)


async def _calculator(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    return f'{{"result": {written(calculate(str(arguments["expression"])))}}}'


async def _convert_units(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    value, target = arguments["value"], str(arguments["to_unit"])
    assert isinstance(value, int | float)
    return _json({"value": convert(value, str(arguments["from_unit"]), target), "unit": target.strip()})


async def _current_time(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    return _json(told(around.clock(), str(arguments.get("timezone", "local"))))


async def _weather(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    return _json(await network.weather(around.web, str(arguments["city"])))


async def _search_arxiv(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    return _json(await network.search_arxiv(around.web, str(arguments["query"])))


async def _search_web(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    return _json(await network.search_web(around.web, str(arguments["query"])))


async def _list_files(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    return _json(await asyncio.to_thread(files.list_files, around.files, str(arguments["folder"])))


async def _read_file(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    return _json(await asyncio.to_thread(files.read_file, around.files, str(arguments["path"])))


async def _save_chat(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    name, description, content = (str(arguments[key]) for key in ("fileName", "fileDescription", "fileContent"))
    saved = await asyncio.to_thread(files.save_chat, around.files, name, description, content)
    return _json({"saved": saved})


async def _delete_file(around: Surroundings, arguments: Mapping[str, Json]) -> str:
    names = arguments["fileNames"]
    assert isinstance(names, Sequence)
    return _json(await asyncio.to_thread(files.delete_files, around.files, [str(name) for name in names]))


_FUNCTIONS: Mapping[str, Callable[[Surroundings, Mapping[str, Json]], Awaitable[str]]] = {
    "calculator": _calculator,
    "convert_units": _convert_units,
    "current_time": _current_time,
    "weather": _weather,
    "search_arxiv": _search_arxiv,
    "search_web": _search_web,
    "list_files": _list_files,
    "read_file": _read_file,
    "save_chat": _save_chat,
    "delete_file": _delete_file,
}
