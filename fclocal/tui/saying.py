"""Errors in words, also those that nobody foresaw: the app stays up."""

from __future__ import annotations

from fclocal.errors import FclocalError


def sentence(error: BaseException | None) -> str:
    """What to tell the user about `error`."""
    if isinstance(error, FclocalError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for that."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'The system'}: {error.strerror}."
    return f"Unexpected: {type(error).__name__}: {error}."
