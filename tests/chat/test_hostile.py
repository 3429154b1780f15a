"""The most hostile sampler there is: random weights at temperature 2."""

from __future__ import annotations

from pathlib import Path

from tests.hostile import count_valid
from tests.hostile_schemas import schemas
from tests.tiny_model import write_tiny_model


async def test_every_call_is_finished_and_valid_whatever_the_schema(tmp_path: Path) -> None:
    every = len(schemas())
    assert every >= 100
    model = write_tiny_model(tmp_path / "random.gguf", context=4096)
    assert await count_valid(model, 2 * every) == []
