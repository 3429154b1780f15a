"""Decide whether a call may run: mode, rules, and what the user said earlier. Pure; asks nobody and runs nothing.

In order: functions that are only described never run; the first rule that matches decides; what the user allowed for
the session runs; the mode decides the rest. A rule is `NAME` or `NAME(ARGUMENT=GLOB)`; both parts are globs, `*` also
crosses `/`. Where one argument holds several values or can be written several ways, the careful reading wins: `allow`
needs every value to match as it is written, without `..`; `ask` and `deny` need one, in any spelling.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from fclocal.errors import UsageError
from fclocal.functions import Json
from fclocal.messages import FunctionCall
from fclocal.tools.toolset import BUILT_IN, Tool

Action: TypeAlias = Literal["allow", "ask", "deny"]
Mode: TypeAlias = Literal["ask", "deny", "allow-reads"]

_RULE = re.compile(r"([^\s()=]+)(?:\(\s*([^\s()=]+)\s*=(.*)\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a call. `why` is a sentence for `ask` and `deny`, and names what allows it for `allow`."""

    action: Action
    why: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the user's rules; without `argument` it is about every call of the tools that `tool` matches."""

    text: str
    tool: str
    argument: str | None
    glob: str
    action: Action

    def matches(self, call: FunctionCall) -> bool:
        """Whether this rule is about `call`. An argument that was not given matches nothing."""
        if not fnmatchcase(call.name, self.tool):
            return False
        if self.argument is None:
            return True
        if self.argument not in call.arguments:
            return False
        values = _texts(call.arguments[self.argument])
        if self.action == "allow":
            return bool(values) and all(_is_plain(value) and fnmatchcase(value, self.glob) for value in values)
        return any(fnmatchcase(spelling, self.glob) for value in values for spelling in _spellings(value))


class Policy:
    """Approval for one session. `rules` maps rule texts to actions and is read in order.

    Raises UsageError for a rule that cannot be read.
    """

    def __init__(self, mode: Mode = "ask", rules: Mapping[str, Action] | None = None) -> None:
        self.mode = mode
        self.rules = tuple(parse_rule(text, action) for text, action in (rules or {}).items())
        self._remembered: set[str] = set()

    def decide(self, tool: Tool, call: FunctionCall) -> Verdict:
        """Allow, ask or deny this call, and why."""
        if tool.effect == "propose":
            return Verdict("deny", f"{call.name} is only described here; it cannot run.")
        rule = next((rule for rule in self.rules if rule.matches(call)), None)
        if rule is not None and not self._overrides(tool, rule):
            return _ruled(rule)
        if fingerprint(tool) in self._remembered:
            return Verdict("allow", "an earlier yes in this session")
        return self._by_mode(tool)

    def remember(self, tool: Tool) -> None:
        """Let this tool run for the rest of the session, as long as nothing about it changes.

        Rules that deny, and rules that ask about one argument, still hold.
        """
        self._remembered.add(fingerprint(tool))

    def _overrides(self, tool: Tool, rule: Rule) -> bool:
        return rule.action == "ask" and rule.argument is None and fingerprint(tool) in self._remembered

    def _by_mode(self, tool: Tool) -> Verdict:
        name = tool.function.name
        ours = tool.origin == BUILT_IN
        if ours and tool.effect == "compute":
            return Verdict("allow", "its nature: it only computes")
        if self.mode == "deny":
            return Verdict("deny", f"The approval mode is deny and no rule allows {name}.")
        if self.mode == "allow-reads" and ours and tool.effect == "read":
            return Verdict("allow", "the approval mode: reads are allowed")
        return Verdict("ask", f"No rule allows {name}.")


def fingerprint(tool: Tool) -> str:
    """SHA-256 of everything the user judged a tool by: name, origin, effect, description and schema."""
    function = tool.function
    judged = [function.name, tool.origin, tool.effect, function.description, function.parameters]
    return hashlib.sha256(json.dumps(judged, sort_keys=True, default=dict).encode()).hexdigest()


def parse_rule(text: str, action: Action) -> Rule:
    """A rule from config. Raises UsageError when it has neither of the two forms."""
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"The approval rule {text!r} cannot be read.",
            'Write "tool" or "tool(argument=glob)", for example "read_file(path=notes/*)".',
        )
    tool, argument, glob = found.groups()
    return Rule(text.strip(), tool, argument, glob or "", action)


def _ruled(rule: Rule) -> Verdict:
    match rule.action:
        case "allow":
            return Verdict("allow", f'the rule "{rule.text}"')
        case "ask":
            return Verdict("ask", f'The rule "{rule.text}" asks.')
        case "deny":
            return Verdict("deny", f'The rule "{rule.text}" denies it.')


def _texts(value: Json) -> tuple[str, ...]:
    """The plain values in an argument, as a rule sees them: strings as they are, others as JSON."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping):
        return tuple(text for inner in value.values() for text in _texts(inner))
    if isinstance(value, Sequence):
        return tuple(text for inner in value for text in _texts(inner))
    return (json.dumps(value),)


def _is_plain(value: str) -> bool:
    return ".." not in re.split(r"[/\\]", value)


def _spellings(value: str) -> Iterator[str]:
    """The value as written, as a tidy path, and for an absolute path also each of its ends."""
    yield value
    tidy = posixpath.normpath(value.replace("\\", "/"))
    yield tidy
    if tidy.startswith("/") or re.match(r"[A-Za-z]:/", tidy):
        parts = tidy.split("/")
        yield from ("/".join(parts[start:]) for start in range(1, len(parts)))
