"""Checkpoints become GGUF files that compute what the checkpoint computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fclocal.models.convert import convert, plan_conversion
from fclocal.models.store import Store
from fclocal.native.binding import Model
from tests.models.checkpoints import FAMILIES, forward, logits, make_checkpoint, write_checkpoint

TOKENS = [1, 270, 263, 9, 299, 275, 260, 261, 262, 40, 41, 42]


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_checkpoint(family: str, tmp_path: Path, store: Store) -> None:
    made = make_checkpoint(FAMILIES[family])
    folder = write_checkpoint(made, tmp_path / family)
    path = convert(plan_conversion(folder, store, name=family, quant="F32"), store, print)
    with Model.load(path) as model:
        np.testing.assert_allclose(logits(model, TOKENS), forward(made, TOKENS), atol=1e-3)
