"""typing.TypedDict for pydantic, which before Python 3.12 wants the one of typing_extensions."""

from __future__ import annotations

import functools
import operator
import sys
import types
import typing
from collections.abc import Callable

import typing_extensions


def readable(annotation: object) -> object:
    """The annotation with every typing.TypedDict in it made again as one that pydantic reads."""
    if sys.version_info >= (3, 12):
        return annotation
    if typing.is_typeddict(annotation) and isinstance(annotation, type):
        return _again(annotation)
    arguments = typing.get_args(annotation)
    made = tuple(readable(argument) for argument in arguments)
    if made == arguments or typing.get_origin(annotation) is typing.Literal:
        return annotation
    if isinstance(annotation, types.UnionType):
        return functools.reduce(operator.or_, made)
    if isinstance(annotation, types.GenericAlias):
        return types.GenericAlias(typing.cast("type[object]", annotation.__origin__), made)
    if typing.get_origin(annotation) is typing.Annotated:
        return typing.Annotated[made]
    return annotation.copy_with(made) if hasattr(annotation, "copy_with") else annotation


def _again(found: type) -> object:
    required: frozenset[str] = vars(found)["__required_keys__"]
    keys: dict[str, object] = {}
    for name, hint in typing.get_type_hints(found, include_extras=True).items():
        mark = typing.get_origin(hint)
        marked = mark in (typing.Required, typing.NotRequired)
        inner = readable(typing.get_args(hint)[0] if marked else hint)
        # A mark in postponed annotations is not in __required_keys__.
        needed = mark is typing.Required if marked else name in required
        keys[name] = inner if needed else typing_extensions.NotRequired[inner]
    make = typing.cast("Callable[[str, dict[str, object]], type]", typing_extensions.TypedDict)
    made = make(found.__name__, keys)
    made.__doc__ = found.__doc__
    return made
