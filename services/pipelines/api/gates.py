"""Approval of tasks that wait for a person; KFP's API has no words for it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from services.pipelines.api.v2beta1.route import Route, User
from services.pipelines.domain.catalog import forms
from services.pipelines.handlers.gates import Gates


def router(desk: Gates) -> APIRouter:
    made = APIRouter(prefix="/pipelines/v1", route_class=Route, tags=["pipelines"])

    @made.post("/runs/{id}/tasks/{task:path}:approve")
    async def approve(user: User, id: str, task: str, body: forms.DecisionForm) -> dict[str, Any]:
        return await desk.decide(user, id, task, True, body.comment or "")

    @made.post("/runs/{id}/tasks/{task:path}:reject")
    async def reject(user: User, id: str, task: str, body: forms.DecisionForm) -> dict[str, Any]:
        return await desk.decide(user, id, task, False, body.comment or "")

    return made
