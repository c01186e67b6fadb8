"""Waits until every workload of a namespace is ready, telling how far it is; on a time-out it says what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.cluster_suite import diagnosis
from tests.cluster_suite.kubectl import Kubectl, Object
from tests.cluster_suite.preflight import default_storage_class

Tell = Callable[[str], None]
KINDS = "deployments.apps,statefulsets.apps,jobs.batch"
LINES = 12


class NotReady(Exception):
    """Something is not ready in time; the message is the diagnosis, a line for each thing."""


def until_ready(kubectl: Kubectl, namespace: str, timeout_s: float, tell: Tell) -> dict[str, float]:
    """Seconds from the start of each pod to its readiness, by pod. Raises NotReady."""
    end, told = time.monotonic() + timeout_s, ""
    while True:
        workloads = kubectl.items(KINDS, "-n", namespace)
        waiting = [name(w) for w in workloads if not is_ready(w)]
        line = f"{len(workloads) - len(waiting)}/{len(workloads)} ready" + (
            f", waiting for {', '.join(waiting)}" * bool(waiting)
        )
        if line != told:
            tell(line)
            told = line
        if workloads and not waiting:
            return start_times(kubectl.items("pods", "-n", namespace))
        if time.monotonic() > end:
            raise NotReady("\n".join([f"not ready after {timeout_s:.0f} s: {line}", *explain(kubectl, namespace)]))
        time.sleep(2)


def is_ready(workload: Object) -> bool:
    """As `kubectl rollout status` and `kubectl wait --for=condition=complete` see it."""
    spec, status = workload["spec"], workload.get("status") or {}
    if workload["kind"] == "Job":
        return any(
            c["type"] in ("Complete", "SuccessCriteriaMet") and c["status"] == "True"
            for c in status.get("conditions") or []
        )
    wanted = spec.get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 1)
    updated = status.get("updatedReplicas", status.get("readyReplicas", 0)) or 0
    return bool(seen and (status.get("readyReplicas") or 0) >= wanted and updated >= wanted)


def name(workload: Object) -> str:
    return f"{workload['kind'].lower()}/{workload['metadata']['name']}"


def start_times(pods: Sequence[Object]) -> dict[str, float]:
    """From creation to readiness, in whole seconds, as the API tells them."""
    from libs.base.clock import parse_rfc3339

    found = {}
    for pod in pods:
        ready = next((c for c in (pod.get("status") or {}).get("conditions") or [] if c["type"] == "Ready"), None)
        if ready and ready["status"] == "True":
            took = parse_rfc3339(ready["lastTransitionTime"]) - parse_rfc3339(pod["metadata"]["creationTimestamp"])
            found[pod["metadata"]["name"]] = took.total_seconds()
    return found


def explain(kubectl: Kubectl, namespace: str) -> list[str]:
    """One or more lines for everything in the namespace that is not as it should be."""
    events = kubectl.items("events", "-n", namespace)
    pods = kubectl.items("pods", "-n", namespace)
    found: list[str] = []
    for workload in kubectl.items(KINDS, "-n", namespace):
        if not is_ready(workload):
            own = [pod for pod in pods if _selected(workload, pod)]
            found += diagnosis.of_workload(workload, own, about(events, workload["metadata"]["name"]))
    for pod in pods:
        found += diagnosis.of_pod(pod, about(events, pod["metadata"]["name"]), reader(kubectl, pod))
    default = default_storage_class(kubectl.items("storageclasses.storage.k8s.io"))
    for claim in kubectl.items("persistentvolumeclaims", "-n", namespace):
        found += diagnosis.of_claim(claim, default)
    return found


def about(events: Sequence[Object], name: str) -> list[Object]:
    """Events of one object, or of what it owns (whose names begin with its name)."""

    def told(event: Object) -> bool:
        subject = (event.get("involvedObject") or {}).get("name", "")
        return bool(subject == name or subject.startswith(f"{name}-"))

    return [event for event in events if told(event)]


def reader(kubectl: Kubectl, pod: Object) -> diagnosis.Lines:
    """The last lines of a container's log."""
    meta = pod["metadata"]

    def lines(container: str, before: bool) -> Sequence[str]:
        flags = [f"--tail={LINES}", *(["--previous"] if before else [])]
        worked, said = kubectl.tried(
            "logs", "-n", meta["namespace"], meta["name"], "-c", container, *flags, timeout_s=20
        )
        return said.splitlines()[-LINES:] if worked else []

    return lines


def _selected(workload: Object, pod: Object) -> bool:
    labels = ((workload["spec"].get("selector") or {}).get("matchLabels")) or {}
    mine = pod["metadata"].get("labels") or {}
    return bool(labels) and all(mine.get(key) == value for key, value in labels.items())
