"""All of KFP's API as one router, with what belongs to no sort of thing: its health, and who may do what."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from libs.base.errors import BadRequest
from services.pipelines.api.v2beta1 import absent, artifacts, experiments, pipelines, recurring, runs
from services.pipelines.api.v2beta1.route import Named, User, router
from services.pipelines.handlers.artifacts import Artifacts
from services.pipelines.handlers.desk import Means
from services.pipelines.handlers.experiments import Experiments
from services.pipelines.handlers.pipelines import Pipelines
from services.pipelines.handlers.recurring import Recurring
from services.pipelines.handlers.run_texts import RunTexts
from services.pipelines.handlers.runs import Runs

VERBS = ("create", "get", "list", "update", "delete", "archive", "unarchive", "terminate", "retry", "enable", "disable")


def rest(means: Means, kept: Artifacts) -> APIRouter:
    made = router()
    _health(made, means)
    pipelines.add_to(made, Pipelines(means))
    experiments.add_to(made, Experiments(means))
    runs.add_to(made, Runs(means, RunTexts(means.look)))
    recurring.add_to(made, Recurring(means))
    artifacts.add_to(made, kept)
    absent.add_to(made)
    return made


def _health(made: APIRouter, means: Means) -> None:
    @made.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """`multi_user` would make kfp.Client look for the namespace of the pod that it runs in."""
        return {"multi_user": False, "pipeline_store": "database"}

    @made.get("/auth")
    async def auth(user: User, namespace: Named = "", resources: Named = "", verb: Named = "GET") -> dict[str, Any]:
        """KFP asks whether somebody may look at a namespace's things; refused as every request of theirs would be."""
        if verb.lower() not in VERBS:
            raise BadRequest(f"verb: {verb!r} is not one of {', '.join(VERBS)}")
        await means.allow(user, verb.lower(), (resources or "runs").lower(), means.space(namespace), "")
        return {}
