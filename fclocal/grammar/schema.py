"""JSON Schema of a function's parameters -> what the grammar enforces, and what is left to the final check.

A schema never fails a request: what a grammar cannot hold is taken out at its JSON pointer and noted; a schema that is
itself broken raises BrokenSchema, and only that function is set aside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from fclocal.events import Enforcement
from fclocal.functions import Function, Json, JsonObject
from fclocal.grammar.build import Builder
from fclocal.grammar.check import check
from fclocal.grammar.expand import Expansion, TooMuchWork
from fclocal.grammar.keywords import ASSERTIONS
from fclocal.grammar.plan import Planner
from fclocal.grammar.plans import Notes
from fclocal.grammar.probe import refusal, refused_leaf
from fclocal.grammar.rules import Rules
from fclocal.grammar.shapes import Shape
from fclocal.grammar.source import NEVER, BrokenSchema, Conjunction, Place, Source

__all__ = ["BrokenSchema", "CompiledSchema", "SchemaReport", "compile_schema", "compile_value", "report"]

MAX_BYTES = 1 << 20
_KEYED = frozenset({"dependentRequired", "dependentSchemas", "dependencies", "patternProperties"})
# Grammars of more rules than this are tried out as a whole, smaller ones leaf by leaf.
MANY_RULES = 100


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """What the grammar makes of one JSON Schema.

    `unenforced` maps the JSON pointer of a keyword in the schema to the keyword that only the final check enforces,
    `unchecked` the same for keywords that nobody can check, `caps` a pointer to the limit put on an unbounded value.
    `minimal` is a shortest value. `rules` are Lark rules, `one_line` and `indented` name the rule of the whole value in
    either layout, `closing` is an upper bound of the bytes that close the value from anywhere. `enforcing` are the
    pointers of the keywords that the grammar enforces. `arguments` says that the value is a function's arguments.
    """

    parameters: JsonObject | bool
    arguments: bool
    enforced: Enforcement
    enforcing: tuple[str, ...]
    unenforced: Mapping[str, str]
    unchecked: Mapping[str, str]
    caps: Mapping[str, int]
    shape: Shape = field(repr=False, compare=False)
    rules: Mapping[str, str] = field(repr=False)
    one_line: str
    indented: str

    @property
    def minimal(self) -> Json:
        return self.shape.extent.least

    @property
    def closing(self) -> int:
        return self.shape.extent.closing


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """What becomes of one function's schema.

    `status` is "ok" or "set aside", with its `reason`. `enforced`, `checked` and `refused` are JSON pointers of
    keywords: by the grammar, only after generation, and by nobody. `caps` maps pointers to limits that were added.
    """

    name: str
    status: Literal["ok", "set aside"]
    reason: str
    enforced: tuple[str, ...]
    checked: tuple[str, ...]
    refused: tuple[str, ...]
    caps: Mapping[str, int]


def compile_schema(parameters: JsonObject) -> CompiledSchema:
    """Compile the parameters of one function, an object. Raises BrokenSchema. Remembers what it has compiled."""
    return _compile(canonical(parameters), arguments=True)


def compile_value(schema: JsonObject | bool) -> CompiledSchema:
    """Compile the schema of any JSON value. Raises BrokenSchema. Remembers what it has compiled."""
    return _compile(canonical(schema), arguments=False)


def report(function: Function) -> SchemaReport:
    """What is enforced, checked and refused of a function's schema."""
    try:
        compiled = compile_schema(function.parameters)
    except BrokenSchema as broken:
        return SchemaReport(function.name, "set aside", broken.reason, (), (), (), {})
    checked, refused = tuple(sorted(compiled.unenforced)), tuple(sorted(compiled.unchecked))
    return SchemaReport(function.name, "ok", "", compiled.enforcing, checked, refused, compiled.caps)


def slim_shape(compiled: CompiledSchema) -> Shape:
    """The shape with only what is required, lists as short as they may be, and formats in their plainest spelling."""
    return _slim(canonical(compiled.parameters), arguments=compiled.arguments) or compiled.shape


def canonical(schema: JsonObject | bool) -> str:
    """JSON text that keeps the order of keys: it is the order of the arguments."""
    return json.dumps(schema, default=dict)


@lru_cache(maxsize=1024)
def _compile(text: str, *, arguments: bool) -> CompiledSchema:
    if len(text) > MAX_BYTES:
        raise BrokenSchema(f"it is bigger than {MAX_BYTES >> 10} KiB")
    schema: Json = json.loads(text, parse_constant=_refuse_constant)
    source = Source(schema)
    compiled = _by_grammar(schema, source, arguments=arguments) or _open_value(schema, arguments=arguments)
    _refuse_endless(compiled)
    return compiled


@lru_cache(maxsize=256)
def _slim(text: str, *, arguments: bool) -> Shape | None:
    source = Source(json.loads(text))
    planner = Planner(Expansion(source), Notes(), narrow=True)
    try:
        return Builder(planner, narrow=True).build(_root(source, arguments=arguments))
    except (TooMuchWork, RecursionError, ArithmeticError):
        return None


def _refuse_constant(word: str) -> Json:
    raise BrokenSchema(f"{word} is not a JSON number")


def _root(source: Source, *, arguments: bool) -> Conjunction:
    return (source.root, _arguments_object(source)) if arguments else (source.root,)


def _arguments_object(source: Source) -> Place:
    """What holds of arguments beside their schema: they are an object, and an empty list of them is meant."""
    schema: dict[str, Json] = {"type": "object"}
    silent = not source.root.schema.keys() & (ASSERTIONS - {"type", "properties", "required"})
    if silent and source.root.schema.get("properties") == {}:
        schema["additionalProperties"] = False
    return source.made(source.root, "arguments", lambda: schema)


def _by_grammar(schema: Json, source: Source, *, arguments: bool) -> CompiledSchema | None:
    """The schema with all that a grammar holds, or without its patterns, or None when llguidance takes neither."""
    try:
        for plain in (False, True):
            compiled = _take_apart(schema, source, arguments=arguments, plain=plain)
            if not _is_refused(compiled):
                return compiled
    except (TooMuchWork, RecursionError, ArithmeticError):
        pass
    return None


def _take_apart(schema: Json, source: Source, *, arguments: bool, plain: bool = False) -> CompiledSchema:
    notes = Notes()
    expansion = Expansion(source)
    root = _root(source, arguments=arguments)
    shape = Builder(Planner(expansion, notes, plain=plain)).build(root)
    if shape is None:
        raise BrokenSchema(_why_nothing(expansion, source, arguments=arguments))
    # A pattern that RE2 cannot take is still enforced where the grammar holds it.
    unchecked = {at: word for at, word in notes.unchecked.items() if word == "format" or at in notes.left}
    notes.unchecked = unchecked
    left = {where: keyword for where, keyword in notes.left.items() if where not in unchecked}
    level: Enforcement = "partial" if left or notes.unchecked else "full"
    enforcing = _enforcing(expansion, {**left, **notes.unchecked})
    return _compiled(schema, shape, notes, left, level, enforcing, arguments=arguments)


def _compiled(
    schema: Json,
    shape: Shape,
    notes: Notes,
    left: Mapping[str, str],
    level: Enforcement,
    enforcing: tuple[str, ...],
    *,
    arguments: bool,
) -> CompiledSchema:
    rules = Rules()
    compiled = CompiledSchema(
        parameters=schema if isinstance(schema, Mapping | bool) else True,
        arguments=arguments,
        enforced=level,
        enforcing=enforcing,
        unenforced=left,
        unchecked=notes.unchecked,
        caps=notes.caps,
        shape=shape,
        one_line=rules.one_line(shape),
        indented=rules.indented(shape),
        rules=rules.named,
    )
    return _honest(compiled, schema)


def _honest(compiled: CompiledSchema, schema: Json) -> CompiledSchema:
    """Never call a schema fully enforced whose own shortest value the final check refuses."""
    if compiled.enforced != "full" or not isinstance(schema, Mapping):
        return compiled
    problems = check(compiled.minimal, schema)
    if not problems:
        return compiled
    return replace(
        compiled, enforced="partial", unenforced={f"/{problem.keyword}": problem.keyword for problem in problems}
    )


def _open_value(schema: Json, *, arguments: bool) -> CompiledSchema:
    """Any value of bounded size, for a schema that no grammar was made of; all of it is left to the check."""
    notes = Notes()
    source = Source({"type": "object"} if arguments else True)
    shape = Builder(Planner(Expansion(source), notes)).build((source.root,))
    assert shape is not None
    return _compiled(schema, shape, notes, {"": "the whole schema"}, "none", (), arguments=arguments)


def _is_refused(compiled: CompiledSchema) -> bool:
    if len(compiled.rules) <= MANY_RULES and not any(map(refused_leaf, compiled.rules.values())):
        return False
    lines = [f"{name}: {body}" for name, body in compiled.rules.items()]
    start = f"start: {compiled.one_line} | {compiled.indented}"
    return bool(refusal("\n".join(["%llguidance {}", start, *lines])))


def _why_nothing(expansion: Expansion, source: Source, *, arguments: bool) -> str:
    kinds = {kind for case in expansion.cases((source.root,)) for kind in case.kinds}
    if arguments and kinds and "object" not in kinds:
        return f"its type is {' or '.join(sorted(kinds))}, not object"
    return "no arguments of reasonable length can satisfy it"


def _enforcing(expansion: Expansion, left: Mapping[str, str]) -> tuple[str, ...]:
    """Pointers of the asserting keywords that were read, less what is left out and what stands inside that."""
    found: dict[str, None] = {}
    for place in expansion.read:
        if place.made or place.schema is NEVER or any(_within(place.pointer, out) for out in left):
            continue
        found |= {place.at(keyword): None for keyword in place.schema if keyword in ASSERTIONS}
    in_part = {out.rpartition("/")[0] for out, keyword in left.items() if keyword in _KEYED}
    return tuple(where for where in found if where not in left and where not in in_part)


def _within(pointer: str, outer: str) -> bool:
    return pointer == outer or pointer.startswith(f"{outer}/")


def _refuse_endless(compiled: CompiledSchema) -> None:
    """A schema that cannot even check its own shortest value in bounded time can check nothing."""
    for problem in check(compiled.minimal, compiled.parameters):
        if problem.keyword == "$ref":
            raise BrokenSchema(problem.sentence[:1].lower() + problem.sentence[1:].rstrip("."))
