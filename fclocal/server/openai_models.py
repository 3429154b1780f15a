"""GET /v1/models for OpenAI's and Anthropic's clients, and POST /v1/embeddings, which these models have none of."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from fclocal.chat.receipt import plain
from fclocal.errors import FclocalError
from fclocal.functions import JsonObject
from fclocal.models.catalog import load_catalog
from fclocal.models.listing import ListRow, list_rows
from fclocal.models.store import Store
from fclocal.runtime import Chosen
from fclocal.server.endpoint import Endpoint
from fclocal.server.failures import reject
from fclocal.server.openai_bodies import Lenient


class EmbeddingsBody(Lenient):
    """The body of POST /v1/embeddings."""

    input: str | list[str] | list[int] | list[list[int]]
    model: str | None = None


def model_routes(endpoint: Endpoint) -> APIRouter:
    """Every route of this file."""
    router = APIRouter()

    @router.get("/v1/models", summary="Models on this machine")
    async def models() -> Response:
        data = [_model_json(name, path) for name, path in await served_names(endpoint)]
        ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
        return JSONResponse(plain({"object": "list", "data": data, "has_more": False, **ends}))

    @router.get("/v1/models/{model:path}", summary="One model")
    async def one_model(model: str) -> Response:
        chosen = await endpoint.models.find(model)
        return JSONResponse(plain(_model_json(chosen.source.name, chosen.source.path)))

    @router.post("/v1/embeddings", summary="Not available")
    async def embeddings(body: EmbeddingsBody) -> Response:
        chosen = await endpoint.models.find(body.model)
        raise reject(
            f"{chosen.source.name} writes text and calls; it has no embeddings.", param="model", code="no_embeddings"
        )

    return router


async def served_names(endpoint: Endpoint) -> list[tuple[str, Path]]:
    """Name and file of every model that can be asked for, the default first."""
    return await asyncio.to_thread(_served_names, endpoint)


def installed() -> tuple[ListRow, ...]:
    """Everything on this machine."""
    return list_rows(load_catalog(), Store())


def _served_names(endpoint: Endpoint) -> list[tuple[str, Path]]:
    names: dict[str, Path] = {}
    try:
        default: Chosen = endpoint.models.default()
        names[default.source.name] = default.source.path
    except FclocalError:
        pass
    for row in installed():
        names.setdefault(row_name(row), row.model.path)
    return list(names.items())


def row_name(row: ListRow) -> str:
    """What a client calls an installed model: a name that finds exactly this file."""
    return row.name if row.built_in else f"{row.name}:{row.model.quant}"


def _model_json(name: str, path: Path) -> JsonObject:
    try:
        created = path.stat().st_mtime
    except OSError:
        created = 0.0
    return {
        "id": name,
        "object": "model",
        "type": "model",
        "created": int(created),
        "created_at": datetime.fromtimestamp(created, UTC).isoformat(),
        "display_name": name,
        "owned_by": "fclocal",
    }
