"""What a cluster in memory does by itself: Jobs get pods, pods run as fate has it, Deployments become ready."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from libs.base import NotFound, rfc3339
from libs.testing.cluster import Address, Happening, MemoryCluster, Object, labels_of

INDEX = "batch.kubernetes.io/job-completion-index"
_GONE = "gone"
PEERS_FAIL_AFTER_S = 1.5
"""A connection that broke is noticed, and a program ends by it; the mark of what it broke by was there before."""


class End(NamedTuple):
    """How a pod ends: after `after_s` of running with `exit_code`, or without a trace (None).

    `taken`: the cluster takes it away, as by an eviction, and the other pods of its Job fail by that.
    """

    after_s: float
    exit_code: int | None
    taken: bool = False


class Fate(Protocol):
    """What becomes of pods."""

    def starts_in(self, pod: Object) -> float:
        """Seconds from creation until its containers run."""
        ...

    def end_of(self, pod: Object) -> End | None:
        """None for one that runs until it is stopped."""
        ...

    def stops_in(self, pod: Object) -> float:
        """Seconds from its deletion until it is gone."""
        ...


class Kubelet:
    """Plays a cluster's controllers and machine. A pod that is deleted goes when it has ended: it has a finalizer."""

    def __init__(self, cluster: MemoryCluster, fate: Fate) -> None:
        self._cluster, self._fate = cluster, fate
        self._due: dict[Address, None] = {}
        self._begun: set[str] = set()  # Jobs that have had all their pods: one that is missing now was lost.
        self._taken: set[tuple[str, str]] = set()  # Of which Job which index was taken away, and is to be made again.
        cluster.on_change.append(self._note)

    def _note(self, happening: Happening) -> None:
        at = happening.address
        if at.plural == "pods":
            self._note_pod(happening)
            for owner in happening.obj["metadata"].get("ownerReferences") or []:
                group, plural = _OWNERS[owner["kind"]]
                self._look(Address(group, plural, at.namespace, owner["name"]))
        elif at.plural in ("jobs", "deployments"):
            self._look(at)

    def _look(self, at: Address) -> None:
        """Soon, and once for many changes."""
        if at not in self._due:
            self._due[at] = None
            asyncio.get_running_loop().call_later(0.01, self._sync, at)

    def _sync(self, at: Address) -> None:
        self._due.pop(at, None)
        if (obj := self._cluster.objects.get(at)) is not None:
            sync = self._sync_job if at.plural == "jobs" else self._sync_deployment
            sync(at, obj)

    def _sync_job(self, at: Address, job: Object) -> None:
        if _ended(job):
            return
        pods = [pod for pod in self._pods_of(job) if not pod["metadata"].get("deletionTimestamp")]
        uid = job["metadata"]["uid"]
        if job["spec"].get("suspend"):
            self._begun.discard(uid)
            for pod in pods:
                self._delete(pod)
            return
        phases = {labels_of(pod)[INDEX]: _phase(pod) for pod in pods}
        missing = [str(n) for n in range(job["spec"]["completions"]) if str(n) not in phases]
        lost = [index for index in missing if (uid, index) not in self._taken]
        if "Failed" in phases.values() or (lost and uid in self._begun):
            self._finish(at, "Failed", "BackoffLimitExceeded", pods)
        elif not missing and set(phases.values()) == {"Succeeded"}:
            self._finish(at, "Complete", "CompletionsReached", pods)
        elif missing:
            self._begun.add(uid)
            for index in missing:
                self._taken.discard((uid, index))
                self._make_pod(job, f"{at.name}-{index}", {INDEX: index})

    def _finish(self, at: Address, type: str, reason: str, pods: list[Object]) -> None:
        condition = {"type": type, "status": "True", "reason": reason, "message": f"the job is {type}"}
        self._cluster.patch(at, {"status": {"conditions": [condition]}}, status=True)
        for pod in pods:
            if _phase(pod) in ("Pending", "Running"):
                self._delete(pod)

    def _sync_deployment(self, at: Address, deployment: Object) -> None:
        """Rolling: a ready pod of the new template before an old one goes."""
        count = deployment["spec"].get("replicas", 1)
        pods = [pod for pod in self._pods_of(deployment) if not pod["metadata"].get("deletionTimestamp")]
        template = deployment["spec"]["template"]
        new = [pod for pod in pods if labels_of(pod) == (template["metadata"].get("labels") or {})]
        old = [pod for pod in pods if pod not in new]
        alive = [pod for pod in new if _phase(pod) in ("Pending", "Running")]
        for pod in (pod for pod in new if pod not in alive):
            self._delete(pod)
        for _ in range(count - len(alive)):
            self._make_pod(deployment, f"{at.name}-{self._cluster.ids.suffix()}", {})
        ready = [pod for pod in alive if _phase(pod) == "Running"]
        if len(ready) >= count:
            for pod in [*old, *ready[count:]]:
                self._delete(pod)
        self._report(at, deployment, updated=len(alive), ready=len(ready), old=old)

    def _report(self, at: Address, deployment: Object, *, updated: int, ready: int, old: list[Object]) -> None:
        running = sum(_phase(pod) == "Running" for pod in old)
        left = len(self._pods_of(deployment))
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": max(left, updated),
            "updatedReplicas": updated,
            "availableReplicas": ready + running,
        }
        if {**deployment.get("status", {}), **status} != deployment.get("status"):
            self._cluster.patch(at, {"status": status}, status=True)

    def _make_pod(self, owner: Object, name: str, labels: dict[str, str]) -> None:
        template, meta = owner["spec"]["template"], owner["metadata"]
        reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
        name = f"{name}-{self._cluster.ids.suffix()}"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {**(template["metadata"].get("labels") or {}), **labels},
                "ownerReferences": [{**reference, "controller": True}],
                "finalizers": [_GONE],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        self._cluster.create(Address("", "pods", meta["namespace"], name), pod)

    def _note_pod(self, happening: Happening) -> None:
        at, pod = happening.address, happening.obj
        if happening.type == "ADDED":
            self._later(self._fate.starts_in(pod), at, pod, lambda: self._start(at, pod))
        elif _is_leaving(pod) and happening.type == "MODIFIED" and not _is_leaving(happening.before or pod):
            self._later(self._fate.stops_in(pod), at, pod, lambda: self._let_go(at))

    def _start(self, at: Address, pod: Object) -> None:
        container = {"name": _name(pod), "ready": True, "state": {"running": {}}}
        self._set(at, {"phase": "Running", "containerStatuses": [container]})
        if (end := self._fate.end_of(pod)) is not None:
            self._later(end.after_s, at, pod, lambda: self._end(at, pod, end))

    def _take(self, at: Address, pod: Object) -> None:
        """An eviction: the mark, the deletion, and what the other ranks make of it."""
        owner, index = pod["metadata"]["ownerReferences"][0]["uid"], labels_of(pod)[INDEX]
        self._taken.add((owner, index))
        now = rfc3339(self._cluster.clock.now())
        mark = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "evicted"}
        self._set(at, {"conditions": [{**mark, "lastTransitionTime": now}]})
        self._delete(pod)
        for peer in self._cluster.owned_by(owner):
            other = self._cluster.objects[peer]
            if peer != at and _phase(other) == "Running" and not _is_leaving(other):
                self._later(PEERS_FAIL_AFTER_S, peer, other, partial(self._fail, peer, other))

    def _fail(self, at: Address, pod: Object) -> None:
        present = self._cluster.objects[at]
        if _phase(present) == "Running" and not _is_leaving(present):
            self._end(at, pod, End(0.0, 1))

    def _end(self, at: Address, pod: Object, end: End) -> None:
        if end.taken:
            if not _is_leaving(self._cluster.objects[at]):
                self._take(at, pod)
            return
        if end.exit_code is None:
            self._let_go(at)
            if at in self._cluster.objects:
                self._cluster.delete(at)
            return
        state = {"exitCode": end.exit_code, "finishedAt": rfc3339(self._cluster.clock.now())}
        status = {"name": _name(pod), "ready": False, "state": {"terminated": state}}
        self._set(at, {"phase": "Failed" if end.exit_code else "Succeeded", "containerStatuses": [status]})

    def _let_go(self, at: Address) -> None:
        self._cluster.patch(at, {"metadata": {"finalizers": None}})

    def _set(self, at: Address, status: Object) -> None:
        self._cluster.patch(at, {"status": status}, status=True)

    def _later(self, seconds: float, at: Address, pod: Object, act: Callable[[], None]) -> None:
        def then() -> None:
            present = self._cluster.objects.get(at)
            if present is not None and present["metadata"]["uid"] == pod["metadata"]["uid"]:
                act()

        asyncio.get_running_loop().call_later(seconds, then)

    def _delete(self, pod: Object) -> None:
        try:
            self._cluster.delete(Address("", "pods", pod["metadata"]["namespace"], pod["metadata"]["name"]))
        except NotFound:
            return

    def _pods_of(self, owner: Object) -> list[Object]:
        owned = self._cluster.owned_by(owner["metadata"]["uid"])
        return [self._cluster.objects[at] for at in owned if at.plural == "pods"]


_OWNERS = {"Job": ("batch", "jobs"), "Deployment": ("apps", "deployments")}


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _is_leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _name(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["name"])


def _ended(job: Object) -> bool:
    told: list[Any] = (job.get("status") or {}).get("conditions") or []
    return any(c["type"] in ("Complete", "Failed") for c in told)
