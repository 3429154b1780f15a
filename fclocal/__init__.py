"""Function calls you can trust from local GGUF models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fclocal.api import Answer as Answer
    from fclocal.api import ApprovalNeeded as ApprovalNeeded
    from fclocal.api import ArgumentMissing as ArgumentMissing
    from fclocal.api import Call as Call
    from fclocal.api import Decision as Decision
    from fclocal.api import FclocalError as FclocalError
    from fclocal.api import NoCall as NoCall
    from fclocal.api import Talk as Talk
    from fclocal.api import call as call
    from fclocal.api import function as function
    from fclocal.api import open_model as open_model

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "ApprovalNeeded",
    "ArgumentMissing",
    "Call",
    "Decision",
    "FclocalError",
    "NoCall",
    "Talk",
    "call",
    "function",
    "open_model",
]


def __getattr__(name: str) -> object:
    """The Python face is imported when it is first used, so that the command line starts fast."""
    if name in __all__:
        return getattr(import_module("fclocal.api"), name)
    raise AttributeError(f"module 'fclocal' has no attribute {name!r}")
