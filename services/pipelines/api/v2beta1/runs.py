"""RunService of KFP's API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from services.pipelines.api.v2beta1.route import Named, User, paging
from services.pipelines.domain.catalog import forms, keys
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.handlers.runs import Runs

PAGING = paging(keys.RUN)


def add_to(made: APIRouter, desk: Runs) -> None:
    @made.post("/runs")
    async def create(user: User, body: forms.RunForm, experiment_id: Named = "") -> dict[str, Any]:
        if experiment_id and not body.experiment_id:
            body = body.model_copy(update={"experiment_id": experiment_id})
        return await desk.create(user, body)

    @made.get("/runs")
    async def list_runs(
        user: User, namespace: Named = "", experiment_id: Named = "", page: Page = PAGING
    ) -> dict[str, Any]:
        return await desk.list(user, namespace, experiment_id, page)

    @made.get("/runs/{id}", response_class=JSONResponse)
    async def get(user: User, id: str) -> Response:
        return Response(await desk.get(user, id), media_type="application/json")

    @made.delete("/runs/{id}")
    async def delete(user: User, id: str) -> dict[str, Any]:
        return await desk.delete(user, id)

    _verbs(made, desk)


def _verbs(made: APIRouter, desk: Runs) -> None:
    @made.post("/runs/{id}:terminate")
    async def terminate(user: User, id: str) -> dict[str, Any]:
        return await desk.terminate(user, id)

    @made.post("/runs/{id}:retry")
    async def retry(user: User, id: str) -> dict[str, Any]:
        return await desk.retry(user, id)

    @made.post("/runs/{id}:archive")
    async def archive(user: User, id: str) -> dict[str, Any]:
        return await desk.archive(user, id, True)

    @made.post("/runs/{id}:unarchive")
    async def unarchive(user: User, id: str) -> dict[str, Any]:
        return await desk.archive(user, id, False)
