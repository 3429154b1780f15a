from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from fclocal.functions import Function
from fclocal.tools.mcp.config import Command, Endpoint, Launch, ServerConfig
from fclocal.tools.mcp.trust import Approval, Approvals, fingerprint, launch_fingerprint, tool_fingerprint

COMMAND = Command("uvx", ("serve", "--fast"), {"TOKEN": "s3cret", "MODE": "a"}, Path("/srv"))
ENDPOINT = Endpoint("https://h/mcp?key=1", {"Authorization": "Bearer s3cret"})


def server(launch: Launch, name: str = "time") -> ServerConfig:
    return ServerConfig(name, launch, name)


@pytest.mark.parametrize(
    "changed",
    [
        replace(COMMAND, command="uvy"),
        replace(COMMAND, args=("serve", "--fasT")),
        replace(COMMAND, args=("serve --fast",)),
        replace(COMMAND, args=("--fast", "serve")),
        replace(COMMAND, env={"TOKEN": "s3cret"}),
        replace(COMMAND, env={**COMMAND.env, "PYTHONPATH": "/evil"}),
        replace(COMMAND, cwd=Path("/srv2")),
        ENDPOINT,
    ],
)
def test_any_change_of_what_is_started_changes_the_fingerprint(changed: Launch) -> None:
    assert launch_fingerprint(server(changed)) != launch_fingerprint(server(COMMAND))


def test_a_value_that_steers_which_code_runs_is_judged() -> None:
    one, two = ({**COMMAND.env, "NODE_OPTIONS": value} for value in ("", "--require=/evil.js"))
    assert launch_fingerprint(server(replace(COMMAND, env=one))) != launch_fingerprint(
        server(replace(COMMAND, env=two))
    )


def test_a_new_secret_asks_nobody() -> None:
    assert launch_fingerprint(server(replace(COMMAND, env={"MODE": "b", "TOKEN": "new"}))) == launch_fingerprint(
        server(COMMAND)
    )
    assert launch_fingerprint(server(replace(ENDPOINT, headers={"Authorization": "x"}))) == launch_fingerprint(
        server(ENDPOINT)
    )
    assert launch_fingerprint(server(replace(ENDPOINT, url="https://h/mcp?key=2"))) != launch_fingerprint(
        server(ENDPOINT)
    )


def test_a_name_is_part_of_it_and_does_not_stand_for_it() -> None:
    assert launch_fingerprint(server(COMMAND, "a")) != launch_fingerprint(server(COMMAND, "b"))


def test_a_tool_is_its_name_description_and_schema() -> None:
    function = Function("a__b", "Reads.", {"type": "object", "properties": {"x": {"type": "string"}}})
    others = (
        replace(function, description="Reads. "),
        replace(function, parameters={"type": "object", "properties": {"x": {"type": "string", "description": "!"}}}),
    )
    digests = {tool_fingerprint("b", each) for each in (function, *others)} | {tool_fingerprint("c", function)}
    assert len(digests) == 4
    assert tool_fingerprint("b", replace(function, name="a_2__b")) in digests
    config = server(COMMAND)
    assert len({fingerprint(config, {"t": digest}) for digest in digests}) == 4


def test_approvals_are_kept_privately_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "data/mcp-approved.json"
    approvals = Approvals(file)
    assert approvals.get("l1") is None
    approvals.put("l1", Approval(None), remember=True)
    approvals.put("l2", Approval({"t": "d"}), remember=True)
    approvals.put("l3", Approval({}), remember=False)
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = Approvals(file)
    assert (again.get("l1"), again.get("l2"), again.get("l3")) == (Approval(None), Approval({"t": "d"}), None)
    assert approvals.get("l3") == Approval({}) and again.problem == ""


def test_two_processes_do_not_forget_each_others_approvals(tmp_path: Path) -> None:
    file = tmp_path / "mcp-approved.json"
    one, two = Approvals(file), Approvals(file)
    one.put("a", Approval(None), remember=True)
    two.put("b", Approval(None), remember=True)
    assert Approvals(file).get("a") and Approvals(file).get("b")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"servers": []}', '{"servers": {"a": 3}}', '{"servers": {"a": {"tools": 3}}}']
)
def test_a_file_that_cannot_be_read_approves_nothing_and_says_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mcp-approved.json"
    file.write_text(text)
    approvals = Approvals(file)
    assert approvals.get("a") is None and str(file) in approvals.problem
    approvals.put("a", Approval(None), remember=True)
    assert Approvals(file).get("a") and approvals.problem == ""


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX ones")
def test_a_file_that_others_can_write_approves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mcp-approved.json"
    Approvals(file).put("a", Approval(None), remember=True)
    file.chmod(0o666)
    assert Approvals(file).get("a") is None and "others" in Approvals(file).problem
