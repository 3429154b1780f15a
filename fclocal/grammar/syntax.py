"""How a dialect writes a call, as a value that dialects fill in and the grammar is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Layout: TypeAlias = Literal["one-line", "indented"]


@dataclass(frozen=True, slots=True)
class CallSyntax:
    """The constant text around the name and the arguments of a call.

    A call is `opening` + name + `after_name` + arguments + `closing`; calls of one reply are joined by `between`.
    `lead` is a regular expression for text that begins a call in any spacing: it may not occur in a text reply.
    In the indented layout the arguments object has one argument a line, indented by 8 spaces, and its brace by 4.
    """

    opening: str
    after_name: str
    closing: str
    between: str
    lead: str
    layout: Layout = "one-line"


ONE_LINE = CallSyntax(
    opening='{"function": "',
    after_name='", "arguments": ',
    closing="}",
    between="\n",
    lead=r'\{\s*"function"',
)
INDENTED = CallSyntax(
    opening='{\n    "function": "',
    after_name='",\n    "arguments": ',
    closing="\n}",
    between="\n",
    lead=r'\{\s*"function"',
    layout="indented",
)
TOOL_CALL = CallSyntax(
    opening='<tool_call>\n{"name": "',
    after_name='", "arguments": ',
    closing="}\n</tool_call>",
    between="\n",
    lead=r"<tool_call>",
)
LLAMA3_JSON = CallSyntax(
    opening='{"name": "',
    after_name='", "parameters": ',
    closing="}",
    between="\n",
    lead=r'\{\s*"name"',
)
