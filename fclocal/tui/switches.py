"""Functions that the user switched off are not offered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fclocal.messages import FunctionCall, FunctionResult
    from fclocal.tools.toolset import Tool, Toolset


class Switched:
    """A toolset without the functions named in `off`, which may change at any time."""

    def __init__(self, inner: Toolset, off: set[str]) -> None:
        self._inner = inner
        self._off = off

    async def list(self) -> Sequence[Tool]:
        """Those that are on."""
        return tuple(tool for tool in await self._inner.list() if tool.function.name not in self._off)

    async def call(self, call: FunctionCall) -> FunctionResult:
        """Run one that is on."""
        return await self._inner.call(call)
