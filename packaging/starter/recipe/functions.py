"""One offered function made from an intent: names chosen, metadata rendered, arguments of a call. Knows no wording."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from recipe.bank import Intent, Slot
from recipe.render import Metadata, suffixed
from recipe.values import Json, Value


@dataclass(frozen=True, slots=True)
class Argument:
    """One slot as it stands in a metadata object."""

    slot: Slot
    name: str
    required: bool


@dataclass(frozen=True, slots=True)
class Function:
    """An intent with its names for one block."""

    intent: Intent
    name: str
    metadata: Metadata
    arguments: tuple[Argument, ...]

    def call(self, values: dict[str, Value], given: set[str]) -> dict[str, Json]:
        return {
            argument.name: values[argument.slot.key].json for argument in self.arguments if argument.slot.key in given
        }

    def missing(self, given: set[str]) -> list[Argument]:
        return [argument for argument in self.arguments if argument.required and argument.slot.key not in given]

    @property
    def declared(self) -> set[str]:
        return {argument.slot.key for argument in self.arguments}


def stated(slot: Slot, required: bool, *, everywhere: bool, bare_enum: bool) -> list[str]:
    parts: list[str] = []
    if everywhere or not required or (slot.type == "enum" and not bare_enum):
        parts.append("required" if required else "optional")
    if not required and slot.default is not None:
        parts.append(f"default {json.dumps(slot.default, ensure_ascii=False)}")
    if slot.type == "enum":
        parts.append("one of " + ", ".join(json.dumps(choice, ensure_ascii=False) for choice in slot.choices))
    return parts


def items_of(rng: Random, slot: Slot) -> Json:
    first = slot.sample(rng).json
    inner = first[0] if isinstance(first, list) and first else ""
    return {"type": "string" if isinstance(inner, str) else "integer" if isinstance(inner, int) else "number"}


def argument_metadata(
    rng: Random, slot: Slot, name: str, description: str, required: bool, *, everywhere: bool, verbatim: bool
) -> Metadata:
    kind = "string" if slot.type == "enum" else slot.type
    entry: Metadata = {"name": name, "type": kind}
    items_first = slot.type == "array" and not everywhere and (verbatim or rng.random() < 0.25)
    if items_first:
        entry["items"] = items_of(rng, slot)
    style = rng.random() if slot.type == "enum" and required and not everywhere else 1.0
    if style < 0.45:
        entry |= {"description": description, "enum": list(slot.choices)}
    else:
        entry["description"] = suffixed(
            description, stated(slot, required, everywhere=everywhere, bare_enum=style < 0.75)
        )
    if slot.type == "array" and not items_first:
        entry["items"] = items_of(rng, slot)
    return entry


def offer(
    rng: Random, intent: Intent, *, everywhere: bool, taken: set[str], names: Sequence[str] = (), flips: float = 0.08
) -> Function | None:
    """The intent as a function of a block; None when its name or an argument name is already taken."""
    name = rng.choice(names or intent.names)
    if name in taken:
        return None
    slots = list(intent.slots)
    if not intent.verbatim:
        slots = [slot for slot in slots if slot.required or rng.random() < 0.75]
        if rng.random() < 0.2:
            rng.shuffle(slots)
    arguments: list[Argument] = []
    rendered: list[Metadata] = []
    used: set[str] = set()
    for slot in slots:
        options = [option for option in slot.names if option not in used]
        if not options:
            return None
        required = slot.required
        if not intent.verbatim and rng.random() < flips:
            required = not required
        argument_name = rng.choice(options)
        used.add(argument_name)
        description = "" if not intent.verbatim and rng.random() < 0.04 else rng.choice(slot.descriptions)
        arguments.append(Argument(slot, argument_name, required))
        rendered.append(
            argument_metadata(
                rng, slot, argument_name, description, required, everywhere=everywhere, verbatim=intent.verbatim
            )
        )
    metadata: Metadata = {"function": name, "description": rng.choice(intent.descriptions), "arguments": list(rendered)}
    return Function(intent, name, metadata, tuple(arguments))
