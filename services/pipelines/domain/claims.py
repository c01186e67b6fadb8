"""KFP's CreatePVC and DeletePVC: tasks that need no pod, since the service asks the cluster itself; pure.

A claim that a run made bears the run's labels, and only such a claim is removed: the service has more rights than
whoever wrote the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.pipelines.domain.steps.pod import MANAGED_BY, MANAGER, RUN, TASK
from services.pipelines.domain.steps.values import StepOrder

CREATE, DELETE = "argostub/createpvc", "argostub/deletepvc"
Object = dict[str, Any]


class BadClaim(ValueError):
    """What the task asks for makes no claim; the message names the input."""


def is_claim(image: str) -> bool:
    return image in (CREATE, DELETE)


def claim(order: StepOrder) -> Object:
    """The claim that the task asks for, under the same name at every attempt."""
    given = _given(order)
    storage = given.get("size")
    if not isinstance(storage, str) or not storage:
        raise BadClaim(f"size: {storage!r} is no quantity; give one such as 5Gi")
    spec: Object = {"accessModes": given.get("access_modes") or [], "resources": {"requests": {"storage": storage}}}
    for name, field in (("volume_name", "volumeName"), ("data_source", "dataSource")):
        if given.get(name):
            spec[field] = given[name]
    if given.get("storage_class_name") is not None:
        spec["storageClassName"] = given["storage_class_name"]
    labels = {MANAGED_BY: MANAGER, RUN: order.run_id, TASK: order.uid}
    metadata: Object = {"name": _name(order, given), "namespace": order.namespace, "labels": labels}
    if given.get("annotations"):
        metadata["annotations"] = given["annotations"]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def unwanted(order: StepOrder) -> str:
    """The name of the claim that the task removes."""
    name = _given(order).get("pvc_name")
    if not isinstance(name, str) or not name:
        raise BadClaim("pvc_name: missing; give the name of the claim to delete")
    return name


def is_made_by(found: Object, task_uid: str) -> bool:
    return _labels(found).get(TASK) == task_uid


def is_removable(found: Object) -> bool:
    return _labels(found).get(MANAGED_BY) == MANAGER


def _labels(found: Object) -> Mapping[str, str]:
    return (found.get("metadata") or {}).get("labels") or {}


def _name(order: StepOrder, given: Mapping[str, Any]) -> str:
    name, suffix = given.get("pvc_name") or "", given.get("pvc_name_suffix") or ""
    if bool(name) == bool(suffix):
        raise BadClaim("pvc_name, pvc_name_suffix: give one of the two")
    return str(name or f"{order.uid}{suffix}")


def _given(order: StepOrder) -> Mapping[str, Any]:
    found: Mapping[str, Any] = order.executor_input["inputs"]["parameterValues"]
    return found
