"""Many toolsets as one: every function offered once, every call passed on and run within its limits.

Knows the protocol of toolsets, not what is behind it. What is set aside, and why, is in `notices`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from fclocal.escapes import has_hidden
from fclocal.functions import Json
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools.runner import SECONDS, failed, run, sentence_of
from fclocal.tools.toolset import Tool, Toolset

Result = TypeVar("Result")


@runtime_checkable
class Noticing(Protocol):
    """A toolset that tells what of it cannot be offered, and why."""

    @property
    def notices(self) -> Sequence[str]: ...


@runtime_checkable
class Closing(Protocol):
    """A toolset that holds processes or connections."""

    async def close(self) -> None: ...


class Toolbox:
    """Several toolsets as one toolset. Of two functions with one name, the one of the earlier toolset is offered.

    `disabled` are names that are not offered; `seconds` is how long one call may take.
    """

    def __init__(
        self, toolsets: Sequence[Toolset], disabled: Collection[str] = (), *, seconds: float = SECONDS
    ) -> None:
        self._toolsets = tuple(toolsets)
        self._disabled = frozenset(disabled)
        self._seconds = seconds
        self._owners: dict[str, Toolset] = {}
        self._aside: dict[str, None] = {}
        self._warnings: dict[str, None] = {}

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know, in order and without repetition; complete after `list`."""
        return tuple(dict.fromkeys((*self.set_aside, *self._warnings)))

    @property
    def set_aside(self) -> tuple[str, ...]:
        """The notices on functions, and sources of them, that were asked for and cannot be offered."""
        theirs = (notice for toolset in self._toolsets if isinstance(toolset, Noticing) for notice in toolset.notices)
        return tuple(dict.fromkeys((*theirs, *self._aside)))

    async def list(self) -> Sequence[Tool]:
        """Every function that can be offered now. A toolset that fails is left out with a notice."""
        offered: dict[str, Tool] = {}
        owners: dict[str, Toolset] = {}
        for toolset in self._toolsets:
            for tool in await self._listed(toolset):
                name = tool.function.name
                if name not in self._disabled and self._accepts(tool, offered.get(name)):
                    offered[name] = tool
                    owners[name] = toolset
        self._owners = owners
        return tuple(offered.values())

    async def call(self, call: FunctionCall) -> FunctionResult:
        """Run the call in the toolset that offers the function. Raises nothing but CancelledError."""
        if call.name not in self._owners:
            await self.list()
        owner = self._owners.get(call.name)
        if owner is None:
            return failed(call, f"There is no function {call.name}.")
        return await run(call, lambda: owner.call(call), seconds=self._seconds)

    async def close(self) -> None:
        """End what the toolsets hold, the last one first; one that fails does not keep the others open."""
        for toolset in reversed(self._toolsets):
            if isinstance(toolset, Closing):
                await self._guarded(toolset.close, "A toolset did not close")

    async def _listed(self, toolset: Toolset) -> Sequence[Tool]:
        return await self._guarded(toolset.list, "A source of functions is left out") or ()

    async def _guarded(self, work: Callable[[], Awaitable[Result]], what: str) -> Result | None:
        try:
            return await work()
        except Exception as error:
            self._aside[f"{what}: {sentence_of(error)}."] = None
            return None

    def _accepts(self, tool: Tool, earlier: Tool | None) -> bool:
        """Whether a tool can be offered; notes what is wrong with it."""
        name = tool.function.name
        if has_hidden(name):
            self._aside[f"{json.dumps(name)} of {tool.origin} is set aside: its name has hidden characters."] = None
            return False
        if earlier is not None:
            self._aside[f"{name} of {tool.origin} is set aside: {earlier.origin} already has that name."] = None
            return False
        if any(map(has_hidden, (tool.function.description, *_strings(tool.function.parameters)))):
            self._warnings[f"The description of {name} ({tool.origin}) has hidden characters. Look at it first."] = None
        return True


def _strings(value: Json) -> Iterator[str]:
    """Every key and text in a schema."""
    waiting: list[Json] = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case Mapping() as inner:
                waiting += [*inner.keys(), *inner.values()]
            case Sequence() as inner:
                waiting += inner
