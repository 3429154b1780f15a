from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fclocal.config import Config, Files
from fclocal.errors import UsageError
from fclocal.functions import Json, to_metadata
from fclocal.grammar.schema import compile_schema
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools.builtin import DEFAULT, Builtins, expand
from fclocal.tools.network import Hosts
from fclocal.tools.policy import Policy

ALL = (*DEFAULT, "list_files", "read_file", "save_chat", "delete_file")
NOWHERE = "http://127.0.0.1:9"


def builtins(root: Path) -> Builtins:
    return Builtins(
        ["all", "search_bing"],
        config=Config(files=Files(roots=(root,))),
        clock=lambda: datetime(2026, 11, 23, 13, 5, tzinfo=UTC),
        hosts=Hosts(NOWHERE, NOWHERE, NOWHERE, NOWHERE),
    )


async def result(root: Path, name: str, **arguments: Json) -> FunctionResult:
    return await builtins(root).call(FunctionCall("7", name, arguments))


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ()),
        (("none",), ()),
        (("default",), DEFAULT),
        (("all",), ALL),
        (("calculator", "weather"), ("calculator", "weather")),
        (("default", "read_file", "weather"), (*DEFAULT, "read_file")),
        (("default", "none", "calculator"), ("calculator",)),
        (("search_bing",), ("search_bing",)),
    ],
)
def test_words_stand_for_functions(words: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert expand(words) == names


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"No built-in function 'calculater'\. Did you mean 'calculator'\?"):
        expand(["calculater"])
    with pytest.raises(UsageError, match="There are: calculator, "):
        Builtins(["zzz"])


async def test_the_ten_functions_and_what_they_may_do(tmp_path: Path) -> None:
    tools = {tool.function.name: tool for tool in await builtins(tmp_path).list()}
    assert tuple(tools) == (*ALL, "search_bing")
    assert {tool.origin for tool in tools.values()} == {"built-in"}
    without_asking = {
        name for name, tool in tools.items() if Policy().decide(tool, FunctionCall("1", name, {})).action == "allow"
    }
    assert without_asking == {"calculator", "convert_units", "current_time"}
    reading = {
        name
        for name, tool in tools.items()
        if Policy("allow-reads").decide(tool, FunctionCall("1", name, {})).action == "allow"
    }
    assert reading - without_asking == {"list_files", "read_file"}
    for tool in tools.values():
        compile_schema(tool.function.parameters)
    assert tools["search_bing"].function.parameters == tools["search_web"].function.parameters
    assert to_metadata(tools["search_bing"].function)["function"] == "search_bing"


@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [
        ("calculator", {"expression": "12 * (3 + 4)"}, '{"result": 84}'),
        ("calculator", {"expression": "0.1 + 0.2"}, '{"result": 0.3}'),
        ("convert_units", {"value": 10, "from_unit": "km", "to_unit": "miles"}, '{"value": 6.2137, "unit": "miles"}'),
        (
            "current_time",
            {"timezone": "Paris"},
            '{"timezone": "Europe/Paris", "time": "2026-11-23 14:05", "weekday": "Monday"}',
        ),
    ],
)
async def test_computing(tmp_path: Path, name: str, arguments: dict[str, Json], content: str) -> None:
    assert await result(tmp_path, name, **arguments) == FunctionResult("7", content, name=name)


async def test_no_time_zone_is_the_local_one(tmp_path: Path) -> None:
    assert json.loads((await result(tmp_path, "current_time")).content) == json.loads(
        (await result(tmp_path, "current_time", timezone="local")).content
    )


async def test_files(tmp_path: Path) -> None:
    saved = await result(tmp_path, "save_chat", fileName="talk", fileDescription="Cats", fileContent="Meow")
    assert json.loads(saved.content) == {"saved": "talk.txt"}
    assert json.loads((await result(tmp_path, "list_files", folder=".")).content) == ["talk.txt"]
    assert json.loads((await result(tmp_path, "read_file", path="talk.txt")).content) == "Cats\n\nMeow\n"
    assert json.loads((await result(tmp_path, "delete_file", fileNames=["talk.txt"])).content) == {
        "deleted": ["talk.txt"]
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "arguments", "part"),
    [
        ("calculator", {"expression": "1/0"}, "Division by zero."),
        ("calculator", {}, "Invalid arguments: 'expression' is a required property"),
        ("calculator", {"expression": 12}, "Invalid arguments"),
        ("convert_units", {"value": 1, "from_unit": "km", "to_unit": "kg"}, "they measure different things"),
        ("convert_units", {"value": 10**400, "from_unit": "km", "to_unit": "m"}, "out of range"),
        ("current_time", {"timezone": "Atlantis"}, "No time zone"),
        ("weather", {"city": "Paris"}, "offline"),
        ("search_arxiv", {"query": "cats"}, "offline"),
        ("search_web", {"query": "cats"}, "not set up"),
        ("search_bing", {"query": "cats"}, "not set up"),
        ("read_file", {"path": "../x"}, "'..'"),
        ("list_files", {"folder": "/etc"}, "outside"),
        ("delete_file", {"fileNames": ["x"]}, "There is no 'x'"),
        ("save_chat", {"fileName": "", "fileDescription": "", "fileContent": ""}, "needs a name"),
        ("format_disk", {}, "no built-in function"),
    ],
)
async def test_failures_are_data(tmp_path: Path, name: str, arguments: dict[str, Json], part: str) -> None:
    failed = await result(tmp_path, name, **arguments)
    assert not failed.ok and failed.name == name and failed.call_id == "7"
    assert part in json.loads(failed.content)["error"]
