"""What KFP's clients have no calls for: tasks as they are recorded, their output, and what was made of what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from services.pipelines.api.pictures import HEADERS
from services.pipelines.api.v2beta1.route import Named, Route, User, told
from services.pipelines.handlers.artifacts import Artifacts
from services.pipelines.handlers.lineages import Lineages
from services.pipelines.handlers.recording import Recording


def router(desk: Artifacts) -> APIRouter:
    made = APIRouter(prefix="/pipelines/v1", route_class=Route, tags=["lineage"])
    _runs(made, desk)
    _artifacts(made, desk)
    _recorded(made, Recording(desk.means, desk.stored))
    _releases(made, Lineages(desk.means))
    return made


def _runs(made: APIRouter, desk: Artifacts) -> None:
    @made.get("/runs/{id}/tasks", response_class=JSONResponse)
    async def tasks(user: User, id: str) -> Response:
        return Response(await desk.tasks(user, id), media_type="application/json")

    @made.get("/runs/{id}/tasks/{task_id}/log", response_class=PlainTextResponse)
    async def log(user: User, id: str, task_id: str, follow: bool = False) -> Response:
        """With `follow` line by line until the pod of a running step has ended."""
        if follow and (lines := await desk.follow(user, id, task_id)) is not None:
            return StreamingResponse(lines, media_type="text/plain; charset=utf-8")
        return PlainTextResponse(await desk.log(user, id, task_id))

    @made.get("/runs/{id}/cache")
    async def cache(user: User, id: str) -> dict[str, Any]:
        return await desk.cache(user, id)

    @made.get("/runs/{id}/artifacts")
    async def of_run(user: User, id: str) -> dict[str, Any]:
        return await desk.of_run(user, id)


def _artifacts(made: APIRouter, desk: Artifacts) -> None:
    @made.get("/artifacts/{id}/view")
    async def view(user: User, id: str) -> dict[str, Any]:
        return await desk.view(user, id)

    @made.get("/artifacts/{id}/files")
    async def files(user: User, id: str) -> dict[str, Any]:
        return await desk.files(user, id)

    @made.get("/artifacts/{id}/content", response_class=Response)
    async def content(user: User, id: str, path: Annotated[str, Query(max_length=1024)] = "") -> Response:
        """Never as a page: a step may have written a script into it."""
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(await desk.content(user, id, path), media_type="application/octet-stream", headers=headers)

    @made.get("/artifacts/{id}/lineage")
    async def lineage(user: User, id: str, direction: Named = "both") -> dict[str, Any]:
        return await desk.lineage(user, id, direction)

    @made.get("/artifacts/{id}/lineage.svg", response_class=Response)
    async def drawn(user: User, id: str) -> Response:
        return Response(await desk.lineage_picture(user, id), media_type="image/svg+xml", headers=HEADERS)


def _recorded(made: APIRouter, desk: Recording) -> None:
    @made.delete("/artifacts/{id}")
    async def delete(user: User, id: str) -> dict[str, Any]:
        return await desk.delete(user, id)


def _releases(made: APIRouter, desk: Lineages) -> None:
    @made.get("/models/{model}/versions/{version}/lineage", response_class=JSONResponse)
    async def of_version(user: User, model: str, version: str) -> Response:
        return await told((await desk.of_version(user, model, version)).shown())

    @made.get("/endpoints/{namespace}/{name}/lineage", response_class=JSONResponse)
    async def of_endpoint(user: User, namespace: str, name: str) -> Response:
        return await told((await desk.of_endpoint(user, namespace, name)).shown())
