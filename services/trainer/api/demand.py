"""What a TrainJob would ask the scheduler for, told before it is submitted: as it would be stored, with its runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from libs.base.errors import BadRequest, Invalid
from libs.base.errors import Cause as Why
from libs.resources import Kind, Resources
from services.trainer.domain import announce
from services.trainer.domain.blueprint import blueprint

MANAGER = "millstream-explain"
Object = dict[str, Any]


def router(resources: Resources, kind: Kind, runtimes: Mapping[str, Kind]) -> APIRouter:
    """`runtimes` are the kinds that `spec.runtimeRef` may name."""
    routes = APIRouter(prefix="/training/v1/namespaces/{namespace}", tags=["queues"])

    @routes.post("/demand")
    async def demand(request: Request, namespace: str) -> Object:
        """The data of the `scheduling.workload.submit.v1` that the job in the body would be queued with."""
        manifest = await _manifest(request, kind)
        job = await resources.apply(
            kind, manifest, manager=MANAGER, namespace=namespace, force=True, user=request.state.user, dry_run=True
        )
        ref = job["spec"]["runtimeRef"]
        found = runtimes[ref.get("kind") or "ClusterTrainingRuntime"]
        runtime = await resources.find(found, namespace if found.namespaced else "", ref["name"])
        if runtime is None:
            told = f"there is no {found.kind} {ref['name']!r}: `kubectl get {found.plural}` lists them"
            raise Invalid.about(kind.resource, job["metadata"]["name"], causes=[Why("spec.runtimeRef.name", told)])
        return announce.submit(job, blueprint(job, runtime)).model_dump(mode="json")

    return routes


async def _manifest(request: Request, kind: Kind) -> Object:
    try:
        found = await request.json()
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(found, dict) or (found.get("apiVersion"), found.get("kind")) != (kind.api_version, kind.kind):
        raise BadRequest(f"expected a manifest of {kind.api_version} {kind.kind}")
    return found
