"""What a job would ask the scheduler for, told before it is submitted: as it would be stored, with its runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request

from contracts.commands.scheduling.v1 import SubmitWorkload
from libs.base.errors import Cause, Invalid
from libs.resources import Kind, Resources
from libs.resources.manifests import would_be
from services.trainer.domain import announce
from services.trainer.domain.blueprint import blueprint

Object = dict[str, Any]
Ask = Callable[[Object], SubmitWorkload]


def router(resources: Resources, kind: Kind, runtimes: Mapping[str, Kind], others: Mapping[Kind, Ask]) -> APIRouter:
    """`runtimes` are the kinds that `spec.runtimeRef` of a TrainJob, the `kind`, may name; `others` need none."""
    routes = APIRouter(prefix="/training/v1/namespaces/{namespace}", tags=["queues"])

    @routes.post("/demand")
    async def demand(request: Request, namespace: str) -> Object:
        """The data of the `scheduling.workload.submit.v1` that the job in the body would be queued with."""
        found, job = await would_be(request, resources, [kind, *others], namespace)
        if found in others:
            return others[found](job).model_dump(mode="json")
        return announce.submit(job, blueprint(job, await _runtime(job, namespace))).model_dump(mode="json")

    async def _runtime(job: Object, namespace: str) -> Object:
        ref = job["spec"]["runtimeRef"]
        found = runtimes[ref.get("kind") or "ClusterTrainingRuntime"]
        runtime = await resources.find(found, namespace if found.namespaced else "", ref["name"])
        if runtime is None:
            told = f"there is no {found.kind} {ref['name']!r}: `kubectl get {found.plural}` lists them"
            raise Invalid.about(kind.resource, job["metadata"]["name"], causes=[Cause("spec.runtimeRef.name", told)])
        return runtime

    return routes
