"""The work of `fclocal tools`."""

from __future__ import annotations

import difflib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fclocal.chat.receipt import plain
from fclocal.cli.tables import emit, table, tell
from fclocal.cli.trust import trust_for_this_run, trust_of_terminal
from fclocal.errors import ExitCode, ToolFailed, UsageError
from fclocal.escapes import visible
from fclocal.functions import Json
from fclocal.grammar.check import Problem, check, parse_arguments
from fclocal.grammar.schema import SchemaReport, report
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.runtime import Options, open_tools, settings
from fclocal.tools.gather import Toolbox
from fclocal.tools.mcp.servers import Trust
from fclocal.tools.toolset import Tool

MAX_DESCRIPTION = 70
MAX_NAMED = 5


def wanted(
    functions: list[Path] | None, tools: list[Path] | None, mcp: list[str] | None, builtin: list[str] | None
) -> Options:
    """What was asked for; the built-in functions only when nothing else was."""
    own = bool(functions or tools or mcp)
    return Options(
        functions=tuple(functions or ()),
        tools=tuple(tools or ()),
        mcp=tuple(mcp or ()),
        builtin=tuple(builtin or (("none",) if own else ("default",))),
    )


async def show_list(options: Options, *, as_json: bool) -> int:
    """Print every function with where it comes from and what it may do."""
    async with _opened(options, trust_of_terminal()) as toolbox:
        tools = await toolbox.list()
        tell(toolbox.notices)
    if as_json:
        emit([_described(tool) for tool in tools])
        return ExitCode.DONE
    rows = [(t.function.name, t.origin, t.effect, _short(t.function.description)) for t in tools]
    table(("NAME", "FROM", "EFFECT", "DESCRIPTION"), rows)
    return ExitCode.DONE


async def show_check(options: Options, *, as_json: bool) -> int:
    """Print what becomes of every schema; USAGE when something that was asked for is set aside."""
    async with _opened(options, trust_of_terminal()) as toolbox:
        tools = await toolbox.list()
        tell(toolbox.notices)
    reports = [report(tool.function) for tool in tools]
    if as_json:
        emit([_report_json(each) for each in reports])
    else:
        for each in reports:
            for line in _report_lines(each):
                print(visible(line))
    whole = not toolbox.set_aside and all(each.status == "ok" for each in reports)
    return ExitCode.DONE if whole else ExitCode.USAGE


async def run_one(name: str, arguments: str, options: Options, *, as_json: bool) -> int:
    """Run one function and print its result. Raises UsageError for bad arguments, ToolFailed when it failed."""
    given = parse_arguments(arguments)
    if isinstance(given, Problem):
        raise UsageError(f"The arguments of {name}: {given.sentence}", 'Write them like \'{"city": "Paris"}\'.')
    async with _opened(options, trust_for_this_run) as toolbox:
        tools = await toolbox.list()
        tell(toolbox.notices)
        tool = _find(name, tools)
        problems = check(given, tool.function.parameters)
        if problems:
            raise UsageError(f"The arguments do not fit {name}: {_problem_words(problems)}", _see(tool))
        result = await toolbox.call(FunctionCall("run", name, given))
    return _show_result(result, as_json=as_json)


@asynccontextmanager
async def _opened(options: Options, trust: Trust | None) -> AsyncIterator[Toolbox]:
    async with AsyncExitStack() as stack:
        yield await open_tools(options, settings(), stack, trust=trust)


def _find(name: str, tools: Sequence[Tool]) -> Tool:
    by_name = {tool.function.name: tool for tool in tools}
    tool = by_name.get(name)
    if tool is None:
        near = difflib.get_close_matches(name, by_name, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(by_name) or 'none'}."
        raise UsageError(f"No function {name!r}.", hint)
    if tool.effect == "propose":
        raise UsageError(
            f"{name} is only described in {tool.origin}; it cannot run.", "Give its code with --tools FILE.py."
        )
    return tool


def _see(tool: Tool) -> str:
    required = ", ".join(tool.function.required) or "none"
    return f"Its arguments: {', '.join(tool.function.properties) or 'none'}; required: {required}."


def _problem_words(problems: Sequence[Problem]) -> str:
    words = [f"{f'{p.pointer}: ' if p.pointer else ''}{p.sentence.rstrip('.')}" for p in problems[:MAX_NAMED]]
    more = len(problems) - len(words)
    return "; ".join([*words, f"and {more} more"] if more else words) + "."


def _show_result(result: FunctionResult, *, as_json: bool) -> int:
    value = _value(result.content)
    if not result.ok:
        error = value.get("error") if isinstance(value, Mapping) else value
        raise ToolFailed(f"{result.name} failed: {error if isinstance(error, str) else result.content}")
    if as_json:
        emit(value)
    else:
        print(visible(value if isinstance(value, str) else result.content))
    return ExitCode.DONE


def _value(content: str) -> Json:
    """A result as the JSON value that it is, or as a string."""
    try:
        value: Json = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return value


def _described(tool: Tool) -> dict[str, Json]:
    function = tool.function
    return {
        "name": function.name,
        "origin": tool.origin,
        "effect": tool.effect,
        "description": function.description,
        "parameters": plain(function.parameters),
    }


def _report_json(each: SchemaReport) -> dict[str, Json]:
    return {
        "name": each.name,
        "status": each.status,
        "reason": each.reason,
        "enforced": list(each.enforced),
        "checked": list(each.checked),
        "refused": list(each.refused),
        "caps": dict(each.caps),
    }


def _report_lines(each: SchemaReport) -> list[str]:
    lines = [f"{each.name}: {each.status}{f' ({each.reason})' if each.reason else ''}"]
    caps = [f"{pointer or '/'} at most {limit}" for pointer, limit in each.caps.items()]
    parts = (("enforced", each.enforced), ("checked", each.checked), ("refused", each.refused), ("capped", caps))
    lines += (
        f"    {what:<9}{', '.join(pointer or '/' for pointer in pointers)}" for what, pointers in parts if pointers
    )
    return lines


def _short(description: str) -> str:
    first = description.strip().partition("\n")[0]
    return first if len(first) <= MAX_DESCRIPTION else f"{first[: MAX_DESCRIPTION - 4]} ..."
