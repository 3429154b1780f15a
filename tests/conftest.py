"""What holds for every test: its own home, and no network but this machine's loopback."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run: a failure is a change's own.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

# A shell starts a background job with Ctrl-C ignored, and every process of a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_connect = socket.socket.connect


def _loopback_only(self: socket.socket, address: object) -> None:
    """Refuse any connection that leaves the machine."""
    host = address[0] if isinstance(address, tuple) else "localhost"
    if self.family != socket.AF_UNIX and host not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"tests do not connect to {host}")
    _connect(self, address)  # type: ignore[arg-type]  # whatever the caller gave


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, data and caches in the test's own folder."""
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"FCLOCAL_{name}", str(tmp_path / f"fclocal-{name.lower()}"))
    monkeypatch.setattr(socket.socket, "connect", _loopback_only)
