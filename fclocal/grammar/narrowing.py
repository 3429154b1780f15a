"""A smaller language for a last try: valid wherever such a one can be found, and as little smaller as needed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from fclocal.functions import Json
from fclocal.grammar.build import fields, literals
from fclocal.grammar.cases import key
from fclocal.grammar.check import Problem, check
from fclocal.grammar.draw import draw
from fclocal.grammar.pointers import first_segment
from fclocal.grammar.rules import Rules
from fclocal.grammar.schema import CompiledSchema, canonical, compile_schema, compile_value, slim_shape
from fclocal.grammar.shapes import Fields, Member, Shape, length

TRIES = 24
SEARCH = 240
MOST_EXAMPLES = 16


def narrowed(compiled: CompiledSchema, problems: Sequence[Problem] = ()) -> CompiledSchema:
    """The schema with a smaller language, by what the check had against an earlier try.

    First only the offending arguments are cut down, then all of them. What still is not surely valid becomes a choice
    of whole examples that the check has accepted. Where none is found, the smallest language is returned as it is.
    """
    where = frozenset(first_segment(problem.pointer) for problem in problems) or frozenset({""})
    shape = _smaller(canonical(compiled.parameters), compiled.arguments, where)
    rules = Rules()
    one_line, indented = rules.one_line(shape), rules.indented(shape)
    return replace(compiled, shape=shape, rules=rules.named, one_line=one_line, indented=indented)


@lru_cache(maxsize=256)
def _smaller(text: str, arguments: bool, where: frozenset[str]) -> Shape:
    parameters = json.loads(text)
    compiled = compile_schema(parameters) if arguments else compile_value(parameters)
    slim = slim_shape(compiled)
    candidates = list(_candidates(compiled.shape, slim, where))
    for candidate in candidates:
        if _is_safe(candidate, compiled):
            return candidate
    for candidate in (*candidates, compiled.shape):
        found = _accepted(candidate, compiled)
        frozen = _frozen(candidate, found, where) if found else None
        if frozen is not None and _is_safe(frozen, compiled):
            return frozen
        if found:
            return literals(tuple(found[:MOST_EXAMPLES]))
    return slim


def _frozen(shape: Shape, examples: Sequence[Json], where: frozenset[str]) -> Shape | None:
    """The shape with the offending arguments taken from examples."""
    if not isinstance(shape, Fields) or "" in where or shape.fewest or shape.most is not None:
        return None
    members: list[Member] = []
    for member in shape.members:
        seen = [example[member.key] for example in examples if isinstance(example, Mapping) and member.key in example]
        if member.key not in where:
            members.append(member)
        elif seen:
            members.append(replace(member, shape=literals(tuple(seen[:MOST_EXAMPLES]))))
    least: dict[str, Json] = {member.key: member.shape.extent.least for member in members if member.required}
    return fields(tuple(members), shape.extras, 0, None, least)


def _candidates(full: Shape, slim: Shape, where: frozenset[str]) -> Iterator[Shape]:
    if (
        "" not in where
        and isinstance(full, Fields)
        and isinstance(slim, Fields)
        and not full.fewest
        and full.most is None
    ):
        kept = {member.key: member for member in slim.members}
        members = tuple(_one_of(member, kept, where) for member in full.members)
        present = tuple(member for member in members if member is not None)
        least: dict[str, Json] = {member.key: member.shape.extent.least for member in present if member.required}
        yield fields(present, (), 0, None, least)
    yield slim


def _one_of(member: Member, kept: dict[str, Member], where: frozenset[str]) -> Member | None:
    """A member as it is, or cut down where it was refused; an optional one is then left out."""
    return kept.get(member.key) if member.key in where else member


def _accepted(shape: Shape, compiled: CompiledSchema) -> list[Json]:
    """Different valid values drawn from the shape, the shortest first."""
    chance = random.Random(SEARCH)
    values = [shape.extent.least, *(draw(shape, chance) for _ in range(SEARCH))]
    different = {key(value): value for value in values if not check(value, compiled.parameters)}
    return sorted(different.values(), key=length)


def _is_safe(shape: Shape, compiled: CompiledSchema) -> bool:
    """Whether everything that was drawn from the shape is valid."""
    chance = random.Random(TRIES)
    return not any(check(draw(shape, chance), compiled.parameters) for _ in range(TRIES))
