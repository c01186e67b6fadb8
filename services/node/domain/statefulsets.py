"""What a StatefulSet wants next: one pod after the other, each with its own sticky name; pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.node.domain.deployments import WorkloadPlan
from services.node.domain.owned import active, deleting, phase, pod_from, ready, template_hash

Object = dict[str, Any]
REVISION_LABEL = "controller-revision-hash"
POD_NAME, INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def plan_statefulset(owner: Object, pods: Sequence[Object], now: datetime) -> WorkloadPlan:
    """Grows in order, shrinks and updates in reverse order, one pod at a time unless `Parallel`."""
    spec = owner["spec"]
    wanted = int(spec["replicas"] if spec.get("replicas") is not None else 1)
    revision = f"{owner['metadata']['name']}-{template_hash(spec['template'])}"
    by_ordinal = {ordinal(p): p for p in pods}
    ended = [p for p in pods if phase(p) in ("Succeeded", "Failed") and not deleting(p)]
    status = _status(owner, pods, revision, wanted)
    if ended:
        return WorkloadPlan(status, delete=tuple(p["metadata"]["name"] for p in ended))
    if spec.get("podManagementPolicy") == "Parallel":
        return _all_at_once(owner, by_ordinal, wanted, revision, status)
    return _in_order(owner, by_ordinal, wanted, revision, status)


def ordinal(pod: Object) -> int:
    """The number at the end of the pod's name; -1 for a foreign name."""
    tail = pod["metadata"]["name"].rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def _in_order(owner: Object, known: dict[int, Object], wanted: int, revision: str, status: Object) -> WorkloadPlan:
    for number in range(wanted):
        pod = known.get(number)
        if pod is None:
            return WorkloadPlan(status, (_pod(owner, number, revision),))
        if deleting(pod):
            return WorkloadPlan(status)
        if not ready(pod):
            broken = _revision(pod) != revision and _updates(owner, number)
            return WorkloadPlan(status, delete=(pod["metadata"]["name"],) if broken else ())
    for number in sorted((n for n in known if n >= wanted), reverse=True):
        gone = known[number]
        return WorkloadPlan(status, delete=() if deleting(gone) else (gone["metadata"]["name"],))
    return WorkloadPlan(status, delete=_outdated(owner, known, wanted, revision)[:1])


def _all_at_once(owner: Object, known: dict[int, Object], wanted: int, revision: str, status: Object) -> WorkloadPlan:
    new = tuple(_pod(owner, n, revision) for n in range(wanted) if n not in known)
    surplus = [p["metadata"]["name"] for n, p in known.items() if n >= wanted and not deleting(p)]
    settled = not new and all(ready(p) for n, p in known.items() if n < wanted)
    outdated = _outdated(owner, known, wanted, revision)[:1] if settled else ()
    return WorkloadPlan(status, new, (*surplus, *outdated))


def _outdated(owner: Object, known: dict[int, Object], wanted: int, revision: str) -> tuple[str, ...]:
    numbers = [n for n in range(wanted - 1, -1, -1) if _updates(owner, n)]
    return tuple(known[n]["metadata"]["name"] for n in numbers if active(known[n]) and _revision(known[n]) != revision)


def _updates(owner: Object, number: int) -> bool:
    strategy = owner["spec"].get("updateStrategy") or {}
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    return strategy.get("type") != "OnDelete" and number >= partition


def _revision(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))


def claims(owner: Object, number: int) -> list[Object]:
    """The PersistentVolumeClaims of pod `number`; they outlive the pod and the set."""
    name = owner["metadata"]["name"]
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": f"{t['metadata']['name']}-{name}-{number}",
                "namespace": owner["metadata"]["namespace"],
                "labels": (owner["spec"].get("selector") or {}).get("matchLabels") or {},
            },
            "spec": t["spec"],
        }
        for t in owner["spec"].get("volumeClaimTemplates") or []
    ]


def _pod(owner: Object, number: int, revision: str) -> Object:
    name = f"{owner['metadata']['name']}-{number}"
    labels = {POD_NAME: name, INDEX_LABEL: str(number), REVISION_LABEL: revision}
    pod = pod_from(owner["spec"]["template"], owner, name, labels=labels)
    pod["spec"]["hostname"] = name
    pod["spec"]["subdomain"] = owner["spec"].get("serviceName") or ""
    templates = owner["spec"].get("volumeClaimTemplates") or []
    mine = [_volume(t["metadata"]["name"], name) for t in templates]
    named = {v["name"] for v in mine}
    others = [v for v in pod["spec"].get("volumes") or [] if v["name"] not in named]
    if mine or others:
        pod["spec"]["volumes"] = [*others, *mine]
    return pod


def _volume(template: str, pod: str) -> Object:
    return {"name": template, "persistentVolumeClaim": {"claimName": f"{template}-{pod}"}}


def _status(owner: Object, pods: Sequence[Object], revision: str, wanted: int) -> Object:
    old = owner.get("status") or {}
    living = [p for p in pods if active(p)]
    updated = [p for p in living if _revision(p) == revision]
    settled = len(updated) == len(living) == wanted and all(map(ready, living))
    current = revision if settled or not old.get("currentRevision") else old["currentRevision"]
    return {
        **old,
        "observedGeneration": owner["metadata"].get("generation", 1),
        "replicas": len(living),
        "readyReplicas": sum(map(ready, living)),
        "availableReplicas": sum(map(ready, living)),
        "updatedReplicas": len(updated),
        "currentReplicas": sum(_revision(p) == current for p in living),
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
    }
