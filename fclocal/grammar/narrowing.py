"""A smaller language for a last try: valid wherever such a one can be found, and as little smaller as needed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from fclocal.functions import Json
from fclocal.grammar.build import fields, literals
from fclocal.grammar.cases import key
from fclocal.grammar.check import Problem, check
from fclocal.grammar.draw import draw
from fclocal.grammar.pointers import first_segment
from fclocal.grammar.rules import Rules
from fclocal.grammar.schema import CompiledSchema, compile_schema, compile_value, slim_shape
from fclocal.grammar.shapes import Fields, Member, Shape

TRIES = 24
SEARCH = 240
MOST_EXAMPLES = 16


def narrowed(compiled: CompiledSchema, problems: Sequence[Problem] = ()) -> CompiledSchema:
    """The schema with a smaller language, by what the check had against an earlier try.

    First only the offending arguments are cut down, then all of them. What still is not surely valid becomes a choice
    of whole examples that the check has accepted. Where none is found, the smallest language is returned as it is.
    """
    where = frozenset(first_segment(problem.pointer) for problem in problems) or frozenset({""})
    shape = _smaller(json.dumps(compiled.parameters, ensure_ascii=False), compiled.arguments, where)
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
        if len(_accepted(candidate, compiled, TRIES)) == TRIES:
            return candidate
    for candidate in (*candidates, compiled.shape):
        found = _accepted(candidate, compiled, SEARCH)
        if found:
            different = {key(value): value for value in found}
            return literals(tuple(different.values())[:MOST_EXAMPLES])
    return slim


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


def _accepted(shape: Shape, compiled: CompiledSchema, tries: int) -> list[Json]:
    chance = random.Random(tries)
    values = [shape.extent.least, *(draw(shape, chance) for _ in range(tries - 1))]
    return [value for value in values if not check(value, compiled.parameters)]
