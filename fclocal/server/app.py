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
from fclocal.server.llamacpp import llamacpp_routes
from fclocal.server.ollama import ollama_routes
from fclocal.server.openai_chat import chat_routes
from fclocal.server.openai_models import model_routes
from fclocal.server.openai_text import text_routes
from fclocal.server.responses import responses_routes


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
    for routes in (
        chat_routes,
        text_routes,
        llamacpp_routes,
        model_routes,
        responses_routes,
        anthropic_routes,
        ollama_routes,
    ):
        app.include_router(routes(endpoint))
    for kind in (FclocalError, Rejected, BrokenSchema, TimeoutError):
        app.add_exception_handler(kind, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_exception_handler(HTTPException, _refuse_route)
    app.add_exception_handler(Exception, _refuse)
    return Guard(app, endpoint.settings)


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientGone):
        return Response(status_code=499)
    return refusal(failure_of(error), request.url.path)


async def _refuse_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(str(part) for part in first["loc"] if part != "body")
    sentence = f"{param}: {first['msg']}." if param else f"The body cannot be used: {first['msg']}."
    return refusal(Failure(400, sentence, code="invalid_body", param=param or None), request.url.path)


async def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "There is no such route here.", 405: "This route does not answer that method."}
    sentence = words.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    return refusal(Failure(error.status_code, sentence, headers=headers), request.url.path)
