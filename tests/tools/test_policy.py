from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from fclocal.errors import UsageError
from fclocal.functions import Function, Json
from fclocal.messages import FunctionCall
from fclocal.tools.policy import Action, Mode, Policy
from fclocal.tools.toolset import BUILT_IN, Effect, Tool

EFFECTS: tuple[Effect, ...] = ("compute", "read", "network", "write", "unknown", "propose")
MODES: tuple[Mode, ...] = ("ask", "deny", "allow-reads")


def tool(name: str = "weather", *, effect: Effect = "network", origin: str = BUILT_IN) -> Tool:
    return Tool(Function(name, "Says it.", {"type": "object", "properties": {}}), origin, effect)


def call(name: str = "weather", **arguments: Json) -> FunctionCall:
    return FunctionCall("1", name, arguments)


@pytest.mark.parametrize(("mode", "effect", "ours"), product(MODES, EFFECTS, (True, False)))
def test_without_rules_only_ours_that_compute_or_may_be_read_run(mode: Mode, effect: Effect, ours: bool) -> None:
    verdict = Policy(mode).decide(tool(effect=effect, origin=BUILT_IN if ours else "tools.py"), call())
    runs = ours and (effect == "compute" or (mode, effect) == ("allow-reads", "read"))
    refused = effect == "propose" or mode == "deny"
    assert verdict.action == ("allow" if runs else "deny" if refused else "ask")
    assert verdict.why


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"weather": "allow"}, "allow"),
        ({"weather": "deny"}, "deny"),
        ({"weather": "ask"}, "ask"),
        ({"wea*": "allow"}, "allow"),
        ({"Weather": "allow"}, "ask"),
        ({"other": "allow"}, "ask"),
        ({"*": "deny", "weather": "allow"}, "deny"),
        ({"weather": "allow", "*": "deny"}, "allow"),
        ({"weather(city=Paris)": "allow"}, "allow"),
        ({"weather(city=P*)": "allow"}, "allow"),
        ({"weather(city=Rome)": "allow"}, "ask"),
        ({"weather(country=*)": "allow"}, "ask"),
        ({"weather(city=Rome)": "allow", "weather": "deny"}, "deny"),
        ({" weather ( city = Paris)": "allow"}, None),
    ],
)
def test_the_first_rule_that_matches_decides(rules: dict[str, Action], expected: Action | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="cannot be read"):
            Policy(rules=rules)
        return
    assert Policy(rules=rules).decide(tool(), call(city="Paris")).action == expected


def test_a_rule_allows_in_deny_mode_and_can_stop_what_only_computes() -> None:
    assert Policy("deny", {"weather": "allow"}).decide(tool(), call()).action == "allow"
    calculator = tool("calculator", effect="compute")
    assert Policy(rules={"*": "deny"}).decide(calculator, call("calculator")).action == "deny"


@pytest.mark.parametrize(
    ("path", "allowed", "denied"),
    [
        ("notes/a.txt", "allow", "deny"),
        ("notes/b/c.txt", "allow", "deny"),
        ("notes/../secret.txt", "ask", "deny"),
        ("notes/..\\..\\x", "ask", "deny"),
        ("./notes/a.txt", "ask", "deny"),
        ("other/../notes/a.txt", "ask", "deny"),
        ("/home/ann/notes/a.txt", "ask", "deny"),
        ("C:\\Users\\ann\\notes\\a.txt", "ask", "deny"),
        ("elsewhere/a.txt", "ask", "ask"),
    ],
)
def test_allow_reads_paths_strictly_and_deny_in_every_spelling(path: str, allowed: Action, denied: Action) -> None:
    reader = tool("read_file", effect="read")
    for action, expected in (("allow", allowed), ("deny", denied)):
        policy = Policy(rules={"read_file(path=notes/*)": action})  # type: ignore[dict-item]  # both are actions
        assert policy.decide(reader, call("read_file", path=path)).action == expected


@pytest.mark.parametrize(
    ("names", "allowed", "denied"),
    [
        (["a.txt", "b.txt"], "allow", "deny"),
        (["a.txt", "b.py"], "ask", "deny"),
        (["b.py"], "ask", "ask"),
        ([], "ask", "ask"),
    ],
)
def test_allow_needs_every_value_and_deny_one(names: list[str], allowed: Action, denied: Action) -> None:
    deleter = tool("delete_file", effect="write")
    for action, expected in (("allow", allowed), ("deny", denied)):
        policy = Policy(rules={"delete_file(fileNames=*.txt)": action})  # type: ignore[dict-item]  # both are actions
        assert policy.decide(deleter, call("delete_file", fileNames=names)).action == expected


def test_values_that_are_no_text_are_matched_as_json() -> None:
    policy = Policy(rules={"f(n=3)": "allow", "f(on=true)": "allow", "f(o=x)": "deny"})
    assert policy.decide(tool("f"), call("f", n=3)).action == "allow"
    assert policy.decide(tool("f"), call("f", on=True)).action == "allow"
    assert policy.decide(tool("f"), call("f", o={"deep": [1, "x"]})).action == "deny"
    assert policy.decide(tool("f"), call("f", n=33)).action == "ask"


def test_remembering_lasts_until_anything_about_the_tool_changes() -> None:
    policy = Policy()
    known = tool(effect="unknown", origin="tools.py")
    policy.remember(known)
    assert policy.decide(known, call()).action == "allow"
    changed = [
        replace(known, origin="other.py"),
        replace(known, effect="write"),
        replace(known, function=replace(known.function, description="Says it!")),
        replace(known, function=replace(known.function, parameters={"type": "object", "properties": {"a": {}}})),
    ]
    assert [policy.decide(other, call()).action for other in changed] == ["ask"] * 4
    assert Policy().decide(known, call()).action == "ask"


def test_remembering_does_not_undo_deny_or_what_is_asked_about_an_argument() -> None:
    policy = Policy("deny", {"a": "deny", "b": "ask", "c(path=*.py)": "ask"})
    for name in "abc":
        policy.remember(tool(name))
    assert policy.decide(tool("a"), call("a")).action == "deny"
    assert policy.decide(tool("b"), call("b")).action == "allow"
    assert policy.decide(tool("c"), call("c", path="x.py")).action == "ask"
    assert policy.decide(tool("c"), call("c", path="x.txt")).action == "allow"


@pytest.mark.parametrize("rule", ["", "two words", "f(a)", "f(=x)", "f(a=x", "(a=x)"])
def test_rules_that_cannot_be_read_are_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Policy(rules={rule: "allow"})
