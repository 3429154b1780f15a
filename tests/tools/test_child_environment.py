"""Keys and tokens stay out of the processes of Python files, unless the user lets them in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fclocal.messages import FunctionCall
from fclocal.tools.child_environment import child_environment, withheld_in
from fclocal.tools.gather import Toolbox
from fclocal.tools.python import PythonFile

SEE = """
import os

def seen() -> list[str]:
    return [name for name, value in os.environ.items() if value == "canary"]

def need() -> str:
    return os.environ["MY_WEATHER_KEY"]
"""


def test_only_what_is_listed_is_passed() -> None:
    environ = {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "x", "HF_TOKEN": "t", "OPENAI_API_KEY": "k", "MY_KEY": "m"}
    assert set(child_environment(environ=environ)) == {"PATH", "LC_ALL", "PYTHONPATH"}
    assert set(child_environment(["MY_*"], environ)) == {"PATH", "LC_ALL", "PYTHONPATH", "MY_KEY"}


def test_a_failure_that_names_a_withheld_variable_says_how_to_pass_it() -> None:
    environ = {"MY_KEY": "m", "PATH": "/bin"}
    assert '["MY_KEY"]' in withheld_in("KeyError: 'MY_KEY'", {"PATH": "/bin"}, environ)
    assert withheld_in("KeyError: 'MY_KEY'", environ, environ) == ""
    assert withheld_in("KeyError: 'PATH' or 'OTHER'", {"PATH": "/bin"}, environ) == ""


async def test_a_function_sees_no_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "FCLOCAL_API_KEY", "MY_WEATHER_KEY"):
        monkeypatch.setenv(name, "canary")
    (tmp_path / "see.py").write_text(SEE)
    box = Toolbox([PythonFile(tmp_path / "see.py")])
    try:
        assert json.loads((await box.call(FunctionCall("1", "seen", {}))).content) == []
        failure = await box.call(FunctionCall("2", "need", {}))
        assert not failure.ok and 'environment = [\\"MY_WEATHER_KEY\\"]' in failure.content
        assert "canary" not in failure.content
    finally:
        await box.close()
    allowed = Toolbox([PythonFile(tmp_path / "see.py", variables=["MY_WEATHER_KEY"])])
    try:
        assert json.loads((await allowed.call(FunctionCall("1", "seen", {}))).content) == ["MY_WEATHER_KEY"]
    finally:
        await allowed.close()
