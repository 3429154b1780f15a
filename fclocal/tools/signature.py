"""A Python function as a function for models: schema from type hints, texts from the docstring, arguments checked.

Knows pydantic and docstrings, not where or how the function runs.
"""

from __future__ import annotations

import functools
import inspect
import typing
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar, overload

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, PydanticJsonSchemaWarning

from fclocal.errors import UsageError
from fclocal.functions import Function, Json, JsonObject, from_openai
from fclocal.tools.plain_schema import plain_schema
from fclocal.tools.typed_dicts import readable

MARK = "__fclocal_function__"

Made = TypeVar("Made", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Naming:
    """What `@function` says about a function instead of its own name and docstring."""

    name: str | None = None
    description: str | None = None


@overload
def function(made: Made) -> Made: ...


@overload
def function(*, name: str | None = None, description: str | None = None) -> Callable[[Made], Made]: ...


def function(
    made: Made | None = None, *, name: str | None = None, description: str | None = None
) -> Made | Callable[[Made], Made]:
    """Mark a function as one that models may call: `@function`, or `@function(name=..., description=...)`.

    The function stays as it is. In a file with marked functions, only those are offered.
    """

    def mark(made: Made) -> Made:
        setattr(made, MARK, Naming(name, description))
        return made

    return mark if made is None else mark(made)


def is_marked(value: object) -> bool:
    """Whether `@function` stands before it."""
    return isinstance(getattr(value, MARK, None), Naming)


class BadArguments(Exception):
    """Arguments that do not fit the function, as a sentence."""


@dataclass(frozen=True, slots=True)
class PythonFunction:
    """A Python callable, how models see it, and the model that checks its arguments.

    `keywords` maps fields of that model to argument names; those in `always` are passed also when they were not given.
    """

    made: Callable[..., object]
    function: Function
    arguments: type[BaseModel]
    keywords: Mapping[str, str]
    positional: tuple[str, ...]
    always: frozenset[str]

    @property
    def is_async(self) -> bool:
        """Whether calling it gives a coroutine."""
        return inspect.iscoroutinefunction(inspect.unwrap(_routine(self.made)))

    def bound(self, arguments: JsonObject) -> Callable[[], object]:
        """The call with checked and converted arguments, ready to run. Raises BadArguments."""
        try:
            checked = self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise BadArguments(_sentence(error)) from None
        passed = checked.model_fields_set | self.always
        given = {name: getattr(checked, key) for key, name in self.keywords.items() if key in passed}
        first = [given.pop(name) for name in self.positional if name in given]
        return lambda: self.made(*first, **given)


def function_of(made: Callable[..., object]) -> Function:
    """How models see a Python function. Raises UsageError when its signature cannot be described."""
    return python_function(made).function


def python_function(made: Callable[..., object]) -> PythonFunction:
    """Read signature, type hints and docstring. Raises UsageError naming the function and what cannot be described."""
    naming = getattr(made, MARK, Naming())
    name = naming.name or str(getattr(made, "__name__", type(made).__name__))
    try:
        parameters = inspect.signature(made).parameters.values()
        hints = _hints(made)
    except (TypeError, ValueError, NameError, AttributeError) as error:
        raise UsageError(f"{name} cannot be described: {error}.", "Give it plain type hints.") from None
    _refuse_unnamed(name, parameters)
    _refuse_generators(name, made)
    shown = list(parameters)
    text, described = _documentation(made)
    try:
        model, keywords = _arguments(shown, hints, described)
        schema = _schema(model)
    except (PydanticUserError, TypeError, ValueError, NameError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". Set `")[0].rstrip(".")
        raise UsageError(f"{name} cannot be described: {reason}.", "Give it plain type hints.") from None
    described_as: dict[str, Json] = {"name": name, "description": naming.description or text, "parameters": schema}
    read = from_openai(described_as, origin=name)
    positional = tuple(parameter.name for parameter in shown if parameter.kind is parameter.POSITIONAL_ONLY)
    by_pydantic = {parameter.name for parameter in shown if isinstance(parameter.default, FieldInfo)}
    always = frozenset(key for key, name in keywords.items() if name in by_pydantic or name in positional)
    shown_as = Function(read.name, read.description, read.parameters)
    return PythonFunction(made, shown_as, model, keywords, positional, always)


def _refuse_unnamed(name: str, parameters: Collection[inspect.Parameter]) -> None:
    """Refuse what a model cannot call: a function without a name, or arguments without names."""
    if name == "<lambda>":
        raise UsageError("A lambda has no name that a model could call.", "Use def, or @function(name=...).")
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise UsageError(
                f"{name} cannot be described: a model cannot fill in {star}{parameter.name}.",
                "Name each argument; a decorator needs functools.wraps.",
            )


def _refuse_generators(name: str, made: Callable[..., object]) -> None:
    """Refuse a function whose result would be a generator, which says nothing to a model."""
    routine = inspect.unwrap(_routine(made))
    if inspect.isgeneratorfunction(routine) or inspect.isasyncgenfunction(routine):
        raise UsageError(f"{name} yields its results one by one.", "Return them as a list.")


def _hints(made: Callable[..., object]) -> Mapping[str, object]:
    hints = typing.get_type_hints(inspect.unwrap(_routine(made)), include_extras=True)
    return {name: readable(hint) for name, hint in hints.items()}


def _routine(made: Callable[..., object]) -> Callable[..., object]:
    """The function itself; for an object that can be called, its method."""
    if inspect.isroutine(made) or isinstance(made, functools.partial):
        return made
    return typing.cast(Callable[..., object], type(made).__call__)


def _documentation(made: Callable[..., object]) -> tuple[str, Mapping[str, str]]:
    """The description, and the texts of the arguments."""
    text = inspect.getdoc(made) or ""
    if not inspect.isroutine(made) and text == (inspect.getdoc(type(made)) or ""):
        text = inspect.getdoc(_routine(made)) or text
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return text, {}
    parts = (parsed.short_description, parsed.long_description)
    texts = {
        parameter.arg_name.lstrip("*"): " ".join((parameter.description or "").split()) for parameter in parsed.params
    }
    return "\n".join(part.strip() for part in parts if part), texts


def _arguments(
    shown: list[inspect.Parameter], hints: Mapping[str, object], described: Mapping[str, str]
) -> tuple[type[BaseModel], dict[str, str]]:
    """A pydantic model of the arguments. Its own names are neutral, so that no argument's name can clash with them."""
    fields: dict[str, tuple[object, FieldInfo]] = {}
    keywords: dict[str, str] = {}
    for index, parameter in enumerate(shown):
        key = f"argument_{index}"
        keywords[key] = parameter.name
        default = ... if parameter.default is parameter.empty else parameter.default
        info = default if isinstance(default, FieldInfo) else Field(default=default)
        annotation = hints.get(parameter.name, object)
        alias = FieldInfo.merge_field_infos(info, alias=parameter.name, validation_alias=parameter.name)
        note = next((extra for extra in getattr(annotation, "__metadata__", ()) if isinstance(extra, str)), "")
        text = described.get(parameter.name) or note
        if text and not _has_description(annotation, info):
            alias = FieldInfo.merge_field_infos(alias, description=text)
        fields[key] = (annotation, alias)
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False, use_attribute_docstrings=False)
    made = create_model("Arguments", __config__=config, **fields)  # type: ignore[call-overload]  # fields are made here
    return made, keywords


def _has_description(annotation: object, info: FieldInfo) -> bool:
    extras = (*getattr(annotation, "__metadata__", ()), info)
    return any(isinstance(extra, FieldInfo) and extra.description for extra in extras)


class _WithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def _schema(model: type[BaseModel]) -> JsonObject:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
        schema = model.model_json_schema(by_alias=True, schema_generator=_WithoutTitles)
    return plain_schema(schema)


def _sentence(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    said = [
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" if problem["loc"] else problem["msg"]
        for problem in problems[:3]
    ]
    return f"Invalid arguments: {'; '.join(said)}."
