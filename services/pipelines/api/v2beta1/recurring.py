"""RecurringRunService of KFP's API."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter

from services.pipelines.api.v2beta1.route import Named, User, paging
from services.pipelines.domain.catalog import forms, keys
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.handlers.recurring import Recurring

PAGING = paging(keys.RECURRING_RUN)
UNSPECIFIED, ENDS_RUNS = "DELETE_PROPAGATION_POLICY_UNSPECIFIED", ("FOREGROUND", "BACKGROUND")
Policy = Literal["DELETE_PROPAGATION_POLICY_UNSPECIFIED", "FOREGROUND", "BACKGROUND", "ORPHAN"]
"""What becomes of the runs that it has started: unless one of the two is asked for, they go on."""


def add_to(made: APIRouter, desk: Recurring) -> None:
    @made.post("/recurringruns")
    async def create(user: User, body: forms.RecurringRunForm) -> dict[str, Any]:
        return await desk.create(user, body)

    @made.get("/recurringruns")
    async def list_recurring(
        user: User, namespace: Named = "", experiment_id: Named = "", page: Page = PAGING
    ) -> dict[str, Any]:
        return await desk.list(user, namespace, experiment_id, page)

    @made.get("/recurringruns/{id}")
    async def get(user: User, id: str) -> dict[str, Any]:
        return await desk.get(user, id)

    @made.delete("/recurringruns/{id}")
    async def delete(user: User, id: str, propagation_policy: Policy = UNSPECIFIED) -> dict[str, Any]:
        return await desk.delete(user, id, propagation_policy in ENDS_RUNS)

    @made.post("/recurringruns/{id}:enable")
    async def enable(user: User, id: str) -> dict[str, Any]:
        return await desk.enable(user, id)

    @made.post("/recurringruns/{id}:disable")
    async def disable(user: User, id: str) -> dict[str, Any]:
        return await desk.disable(user, id)
