"""The final check: are these arguments valid under the original schema? Independent of the grammar."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jsonschema.exceptions import ValidationError
from referencing.exceptions import Unresolvable

from fclocal.functions import Json, JsonObject, distinct
from fclocal.grammar.drafts import EndlessReference, TooManySteps, bounded_validator, start_counting
from fclocal.grammar.pointers import first_segment, pointer

MAX_PROBLEMS = 20
MAX_DEPTH = 48
MAX_SENTENCE = 300


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value is not valid.

    `pointer` is the JSON pointer into the value ("" is the whole of it), `keyword` the schema keyword that refuses it
    ("" when the text is no JSON), `sentence` says why.
    """

    pointer: str
    keyword: str
    sentence: str


def check(arguments: Json, parameters: JsonObject | bool) -> tuple[Problem, ...]:
    """What is wrong with `arguments`, at most MAX_PROBLEMS, those of earlier arguments first; empty when valid.

    Keywords that nobody can check (`CompiledSchema.unchecked`) are passed over. Never raises and never fetches.
    """
    start_counting()
    try:
        validator = bounded_validator(parameters)
        problems = [_problem(error) for error, _ in zip(validator.iter_errors(arguments), range(MAX_PROBLEMS))]  # noqa: B905
    except TooManySteps:
        return (Problem("", "$ref", "The schema takes too long to check."),)
    except (EndlessReference, RecursionError):
        return (Problem("", "$ref", "The schema refers to itself without end."),)
    except Unresolvable as error:
        return (Problem("", "$ref", f"The schema refers to {error.ref!r}, which is not in it."),)
    order = {key: index for index, key in enumerate(arguments)} if isinstance(arguments, Mapping) else {}
    return tuple(sorted(problems, key=lambda problem: order.get(first_segment(problem.pointer), -1)))


def parse_arguments(text: str) -> JsonObject | Problem:
    """The object that `text` is, or why it is none: strict JSON, no duplicate keys, only finite numbers."""
    value = parse_value(text)
    if isinstance(value, Problem | Mapping):
        return value
    return Problem("", "type", "The arguments are not a JSON object.")


def parse_value(text: str) -> Json | Problem:
    """The JSON value that `text` is, or why it is none: no duplicate keys, only finite numbers, bounded depth."""
    try:
        value: Json = json.loads(text, object_pairs_hook=distinct, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        return Problem("", "", f"The value is nested more than {MAX_DEPTH} levels deep.")
    except ValueError as error:
        return Problem("", "", f"Not strict JSON: {error}.")
    if depth(value) > MAX_DEPTH:
        return Problem("", "", f"The value is nested more than {MAX_DEPTH} levels deep.")
    return value


def depth(value: Json) -> int:
    """Levels of lists and objects around the deepest value; 0 for a plain one."""
    level: list[Json] = [value]
    levels = -1
    while level:
        levels += 1
        level = [child for parent in level for child in _children(parent)]
    return levels


def _children(value: Json) -> Iterable[Json]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    return ()


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:40]} is too big")
    return number


def _refuse(word: str) -> Json:
    raise ValueError(f"{word} is not a JSON number")


def _problem(error: ValidationError) -> Problem:
    message = error.message
    if len(message) > MAX_SENTENCE:
        message = f"{message[: MAX_SENTENCE - 4]} ..."
    return Problem(pointer(error.absolute_path), str(error.validator), message)
