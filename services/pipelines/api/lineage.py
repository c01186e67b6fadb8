"""What KFP's API has no words for: tasks as they are recorded, artifacts, and what was made of what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.pipelines.api.v2beta1.route import Named, Route, User
from services.pipelines.handlers.artifacts import Artifacts
from services.pipelines.handlers.desk import Means


def router(means: Means) -> APIRouter:
    made, desk = APIRouter(prefix="/pipelines/v1", route_class=Route, tags=["lineage"]), Artifacts(means)

    @made.get("/runs/{id}/tasks")
    async def tasks(user: User, id: str) -> dict[str, Any]:
        return await desk.tasks(user, id)

    @made.get("/runs/{id}/artifacts")
    async def of_run(user: User, id: str) -> dict[str, Any]:
        return await desk.of_run(user, id)

    @made.get("/artifacts")
    async def at(user: User, uri: Annotated[str, Query(max_length=2048)] = "", namespace: Named = "") -> dict[str, Any]:
        return await desk.at(user, namespace, uri)

    @made.get("/artifacts/{id}")
    async def get(user: User, id: str) -> dict[str, Any]:
        return await desk.get(user, id)

    @made.get("/artifacts/{id}/lineage")
    async def lineage(user: User, id: str, direction: Named = "both") -> dict[str, Any]:
        return await desk.lineage(user, id, direction)

    return made
