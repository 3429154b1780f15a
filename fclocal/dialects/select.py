"""Which dialect a model speaks: by name, or by what its own chat template says."""

from __future__ import annotations

import difflib

from fclocal.dialects.dialect import Dialect
from fclocal.dialects.trelis import BlockPlace, trelis_deepseek, trelis_llama
from fclocal.errors import UsageError
from fclocal.grammar.syntax import Layout

DEFAULT = "trelis-llama"
NAMES = ("trelis-llama", "trelis-deepseek")


def pick(name: str, *, layout: Layout | None = None, block: BlockPlace = "before") -> Dialect:
    """The dialect called `name`. `layout` is how calls are laid out where the dialect knows both forms (default: as on
    the card); raises UsageError for an unknown name."""
    match name:
        case "trelis-llama":
            return trelis_llama(layout=layout or "indented", block=block)
        case "trelis-deepseek":
            return trelis_deepseek(layout=layout or "indented", block=block)
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"No dialect {name!r}.", f"{hint}There are: {', '.join(NAMES)}.")
