"""Which model the first-run screen names for a machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fclocal.models.fit import Gpu, Machine
from fclocal.tui.model_rows import QUICK_ON_CPU, Shelf, read_shelf

GIB = 1 << 30


@pytest.fixture
def shelf() -> Shelf:
    return read_shelf()


@pytest.mark.parametrize("memory", [4, 8, 24, 64, 512])
def test_on_the_cpu_it_is_small_enough_to_answer(shelf: Shelf, memory: int) -> None:
    best = replace(shelf, machine=Machine(memory * GIB)).best
    assert best is not None
    assert best.entry is not None
    assert best.size is not None
    assert best.size <= QUICK_ON_CPU
    assert best.size < memory * GIB
    assert not (best.entry.needs_adapter or best.entry.gated or best.entry.paid)


def test_a_gpu_that_holds_all_of_it_allows_a_larger_one(shelf: Shelf) -> None:
    on_cpu = replace(shelf, machine=Machine(14 * GIB)).best
    on_gpu = replace(shelf, machine=Machine(14 * GIB, (Gpu("gpu", 24 * GIB, 24 * GIB),))).best
    assert on_cpu is not None
    assert on_gpu is not None
    assert (on_gpu.size or 0) > QUICK_ON_CPU >= (on_cpu.size or 0)


def test_a_base_without_its_adapter_is_never_named(shelf: Shelf) -> None:
    bases = tuple(row for row in shelf.rows if row.entry and row.entry.needs_adapter)
    assert {row.name for row in bases} == {"deepseek-coder-33b", "deepseek-coder-1.3b"}
    huge = Machine(512 * GIB, (Gpu("gpu", 400 * GIB, 400 * GIB),))
    assert replace(shelf, rows=bases, machine=huge).best is None


def test_there_may_be_none(shelf: Shelf) -> None:
    assert replace(shelf, machine=Machine(2 * GIB)).best is None
