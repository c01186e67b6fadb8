"""The logs of all nodes of one training job, told apart by the node's name."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from millstream.client import Client
from millstream.errors import ClientError

JOB_LABEL = "jobset.sigs.k8s.io/jobset-name"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"


def print_job_logs(client: Client, target: str, namespace: str, follow: bool, params: Mapping[str, str]) -> None:
    """Print `node-<index> | line` for every pod of `trainjob/NAME`; with follow, all pods at once until they end."""
    kind, _, name = target.partition("/")
    if client.resource(kind).kind != "TrainJob":
        raise ClientError(f"logs of {target!r}: give a pod's name, or trainjob/NAME")
    pods = client.list("pods", namespace, f"{JOB_LABEL}={name}")
    if not pods:
        raise ClientError(
            f"trainjob/{name} has no pods in {namespace} (yet); see `millstream describe trainjob {name}`"
        )
    pods.sort(key=_index)
    if not follow:
        for pod in pods:
            _print_pod(client, pod, namespace, False, params)
        return
    readers = [
        threading.Thread(target=_print_pod, args=(client, pod, namespace, True, params), daemon=True) for pod in pods
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()


def _index(pod: dict[str, Any]) -> int:
    return int(pod["metadata"].get("labels", {}).get(INDEX_LABEL, 0))


def _print_pod(client: Client, pod: dict[str, Any], namespace: str, follow: bool, params: Mapping[str, str]) -> None:
    try:
        for line in client.logs(pod["metadata"]["name"], namespace, follow, **params):
            print(f"node-{_index(pod)} | {line}", flush=follow)
    except ClientError as error:
        print(f"node-{_index(pod)} | ({error})")
