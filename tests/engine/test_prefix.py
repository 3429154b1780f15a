"""Which KV memory a prompt starts from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fclocal.engine.prefix import Slot, common_prefix, place

BLOCK = list(range(100))


def test_the_longest_common_prefix_wins() -> None:
    slots = [Slot(0, [*BLOCK[:50], 999], used=9), Slot(1, [*BLOCK, 1, 2], used=1), Slot(2)]
    placement = place([*BLOCK, 7, 8], slots)
    assert placement is not None
    assert (placement.slot.id, placement.keep, placement.donor) == (1, 100, None)


def test_the_last_token_is_always_decoded() -> None:
    placement = place(BLOCK, [Slot(0, list(BLOCK))])
    assert placement is not None
    assert placement.keep == 99


def test_a_long_conversation_is_not_thrown_away_for_its_first_tokens() -> None:
    slots = [Slot(0, [*BLOCK, *range(1000, 2000)], used=5), Slot(1, [3, 3], used=1), Slot(2, [4] * 80, used=3)]
    placement = place([*BLOCK, 5], slots)
    assert placement is not None
    assert placement.slot.id == 1
    assert placement.donor is slots[0]
    assert placement.keep == 100


def test_a_busy_slot_lends_its_prefix() -> None:
    slots = [Slot(0, [*BLOCK, 1], busy=True), Slot(1)]
    placement = place([*BLOCK, 2], slots)
    assert placement is not None
    assert (placement.slot.id, placement.donor, placement.keep) == (1, slots[0], 100)


def test_memory_that_cannot_be_shared_is_not() -> None:
    placement = place([*BLOCK, 2], [Slot(0, [*BLOCK, 1], busy=True), Slot(1)], sharing=False)
    assert placement is not None
    assert (placement.donor, placement.keep) == (None, 0)


def test_nothing_free() -> None:
    assert place(BLOCK, [Slot(0, busy=True)]) is None


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_common_prefix_is_the_longest(one: list[int], other: list[int]) -> None:
    size = common_prefix(one, other)
    assert one[:size] == other[:size]
    assert size in (len(one), len(other)) or one[size] != other[size]
