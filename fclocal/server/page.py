"""The built-in page at /, what it shows, the functions for clients to fetch, and /metrics."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from time import time

from fastapi import APIRouter
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from fclocal import __version__
from fclocal.chat.receipt import plain
from fclocal.errors import FclocalError
from fclocal.functions import Json, JsonObject, to_openai
from fclocal.server.endpoint import Endpoint
from fclocal.server.failures import without_folders
from fclocal.server.openai_models import served_names

PAGE = Path(__file__).with_name("page.html")


def page_routes(endpoint: Endpoint) -> APIRouter:
    """Every route of this file."""
    router = APIRouter()

    @router.get("/", summary="A page to look and try", response_class=HTMLResponse)
    async def page() -> Response:
        text, policy = _page()
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return HTMLResponse(text, headers={**headers, "X-Content-Type-Options": "nosniff"})

    @router.get("/fclocal/state", summary="What is served and what goes on")
    async def state() -> Response:
        return JSONResponse(plain(await _state(endpoint)))

    @router.get("/fclocal/functions", summary="The loaded functions, as OpenAI tools")
    async def functions() -> Response:
        return JSONResponse(plain({"tools": [to_openai(tool.function) for tool in endpoint.settings.tools]}))

    @router.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        line = endpoint.line
        loaded = endpoint.models.loaded is not None
        text = endpoint.metrics.text(serving=line.serving, waiting=line.waiting, loaded=loaded)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return router


@cache
def _page() -> tuple[str, str]:
    """The page and the policy that lets only its own script and style run."""
    text = PAGE.read_text("utf-8")
    allowed: JsonObject = {kind: _hashes(text, kind) for kind in ("script", "style")}
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {allowed['script']}",
            f"style-src {allowed['style']}",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    return text, policy


def _hashes(text: str, tag: str) -> str:
    bodies = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


async def _state(endpoint: Endpoint) -> JsonObject:
    models, line = endpoint.models, endpoint.line
    loaded = models.loaded
    about: dict[str, Json] = {"state": models.state, "problem": without_folders(models.problem)}
    try:
        chosen = await models.find(None)
        about |= {"name": chosen.source.name, "quant": chosen.source.quant, "dialect": chosen.dialect.name}
    except FclocalError as error:
        about["problem"] = without_folders(error.sentence)
    if loaded:
        about |= {"name": loaded.name, "quant": loaded.quant, "dialect": loaded.dialect.name}
        about |= {"sha256": loaded.sha256, "context": loaded.engine.context}
    tools = endpoint.settings.tools
    return {
        "version": __version__,
        "model": about,
        "models": [name for name, _ in await served_names(endpoint)],
        "functions": [
            {"name": tool.function.name, "description": tool.function.description, "origin": Path(tool.origin).name}
            for tool in tools
        ],
        "serving": line.serving,
        "waiting": line.waiting,
        "parallel": line.parallel,
        "queue": line.queue,
        "replies": endpoint.metrics.replies,
        "calls": endpoint.metrics.calls,
        "uptime": round(time() - endpoint.metrics.started, 1),
    }
