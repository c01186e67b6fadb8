"""Kept results that travel between platforms: listed and read where they are, offered and brought where they go."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from services.pipelines.api.v2beta1.route import Named, Route, Token, User, told
from services.pipelines.handlers.sharing import SharedResults

Path_ = Annotated[str, Query(max_length=1024)]


class Offer(BaseModel):
    """Keys of results that somebody could bring."""

    keys: list[Annotated[str, Field(max_length=100)]]


def router(desk: SharedResults) -> APIRouter:
    made = APIRouter(prefix="/pipelines/v1/cache", route_class=Route, tags=["cache"])
    _taking(made, desk)
    _bringing(made, desk)
    return made


def _taking(made: APIRouter, desk: SharedResults) -> None:
    @made.get("/entries", response_class=JSONResponse)
    async def entries(user: User, namespace: Named = "", run_id: Named = "", page_token: Token = "") -> Response:
        return await told(await desk.entries(user, namespace, run_id, page_token))

    @made.get("/entries/{key}/content", response_class=Response)
    async def content(
        user: User, key: str, output: Named, namespace: Named = "", place: int = 0, path: Path_ = ""
    ) -> Response:
        chunks = await desk.content(user, namespace, key, output, place, path)
        return StreamingResponse(chunks, media_type="application/octet-stream")


def _bringing(made: APIRouter, desk: SharedResults) -> None:
    @made.post("/offers")
    async def offers(user: User, body: Offer, namespace: Named = "") -> dict[str, Any]:
        return await desk.wanted(user, namespace, body.keys)

    @made.get("/objects/{digest}")
    async def parts(user: User, digest: str, namespace: Named = "") -> dict[str, Any]:
        return await desk.parts(user, namespace, digest)

    @made.put("/objects/{digest}/{number}")
    async def put_part(request: Request, user: User, digest: str, number: int, namespace: Named = "") -> dict[str, Any]:
        """At most what one request may hold; larger objects come in several."""
        return await desk.put_part(user, namespace, digest, number, await request.body())

    @made.post("/entries")
    async def keep(user: User, body: dict[str, Any], namespace: Named = "") -> dict[str, Any]:
        return await desk.keep(user, namespace, body)
