"""What a source of functions must offer: list them, call one. Policy, time limits and merging are wrappers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from fclocal.functions import Function
from fclocal.messages import FunctionCall, FunctionResult

# compute: touches nothing. read: looks at local files. network: asks another host. write: changes something.
# propose: cannot run here at all, the caller runs it. unknown: anything may happen (Python files, MCP servers).
Effect: TypeAlias = Literal["compute", "read", "network", "write", "propose", "unknown"]

BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function with where it comes from ("built-in", a file, an MCP server) and what running it may do."""

    function: Function
    origin: str
    effect: Effect


class Toolset(Protocol):
    """A source of functions. `call` never raises for a failing function: a failure is a result with `ok=False`."""

    async def list(self) -> Sequence[Tool]: ...

    async def call(self, call: FunctionCall) -> FunctionResult: ...


async def functions_in(toolset: Toolset) -> tuple[Function, ...]:
    """The functions that `toolset` offers now."""
    return tuple(tool.function for tool in await toolset.list())


@dataclass(frozen=True, slots=True)
class Proposed:
    """Functions that are only described: the model may call them, whoever asked runs them."""

    functions: tuple[Function, ...]
    origin: str

    async def list(self) -> Sequence[Tool]:
        return tuple(Tool(function, self.origin, "propose") for function in self.functions)

    async def call(self, call: FunctionCall) -> FunctionResult:
        return FunctionResult(call.id, f"{call.name} is only described here; it cannot run.", ok=False, name=call.name)
