"""Decide which KV memory a new prompt can start from. Knows token lists, not llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

# A donor's prefix is worth sharing only when it saves at least this many tokens of prefill.
WORTH_SHARING = 16


@dataclass(slots=True)
class Slot:
    """One sequence of the KV memory. `tokens` are exactly those in memory, `used` is when it was last busy."""

    id: int
    tokens: list[int] = field(default_factory=list)
    busy: bool = False
    used: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a prompt goes: keep the first `keep` tokens of `slot`, or share those of `donor` when there is one."""

    slot: Slot
    keep: int
    donor: Slot | None = None


def place(prompt: Sequence[int], slots: Sequence[Slot], *, sharing: bool = True) -> Placement | None:
    """Choose the free slot that saves most prefill without throwing away a long conversation; None when all are busy.

    At least the prompt's last token is always decoded, since its logits are needed. `sharing` off (recurrent models)
    never takes a prefix from another slot.
    """
    free = [slot for slot in slots if not slot.busy]
    if not free:
        return None
    common = {slot.id: common_prefix(prompt[:-1], slot.tokens) for slot in slots}
    best = max(free, key=lambda slot: (common[slot.id], -slot.used))
    oldest = min(free, key=lambda slot: (bool(slot.tokens), slot.used))
    if not sharing:
        return Placement(best, common[best.id])
    if 2 * common[best.id] < len(best.tokens):
        best = oldest
    donor = max(slots, key=lambda slot: common[slot.id])
    if donor is not best and common[donor.id] >= common[best.id] + WORTH_SHARING:
        return Placement(best, common[donor.id], donor)
    return Placement(best, common[best.id])


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of equal leading tokens."""
    limit = min(len(one), len(other))
    if list(one[:limit]) == list(other[:limit]):
        return limit
    return next(at for at in range(limit) if one[at] != other[at])
