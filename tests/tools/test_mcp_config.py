from __future__ import annotations

import json
from pathlib import Path

import pytest

from fclocal.errors import UsageError
from fclocal.functions import Json
from fclocal.tools.mcp.config import Command, Endpoint, choose, expand, read_config, shown_url


def write(file: Path, servers: Json) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"mcpServers": servers}))
    return file


def test_the_usual_shape_is_read(tmp_path: Path) -> None:
    file = write(
        tmp_path / "mcp.json",
        {
            "time": {"command": "uvx", "args": ["mcp-server-time", "--local"], "env": {"TZ": "UTC"}, "disabled": False},
            "remote": {"type": "http", "url": "https://example.org/mcp?x=1", "headers": {"Authorization": "Bearer x"}},
        },
    )
    config = read_config(file)
    assert config.problems == {}
    assert config.servers["time"].launch == Command("uvx", ("mcp-server-time", "--local"), {"TZ": "UTC"}, tmp_path)
    assert config.servers["remote"].launch == Endpoint("https://example.org/mcp?x=1", {"Authorization": "Bearer x"})


def test_relative_paths_are_meant_from_the_files_folder(tmp_path: Path) -> None:
    file = write(
        tmp_path / "project/mcp.json", {"a": {"command": "./bin/serve", "cwd": "work"}, "b": {"command": "serve"}}
    )
    servers = read_config(file).servers
    folder = tmp_path / "project"
    assert servers["a"].launch == Command(str(folder / "bin/serve"), (), {}, folder / "work")
    assert servers["b"].launch == Command("serve", (), {}, folder)


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({}, "either"),
        ({"command": "x", "url": "http://h/"}, "either"),
        ({"command": 7}, "command"),
        ({"command": "x", "args": "one"}, "args"),
        ({"command": "x", "args": [1]}, "args"),
        ({"command": "x", "env": {"A": 1}}, "env"),
        ({"command": "x\0y"}, "argument"),
        ({"command": "x", "env": {"A=B": "c"}}, "variable"),
        ("uvx", "entry"),
        ({"url": "file:///etc/passwd"}, "http"),
        ({"url": "http://"}, "http"),
        ({"url": "http://h:99999/"}, "http"),
        ({"url": "http://h/\n"}, "http"),
        ({"type": "sse", "url": "http://h/sse"}, "SSE"),
        ({"url": "http://h/", "headers": {"X-A": "b\r\nX-C: d"}}, "header"),
        ({"url": "http://h/", "headers": {"X A": "b"}}, "header"),
    ],
)
def test_an_entry_that_cannot_be_used_costs_only_itself(tmp_path: Path, entry: Json, word: str) -> None:
    config = read_config(write(tmp_path / "mcp.json", {"bad": entry, "good": {"command": "x"}}))
    assert list(config.servers) == ["good"]
    assert word in config.problems["bad"] and "'bad'" in config.problems["bad"]


@pytest.mark.parametrize("text", ["{", "[]", '{"servers": {}}', '{"mcpServers": []}', "\xff", "[" * 100_000])
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mcp.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"mcp\.json"):
        read_config(file)


def test_names_choose_from_the_users_file_and_paths_from_others(tmp_path: Path) -> None:
    own = write(tmp_path / "home/mcp.json", {"time": {"command": "a"}, "files": {"command": "b"}, "odd": {}})
    other = write(tmp_path / "project/servers.json", {"build": {"command": "c"}, "test": {"command": "d"}})
    config, names = choose(["files", f"{other}:test"], user_file=own)
    assert names == ("files", "test") == tuple(config.servers)
    assert config.servers["test"].word == f"{other}:test" and config.servers["files"].word == "files"
    assert choose([str(other)], user_file=own)[1] == ("build", "test")
    config, names = choose(["all"], user_file=own)
    assert names == ("time", "files", "odd") and list(config.problems) == ["odd"]


def test_unknown_names_and_shared_names_are_refused(tmp_path: Path) -> None:
    own = write(tmp_path / "home/mcp.json", {"time": {"command": "a"}})
    other = write(tmp_path / "servers.json", {"time": {"command": "c"}})
    with pytest.raises(UsageError, match="Did you mean 'time'"):
        choose(["tiem"], user_file=own)
    with pytest.raises(UsageError, match="both have"):
        choose(["time", str(other)], user_file=own)
    with pytest.raises(UsageError, match="There is no"):
        choose(["time"], user_file=tmp_path / "none.json")


def test_variables_are_filled_in_from_the_environment() -> None:
    values = {"A": "Bearer ${KEY}", "B": "${HOST:-localhost}:${PORT:-80}", "C": "$KEY ${}"}
    assert expand(values, {"KEY": "k", "PORT": "1"}) == {"A": "Bearer k", "B": "localhost:1", "C": "$KEY ${}"}
    with pytest.raises(UsageError, match="KEY is not set"):
        expand(values, {})


def test_a_url_is_shown_without_its_secrets() -> None:
    assert shown_url("https://me:pass@host:8/mcp?api_key=s3cret#frag") == "https://host:8/mcp?..."


def test_secrets_are_not_in_the_representation() -> None:
    assert "s3cret" not in repr(Command("x", (), {"KEY": "s3cret"}, Path("/")))
    assert "s3cret" not in repr(Endpoint("http://h/?s3cret", {"Authorization": "s3cret"}))
