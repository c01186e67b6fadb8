"""ExperimentService of KFP's API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from services.pipelines.api.v2beta1.route import Named, User, paging
from services.pipelines.domain.catalog import forms, keys
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.handlers.experiments import Experiments

PAGING = paging(keys.EXPERIMENT)


def add_to(made: APIRouter, desk: Experiments) -> None:
    @made.post("/experiments")
    async def create(user: User, body: forms.ExperimentForm) -> dict[str, Any]:
        return await desk.create(user, body)

    @made.get("/experiments")
    async def list_experiments(user: User, namespace: Named = "", page: Page = PAGING) -> dict[str, Any]:
        return await desk.list(user, namespace, page)

    @made.get("/experiments/{id}")
    async def get(user: User, id: str) -> dict[str, Any]:
        return await desk.get(user, id)

    @made.delete("/experiments/{id}")
    async def delete(user: User, id: str) -> dict[str, Any]:
        return await desk.delete(user, id)

    @made.post("/experiments/{id}:archive")
    async def archive(user: User, id: str) -> dict[str, Any]:
        return await desk.archive(user, id)

    @made.post("/experiments/{id}:unarchive")
    async def unarchive(user: User, id: str) -> dict[str, Any]:
        return await desk.unarchive(user, id)
