"""The pods of a Job: names, labels, index and the finalizer that makes counting exact; pure."""

from typing import Any

from services.node.domain.owned import pod_from, short_name

Object = dict[str, Any]
TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
NAME, UID = "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"
SPARE_NAMES = 64


def counted(pod: Object) -> bool:
    """Whether the pod still waits to be counted."""
    return TRACKING in (pod["metadata"].get("finalizers") or [])


def index_of(pod: Object) -> int:
    """The completion index; -1 for a pod without one."""
    return int((pod["metadata"].get("annotations") or {}).get(INDEX, -1))


def failures_of(pod: Object) -> int:
    """How often the pod's index had failed before this pod."""
    return int((pod["metadata"].get("annotations") or {}).get(FAILURES, 0))


def job_labels(job: Object) -> dict[str, str]:
    """The labels by which a Job finds its pods, in both spellings that clients look for."""
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    return {NAME: name, "job-name": name, UID: uid, "controller-uid": uid}


def job_pod(job: Object, index: int | None, suffix: str, failures: int = 0) -> Object:
    """A pod of the job; with an index also hostname `<job>-<index>`, its label, annotation and environment."""
    name, template = job["metadata"]["name"], job["spec"]["template"]
    stem = name if index is None else f"{name}-{index}"
    pod = pod_from(template, job, f"{short_name(stem, 6)}-{suffix}", labels=job_labels(job))
    pod["metadata"]["finalizers"] = [TRACKING]
    if index is None:
        return pod
    pod["metadata"]["labels"][INDEX] = str(index)
    pod["metadata"]["annotations"] |= {INDEX: str(index)}
    if job["spec"].get("backoffLimitPerIndex") is not None:
        pod["metadata"]["annotations"] |= {FAILURES: str(failures)}
    pod["spec"].setdefault("hostname", f"{short_name(name, len(str(index)) + 1)}-{index}")
    for container in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]:
        _number(container)
    return pod


def _number(container: Object) -> None:
    env = container.setdefault("env", [])
    if all(entry["name"] != "JOB_COMPLETION_INDEX" for entry in env):
        path = f"metadata.annotations['{INDEX}']"
        env.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": path}}})
