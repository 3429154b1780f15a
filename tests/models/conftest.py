"""Homes of their own, a hub on loopback and small GGUF files for the tests of models."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fclocal.models.fit import Machine
from fclocal.models.hub import Hub
from fclocal.models.store import Store
from tests.fake_hub import FakeHub, serve
from tests.gguf_bytes import gguf


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"FCLOCAL_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with serve() as hub:
        yield hub


@pytest.fixture
def hub(fake: FakeHub) -> Hub:
    return Hub(endpoint=fake.endpoint, timeout=2.0)


@pytest.fixture
def store(homes: None) -> Store:
    return Store()


@pytest.fixture
def machine() -> Machine:
    return Machine(memory=16 << 30)


@pytest.fixture
def model() -> bytes:
    """A whole small model of about 3 MB whose every byte matters to a hash."""
    noise = random.Random(7).randbytes(1 << 16)
    return gguf(tensors={"token_embd.weight": ((64, 5), 1), "blk.0.ffn_up.weight": ((1024, 1500), 1)}, fill=noise)
