"""What an InferenceService that names a queue would ask the scheduler for, told before it is submitted."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from contracts.queueing import QUEUE_NAME
from libs.base.errors import Cause, Invalid
from libs.resources import Kind, Resources
from libs.resources.manifests import would_be
from services.serving.domain.predictor import predictor
from services.serving.domain.queued import demand_of, queue_of
from services.serving.domain.workloads import Surroundings, template_of

Object = dict[str, Any]


def router(resources: Resources, kind: Kind, around: Surroundings) -> APIRouter:
    routes = APIRouter(prefix="/inference/v1/namespaces/{namespace}", tags=["queues"])

    @routes.post("/demand")
    async def demand(request: Request, namespace: str) -> Object:
        """The data of the `scheduling.workload.submit.v1` that the service in the body would be queued with."""
        _, isvc = await would_be(request, resources, [kind], namespace)
        if queue_of(isvc) is None:
            told = "is missing: a service that names no queue waits in none"
            cause = Cause(f"metadata.labels[{QUEUE_NAME}]", told, "FieldValueRequired")
            raise Invalid.about(kind.resource, isvc["metadata"]["name"], causes=[cause])
        wanted = predictor(isvc["spec"], None)  # whatever version of its model it means, it asks for the same
        return demand_of(isvc, wanted, template_of(isvc, wanted, around)).model_dump(mode="json")

    return routes
