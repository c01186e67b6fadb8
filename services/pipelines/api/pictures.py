"""`GET /pipelines/v1/runs/{id}/graph.svg`."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.pipelines.api.v2beta1.route import Route, User
from services.pipelines.handlers.pictures import Pictures

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


def router(desk: Pictures) -> APIRouter:
    made = APIRouter(prefix="/pipelines/v1", route_class=Route, tags=["pictures"])

    @made.get("/runs/{id}/graph.svg", response_class=Response)
    async def graph(user: User, id: str) -> Response:
        return Response(await desk.graph(user, id), media_type="image/svg+xml", headers=HEADERS)

    return made
