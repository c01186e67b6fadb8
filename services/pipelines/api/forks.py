"""What KFP's API has no words for: a dry run, and a run that takes up what another has done."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from services.pipelines.api.v2beta1.route import Route, User
from services.pipelines.domain.catalog import forms
from services.pipelines.handlers.desk import Means
from services.pipelines.handlers.forks import Forks
from services.pipelines.ports import Rehearsal


def router(means: Means, rehearsal: Rehearsal) -> APIRouter:
    made, desk = APIRouter(prefix="/pipelines/v1", route_class=Route, tags=["pipelines"]), Forks(means, rehearsal)

    @made.post("/dry-run")
    async def dry_run(user: User, body: forms.RunForm) -> dict[str, Any]:
        return await desk.dry_run(user, body)

    @made.post("/runs/{id}:fork")
    async def fork(user: User, id: str, body: forms.ForkForm) -> dict[str, Any]:
        return await desk.fork(user, id, body)

    return made
