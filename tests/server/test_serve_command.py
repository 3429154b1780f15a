"""`fclocal serve` as a process: who may start it where, what it says, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from fclocal.cli.serving import read_duration, read_key
from fclocal.errors import UsageError
from fclocal.runtime import Options
from fclocal.server.run import refuse_open_door
from fclocal.server.settings import Settings


def serve(*words: str, key: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, "FCLOCAL_API_KEY": key, "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "fclocal", "serve", *words], env=environment, stderr=subprocess.PIPE, text=True
    )


def test_a_taken_port_is_exit_13() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = serve("--port", str(taken.getsockname()[1]))
        _, story = process.communicate(timeout=60)
    assert process.returncode == 13 and "taken" in story and "Traceback" not in story


def test_others_need_a_key() -> None:
    process = serve("--port", "0", "--host", "0.0.0.0")
    _, story = process.communicate(timeout=60)
    assert process.returncode == 2 and "FCLOCAL_API_KEY" in story
    for host in ("::", "10.0.0.1", "example.org", ""):
        with pytest.raises(UsageError, match="key"):
            refuse_open_door(Settings(options=Options(), host=host))
    refuse_open_door(Settings(options=Options(), host="::1"))
    refuse_open_door(Settings(options=Options(), host="::", key="sesam"))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_serves_with_a_key_logs_json_and_ends_on_interrupt() -> None:
    process = serve("--port", "0", "--host", "0.0.0.0", "--log-format", "json", key="sesam")
    assert process.stderr
    with process:
        port = ""
        while not port:
            found = re.search(r"http://0\.0\.0\.0:(\d+)", process.stderr.readline())
            port = found[1] if found else ""
        url = f"http://127.0.0.1:{port}/v1/models"
        assert requests.get(url, timeout=30).status_code == 401
        assert requests.get(url, headers={"Authorization": "Bearer sesam"}, timeout=30).status_code == 200
        process.send_signal(signal.SIGINT)
        lines = process.stderr.read().splitlines()
        assert process.wait(30) == 130
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert [entry["status"] for entry in entries] == [401, 200]
    assert "sesam" not in "".join(lines)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_as_json_the_address_is_the_one_value_on_stdout() -> None:
    words = [sys.executable, "-m", "fclocal", "serve", "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        value = json.loads(process.stdout.readline())
        assert value["model"] == "starter"
        assert requests.get(f"{value['openai']}/models", timeout=30).status_code == 200
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")


def test_keys_come_from_private_files(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sesam\n")
    file.chmod(0o600)
    assert read_key(file) == "sesam"
    file.write_text("\n")
    with pytest.raises(UsageError, match="empty"):
        read_key(file)
    if os.name == "posix":
        file.chmod(0o644)
        with pytest.raises(UsageError, match="others"):
            read_key(file)
    with pytest.raises(UsageError):
        read_key(tmp_path / "none")


def test_durations() -> None:
    assert [read_duration(word) for word in ("300", "90s", "5m", "1.5h", "0", "-1")] == [300, 90, 300, 5400, 0, None]
    for word in ("", "x", "-2", "5d", "1e9", "nan"):
        with pytest.raises(UsageError):
            read_duration(word)
