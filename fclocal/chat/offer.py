"""Which functions a reply may call: each schema compiled, broken ones set aside with their reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fclocal.errors import UsageError
from fclocal.functions import Function
from fclocal.grammar.calls import Choice, NamedChoice
from fclocal.grammar.schema import BrokenSchema, CompiledSchema, compile_schema


@dataclass(frozen=True, slots=True)
class Offered:
    """A function with its compiled schema."""

    function: Function
    schema: CompiledSchema


@dataclass(frozen=True, slots=True)
class Offer:
    """The functions of one reply, by name, and those set aside (name -> reason)."""

    by_name: dict[str, Offered]
    set_aside: dict[str, str]

    @property
    def functions(self) -> tuple[Function, ...]:
        return tuple(offered.function for offered in self.by_name.values())

    @property
    def without_arguments(self) -> frozenset[str]:
        """Names of the functions that may be called without any argument."""
        return frozenset(name for name, offered in self.by_name.items() if not offered.function.required)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"{name} is set aside: {reason}" for name, reason in self.set_aside.items())


def make_offer(functions: Sequence[Function], choice: Choice) -> Offer:
    """Compile every schema.

    Raises UsageError when the chosen function is unknown or broken, or when a call is required and none is left.
    """
    by_name: dict[str, Offered] = {}
    set_aside: dict[str, str] = {}
    for function in functions:
        try:
            by_name[function.name] = Offered(function, compile_schema(function.parameters))
        except BrokenSchema as broken:
            set_aside[function.name] = broken.reason
    offer = Offer(by_name, set_aside)
    _refuse_choice(offer, choice)
    if functions and not by_name:
        raise UsageError(f"No function is left to offer: {'; '.join(offer.notes)}.", "Try: fclocal tools check")
    return offer


def _refuse_choice(offer: Offer, choice: Choice) -> None:
    if choice == "required" and not offer.by_name and not offer.set_aside:
        raise UsageError("A call is required, but there are no functions.", "Add some with --functions FILE.")
    if not isinstance(choice, NamedChoice):
        return
    if choice.name in offer.set_aside:
        raise UsageError(f"{choice.name} cannot be called: {offer.set_aside[choice.name]}.", "Repair its schema.")
    if choice.name not in offer.by_name:
        known = ", ".join(offer.by_name) or "none"
        raise UsageError(f"No function {choice.name!r} to choose.", f"There are: {known}.")
