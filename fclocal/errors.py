"""The error tree: every refusal is a sentence, a cure and an exit code. Knows nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes of every command."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    MODEL_MISSING = 3
    MODEL_BROKEN = 4
    NO_CALL = 5
    REFUSED = 6
    NO_MEMORY = 7
    NETWORK = 8
    CONTEXT_FULL = 9
    BAD_CALL = 10
    TOOL_FAILED = 11
    DISK = 12
    PORT_IN_USE = 13
    INTERRUPTED = 130


class FclocalError(Exception):
    """One sentence that names the thing, one cure (may be empty), one exit code."""

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, sentence: str, cure: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.sentence} {self.cure}".strip()


class UsageError(FclocalError):
    """A bad option, file or value from the user."""

    exit_code = ExitCode.USAGE


class ModelMissing(FclocalError):
    """A model or quantization that is unknown or not on disk."""

    exit_code = ExitCode.MODEL_MISSING


class ModelBroken(FclocalError):
    """A file that is not a usable GGUF model."""

    exit_code = ExitCode.MODEL_BROKEN


class NoCall(FclocalError):
    """The model answered in text where a call was wanted; `text` is what it said."""

    exit_code = ExitCode.NO_CALL

    def __init__(self, text: str, cure: str = "") -> None:
        super().__init__("The model answered in text instead of a call.", cure)
        self.text = text


class Refused(FclocalError):
    """Policy or access says no (denied call, gated model)."""

    exit_code = ExitCode.REFUSED


class OutOfMemory(FclocalError):
    """Weights, KV cache or compute buffers do not fit."""

    exit_code = ExitCode.NO_MEMORY


class NetworkError(FclocalError):
    """The hub or another host did not answer as it should."""

    exit_code = ExitCode.NETWORK


class ContextFull(FclocalError):
    """A prompt that does not fit; `parts` maps each part to its exact token count."""

    exit_code = ExitCode.CONTEXT_FULL

    def __init__(self, sentence: str, cure: str = "", *, parts: Mapping[str, int] | None = None) -> None:
        super().__init__(sentence, cure)
        self.parts = dict(parts or {})


class BadCall(FclocalError):
    """A call that was cut off or stayed invalid after every retry."""

    exit_code = ExitCode.BAD_CALL


class ToolFailed(FclocalError):
    """A function that the user ran by hand failed."""

    exit_code = ExitCode.TOOL_FAILED


class DiskError(FclocalError):
    """No space, no permission, or a store that cannot be written."""

    exit_code = ExitCode.DISK


class NewerFile(DiskError):
    """A file of a format that only a later fclocal knows. It was not touched."""

    def __init__(self, what: str, *, found: int, known: int, instead: str) -> None:
        super().__init__(
            f"{what} was written by a newer fclocal (format {found}; this one knows {known}) and was not touched.",
            f"Update fclocal, or {instead}",
        )


class PortInUse(FclocalError):
    """The address of the local endpoint is taken."""

    exit_code = ExitCode.PORT_IN_USE
