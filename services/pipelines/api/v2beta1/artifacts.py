"""ArtifactService of KFP's API, and the tasks of its RunService (artifact.proto, artifacts.proto, run.proto)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from libs.base.errors import BadRequest
from services.pipelines.api.downloads import base_of
from services.pipelines.api.v2beta1.route import Named, User, paging
from services.pipelines.domain.catalog import forms, keys
from services.pipelines.domain.catalog.paging import SIZE, SIZE_MAX, Page
from services.pipelines.handlers.artifacts import Artifacts
from services.pipelines.handlers.recording import Recording

PAGING = paging(keys.ARTIFACT)
Ids = Annotated[list[Named], Query(max_length=100)]
Size = Annotated[int, Query(ge=0, le=2**31 - 1)]
View = Literal["ARTIFACT_VIEW_UNSPECIFIED", "BASIC", "DOWNLOAD", "RENDER"]


def add_to(made: APIRouter, desk: Artifacts) -> None:
    _read(made, desk)
    recording = Recording(desk.means, desk.stored)
    _record(made, recording)
    _tasks(made, recording)


def _record(made: APIRouter, desk: Recording) -> None:
    @made.post("/artifacts")
    async def create(user: User, body: forms.NewArtifactForm) -> dict[str, Any]:
        return (await desk.create(user, [body]))[0]

    @made.post("/artifacts:batchCreate")
    async def create_many(user: User, body: forms.NewArtifactsForm) -> dict[str, Any]:
        return {"artifacts": await desk.create(user, body.artifacts)}

    @made.post("/artifact_tasks")
    async def link(user: User, body: forms.NewLinkForm) -> dict[str, Any]:
        return (await desk.link(user, [body.artifact_task]))[0]

    @made.post("/artifact_tasks:batchCreate")
    async def link_many(user: User, body: forms.NewLinksForm) -> dict[str, Any]:
        return {"artifact_tasks": await desk.link(user, body.artifact_tasks)}


def _tasks(made: APIRouter, desk: Recording) -> None:
    @made.get("/artifact_tasks")
    async def links(
        user: User,
        task_ids: Ids = [],  # noqa: B006  FastAPI copies it
        run_ids: Ids = [],  # noqa: B006
        artifact_ids: Ids = [],  # noqa: B006
        type: Named = "",
        page_size: Size = 0,
        page_token: Named = "",
    ) -> dict[str, Any]:
        found = await desk.links(user, task_ids, run_ids, artifact_ids, type)
        return _cut(found, "artifact_tasks", page_size, page_token)

    @made.get("/tasks")
    async def tasks(
        user: User, run_id: Named = "", parent_id: Named = "", page_size: Size = 0, page_token: Named = ""
    ) -> dict[str, Any]:
        return _cut(await desk.tasks(user, run_id, parent_id), "tasks", page_size, page_token)

    @made.get("/tasks/{id}")
    async def task(user: User, id: str) -> dict[str, Any]:
        return await desk.task(user, id)


def _cut(found: Sequence[Any], name: str, size: int, token: str) -> dict[str, Any]:
    """One page of what belongs to a few named things; the token says how much was seen."""
    if token and not (token.isdecimal() and token.isascii()):
        raise BadRequest("page_token: not one that this server gave")
    begin, most = int(token or 0), min(size or SIZE, SIZE_MAX)
    after = str(begin + most) if begin + most < len(found) else ""
    return {name: found[begin : begin + most], "total_size": len(found), "next_page_token": after}


def _read(made: APIRouter, desk: Artifacts) -> None:
    @made.get("/artifacts")
    async def list_artifacts(user: User, namespace: Named = "", page: Page = PAGING) -> dict[str, Any]:
        return await desk.list(user, namespace, page)

    @made.get("/artifacts/{id}")
    async def get(request: Request, user: User, id: str, view: View = "BASIC") -> dict[str, Any]:
        return await desk.get(user, id, base_of(request) if view in ("DOWNLOAD", "RENDER") else "")

    @made.get("/runs/{id}/nodes/{node}/artifacts/{name}:read")
    async def read(user: User, id: str, node: str, name: str) -> dict[str, Any]:
        """ReadArtifact of RunService, as KFP's API had it before 2.17."""
        return {"data": b64encode(await desk.output(user, id, node, name)).decode()}
