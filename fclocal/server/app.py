"""The application: routes of every API behind one guard. Knows which there are, not what they do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from fclocal import __version__
from fclocal.errors import FclocalError
from fclocal.grammar.source import BrokenSchema
from fclocal.server.anthropic import anthropic_routes
from fclocal.server.endpoint import Endpoint
from fclocal.server.failures import ClientGone, Failure, Rejected, failure_of
from fclocal.server.guard import Guard, refusal
from fclocal.server.journal import Journal
from fclocal.server.llamacpp import llamacpp_routes
from fclocal.server.ollama import ollama_routes
from fclocal.server.openai_chat import chat_routes
from fclocal.server.openai_models import model_routes
from fclocal.server.openai_text import text_routes
from fclocal.server.page import page_routes
from fclocal.server.responses import responses_routes

ROUTES = (
    chat_routes,
    text_routes,
    llamacpp_routes,
    model_routes,
    responses_routes,
    anthropic_routes,
    ollama_routes,
    page_routes,
)
UNREADABLE = Failure(400, "The body cannot be read as JSON.", code="invalid_body")
_STATUSES = {
    400: "The request cannot be used.",
    401: "A key is needed.",
    403: "The origin is not answered, or the model may not be used.",
    404: "No such model.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    421: "The host is not answered.",
    422: "The call stayed invalid or was cut off.",
    429: "Too many requests wait; Retry-After says when to come back.",
    500: "Something unexpected went wrong.",
    503: "The model cannot be loaded.",
    504: "The reply took too long.",
}
_ERROR: dict[str, object] = {"type": "object", "required": ["error"]}
# What any route may answer beside a reply, in the shape of its API.
REFUSALS: dict[int | str, dict[str, object]] = {
    status: {"description": words, "content": {"application/json": {"schema": _ERROR}}}
    for status, words in _STATUSES.items()
}


def build_app(endpoint: Endpoint) -> ASGIApp:
    """The whole ASGI application. Models are unloaded when it shuts down."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await endpoint.models.aclose()

    app = FastAPI(
        title="fclocal",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for routes in ROUTES:
        app.include_router(routes(endpoint), responses=REFUSALS)
    for kind in (FclocalError, Rejected, BrokenSchema, TimeoutError):
        app.add_exception_handler(kind, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_exception_handler(HTTPException, _refuse_route)
    app.add_exception_handler(Exception, _refuse)
    return Journal(Guard(app, endpoint.settings, endpoint.closing), endpoint.metrics)


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientGone):
        return Response(status_code=499)
    return refusal(failure_of(error), request.url.path)


async def _refuse_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid" or (first["type"], first["loc"]) == ("missing", ("body",)):
        return refusal(UNREADABLE, request.url.path)
    param = ".".join(str(part) for part in first["loc"] if part != "body")
    sentence = f"{param}: {first['msg']}." if param else f"The body cannot be used: {first['msg']}."
    return refusal(Failure(400, sentence, code="invalid_body", param=param or None), request.url.path)


async def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's own, for JSON that is too deep or holds a number that is too long
        return refusal(UNREADABLE, request.url.path)
    words = {404: "There is no such route here.", 405: "This route does not answer that method."}
    sentence = words.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    return refusal(Failure(error.status_code, sentence, headers=headers), request.url.path)
