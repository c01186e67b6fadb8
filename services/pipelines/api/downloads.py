"""`GET /pipelines/v1/downloads/{id}`: an artifact's bytes for who has a signed link, and nothing else; streamed."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.pipelines.api.v2beta1.route import Route
from services.pipelines.handlers.artifacts import Artifacts


def router(desk: Artifacts) -> APIRouter:
    made = APIRouter(prefix="/pipelines/v1", route_class=Route, tags=["artifacts"])

    @made.get("/downloads/{id}", response_class=Response)
    async def download(id: str, until: int = 0, signature: Annotated[str, Query(max_length=200)] = "") -> Response:
        """A folder comes as a tar archive. Never as a page: a step may have written a script into it."""
        name, size, chunks = await desk.download(id, until, signature)
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        }
        if size is not None:
            headers["Content-Length"] = str(size)
        return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)

    return made


def base_of(request: Request) -> str:
    """How the caller reached the platform, as its gateway tells."""
    host = request.headers.get("x-forwarded-host")
    scheme = request.headers.get("x-forwarded-proto") or request.url.scheme
    return f"{scheme}://{host}" if host else str(request.base_url).rstrip("/")
