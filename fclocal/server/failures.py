"""What went wrong -> an HTTP status and a body in the shape of the API that was asked. No paths, no tracebacks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fclocal.engine.constraint import GrammarError
from fclocal.errors import BadCall, ContextFull, FclocalError, ModelMissing, OutOfMemory, Refused, UsageError
from fclocal.functions import Json, JsonObject
from fclocal.grammar.source import BrokenSchema

Wire: TypeAlias = Literal["openai", "llamacpp", "anthropic", "ollama"]

_LLAMACPP = ("/completion", "/tokenize", "/detokenize", "/props", "/health", "/apply-template")
_FOLDERS = re.compile(r"(?:[A-Za-z]:\\|/)(?:[^\s/\\:'\"]+[/\\])+")
_ANTHROPIC_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A refusal: `status` is HTTP's, `code` a word for programs, `detail` more for those that look."""

    status: int
    sentence: str
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    detail: JsonObject = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """OpenAI's `type`."""
        match self.status:
            case 401:
                return "authentication_error"
            case 403 | 421:
                return "permission_error"
            case 404:
                return "not_found_error"
            case 429:
                return "rate_limit_error"
            case _:
                return "server_error" if self.status >= 500 else "invalid_request_error"


class Rejected(Exception):
    """A request that is answered with `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


class CannotLoad(FclocalError):
    """A model that is known but could not be loaded."""


class ClientGone(Exception):
    """The client closed its connection; nobody is there to answer."""


def reject(sentence: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> Rejected:
    """A refusal to raise."""
    return Rejected(Failure(status, sentence, code=code, param=param))


def failure_of(error: Exception) -> Failure:
    """What `error` is to a client."""
    match error:
        case Rejected(failure=failure):
            return failure
        case ContextFull(parts=parts):
            return Failure(400, str(error), code="context_length_exceeded", detail={"parts": parts})
        case ModelMissing():
            return Failure(404, without_folders(str(error)), code="model_not_found", param="model")
        case CannotLoad() | OutOfMemory():
            return Failure(503, without_folders(str(error)), code="model_not_loaded", headers={"Retry-After": "30"})
        case BadCall():
            return Failure(422, error.sentence, code="invalid_call")
        case UsageError() | GrammarError():
            return Failure(400, error.sentence)
        case BrokenSchema():
            return Failure(400, f"The schema cannot be used: {error}.", code="invalid_schema")
        case Refused():
            return Failure(403, error.sentence)
        case TimeoutError():
            return Failure(504, "The reply took too long and was stopped.", code="timeout")
        case FclocalError():
            return Failure(500, without_folders(error.sentence))
        case _:
            return Failure(500, "Something unexpected went wrong; the log of the server has the details.")


def wire_of(path: str) -> Wire:
    """The API whose shape an error on `path` has."""
    if path.startswith("/v1/messages"):
        return "anthropic"
    if path.startswith("/api/"):
        return "ollama"
    if path.startswith(_LLAMACPP):
        return "llamacpp"
    return "openai"


def body_of(failure: Failure, wire: Wire) -> JsonObject:
    """The JSON body of a refusal."""
    sentence = failure.sentence
    match wire:
        case "anthropic":
            default = "api_error" if failure.status >= 500 else "invalid_request_error"
            kind = _ANTHROPIC_KINDS.get(failure.status, default)
            return {"type": "error", "error": {"type": kind, "message": sentence}, "request_id": None}
        case "ollama":
            return {"error": sentence}
        case "llamacpp":
            llamacpp: JsonObject = {"code": failure.status, "message": sentence, "type": failure.kind}
            return {"error": {**llamacpp, **failure.detail}}
        case "openai":
            error: dict[str, Json] = {"message": sentence, "type": failure.kind, "param": failure.param}
            error["code"] = failure.code
            if failure.detail:
                error["fclocal"] = failure.detail
            return {"error": error}


def without_folders(text: str) -> str:
    """`text` with only the last part of each absolute path."""
    return _FOLDERS.sub("", text)
