"""Which dialect a model speaks: by name, or by what its own chat template says."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from fclocal.dialects.dialect import Dialect
from fclocal.dialects.hermes import HermesDialect
from fclocal.dialects.jinja import JinjaDialect, known_syntax
from fclocal.dialects.llama3 import Llama3Dialect
from fclocal.dialects.trelis import BlockPlace, trelis_deepseek, trelis_llama
from fclocal.errors import UsageError
from fclocal.grammar.syntax import Layout

Metadata: TypeAlias = "Mapping[str, object]"

DEFAULT = "trelis-llama"
NAMES = ("trelis-llama", "trelis-deepseek", "hermes", "llama3-json", "jinja")
TEMPLATE_KEY = "tokenizer.chat_template"


def pick(
    name: str,
    *,
    layout: Layout | None = None,
    block: BlockPlace = "before",
    template: str | None = None,
    metadata: Metadata | None = None,
) -> Dialect:
    """The dialect called `name`.

    `layout` is how calls are laid out and `block` where the function block stands, for the dialects of the card
    (default: as on the card). `jinja` needs the GGUF's own chat `template`, or its `metadata` with one; `hermes` and
    `llama3-json` use it where it writes their calls, and are built in for files without one.
    Raises UsageError for an unknown name, and for `jinja` without a template whose calls are understood.
    """
    match name:
        case "trelis-llama":
            return trelis_llama(layout=layout or "indented", block=block)
        case "trelis-deepseek":
            return trelis_deepseek(layout=layout or "indented", block=block)
        case "hermes":
            return _own_or(HermesDialect(), template, metadata)
        case "llama3-json":
            return _own_or(Llama3Dialect(), template, metadata)
        case "jinja":
            return _own_template(template, metadata or {})
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"No dialect {name!r}.", f"{hint}There are: {', '.join(NAMES)}.")


def from_template(chat_template: str | None, metadata: Metadata | None = None) -> JinjaDialect | None:
    """The dialect of a GGUF's own chat template, or None when it has none whose call syntax is known.

    `metadata` are the GGUF's keys: some files carry a second template for functions.
    """
    known = metadata or {}
    main = chat_template or _text(known.get(TEMPLATE_KEY))
    for template in (main, _text(known.get(f"{TEMPLATE_KEY}.tool_use"))):
        syntax = known_syntax(template)
        if syntax is not None:
            return JinjaDialect(template, syntax, plain="" if template == main else main)
    return None


def _own_or(built_in: HermesDialect | Llama3Dialect, template: str | None, metadata: Metadata | None) -> Dialect:
    own = from_template(template, metadata)
    return replace(own, name=built_in.name) if own is not None and own.syntax == built_in.syntax else built_in


def _own_template(chat_template: str | None, metadata: Metadata) -> Dialect:
    found = from_template(chat_template, metadata)
    if found is not None:
        return found
    others = f"Choose one of: {', '.join(NAMES[:-1])}."
    if chat_template or _text(metadata.get(TEMPLATE_KEY)):
        raise UsageError("This model's chat template writes function calls in a form that is not known here.", others)
    raise UsageError("This model has no chat template.", others)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
