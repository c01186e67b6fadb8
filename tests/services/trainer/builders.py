"""TrainJobs and runtimes as the Kubeflow SDK sends them, and child Jobs and pods as a cluster shows them."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from services.trainer.domain.merge import merged
from services.trainer.domain.workload import Site

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SITE = Site(
    progress_url="http://trainer/training/v1",
    s3={"AWS_ENDPOINT_URL": "http://s3", "AWS_SECRET_ACCESS_KEY": "hidden"},
    bucket="millstream",
)

RUNTIME: dict[str, Any] = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "ClusterTrainingRuntime",
    "metadata": {"name": "torch-distributed", "labels": {"trainer.kubeflow.org/framework": "torch"}},
    "spec": {
        "mlPolicy": {"numNodes": 1, "torch": {}},
        "template": {
            "spec": {
                "replicatedJobs": [
                    {
                        "name": "node",
                        "template": {
                            "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                            "spec": {
                                "template": {"spec": {"containers": [{"name": "node", "image": "pytorch/pytorch:2.7"}]}}
                            },
                        },
                    }
                ]
            }
        },
    },
}

JOB: dict[str, Any] = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {
        "name": "digits",
        "namespace": "team",
        "uid": "0b6f6f7e-0000-4000-8000-000000000001",
        "generation": 1,
        "resourceVersion": "42",
        "creationTimestamp": "2026-11-22T09:59:59Z",
    },
    "spec": {
        "runtimeRef": {
            "apiGroup": "trainer.kubeflow.org",
            "kind": "ClusterTrainingRuntime",
            "name": "torch-distributed",
        },
        "trainer": {"numNodes": 2, "command": ["bash", "-c", "torchrun t.py"]},
    },
}


def job(**patch: Any) -> dict[str, Any]:
    """JOB with a patch of nested keyword arguments: job(spec={"suspend": True}); None stands for null."""
    return _nulled(merged(JOB, patch), patch)


def _nulled(out: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    for key, value in patch.items():
        if value is None:
            out[key] = None
        elif isinstance(value, dict):
            _nulled(out[key], value)
    return out


def admitted(**patch: Any) -> dict[str, Any]:
    return _nulled(merged(job(status={"admission": {"state": "Admitted"}}), patch), patch)


def runtime(**node: Any) -> dict[str, Any]:
    """RUNTIME with keys of its container named node replaced; None removes one."""
    out = deepcopy(RUNTIME)
    container = out["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"][
        "containers"
    ][0]
    container.update(node)
    for key in [key for key, value in node.items() if value is None]:
        del container[key]
    return out


def child(condition: str | None = None, reason: str = "", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": condition, "status": "True", "reason": reason}] if condition else []
    return {
        "metadata": {"name": "digits-node-0", "namespace": "team", "labels": {}},
        "spec": spec,
        "status": {"conditions": conditions},
    }


def pod(index: int, phase: str, **terminated: Any) -> dict[str, Any]:
    """A pod of the job; `terminated` is its container's terminated state."""
    statuses = [{"name": "node", "state": {"terminated": terminated}}] if terminated else []
    return {
        "metadata": {
            "name": f"digits-node-0-{index}-abcde",
            "namespace": "team",
            "labels": {"batch.kubernetes.io/job-completion-index": str(index)},
        },
        "spec": {"containers": [{"name": "node", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]},
        "status": {"phase": phase, "containerStatuses": statuses},
    }
