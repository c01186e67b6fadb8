"""Probes follow the running attempts of a pod's containers; who fails a liveness or startup probe is ended."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from services.node.domain.attempts import latest
from services.node.domain.pods import Health
from services.node.ports import PodRuntime
from services.node.reconcile.live import Live
from services.node.reconcile.probing import Probes

Object = dict[str, Any]
Wake = Callable[[], None]


class HealthCare:
    def __init__(self, probes: Probes, runtime: PodRuntime) -> None:
        self._probes, self._runtime = probes, runtime

    def look_after(self, pod: Object, live: Live, container: Object, wake: Wake, *, told_before: bool = False) -> None:
        """`wake` asks for a look at the pod; with `told_before` its status says what an earlier node had found."""
        name = container["name"]
        last, watched = latest(live.attempts, name), live.probed.get(name)
        running = last is not None and last.running and last.started_at is not None
        if watched and (not running or last is None or watched.number != last.number):
            watched.stop()
            del live.probed[name]
            watched = None
        if running and last and watched is None:
            known = _health_told(pod, name, last.number) if told_before else None
            tell = partial(self._probed, pod["metadata"]["uid"], live, container, last.number, wake)
            live.probed[name] = self._probes.watch(pod, container, last.number, known, tell)

    def _probed(
        self, uid: str, live: Live, container: Object, number: int, wake: Wake, kind: str, ok: bool, text: str
    ) -> None:
        name = container["name"]
        watched = live.probed.get(name)
        if watched is None or watched.number != number:
            return
        if kind.endswith(":bad"):
            probe = kind.removesuffix(":bad").capitalize()
            live.news.append(("Warning", "Unhealthy", f"{probe} probe failed: {text}", name))
        elif kind == "readiness":
            watched.health = replace(watched.health, ready=ok)
        elif kind == "startup" and ok:
            has_readiness = bool(container.get("readinessProbe"))
            watched.health = Health(True, not has_readiness)
        elif not ok:
            self._condemn(uid, live, container, number, kind)
        wake()

    def _condemn(self, uid: str, live: Live, container: Object, number: int, kind: str) -> None:
        """A container that fails its startup or liveness probe is ended; its restart policy does the rest."""
        name = container["name"]
        if (name, number) not in live.killed:
            live.killed.add((name, number))
            live.news.append(("Normal", "Killing", f"Container {name} failed {kind} probe, will be restarted", name))
            probe = container.get(kind + "Probe") or {}
            grace = float(probe.get("terminationGracePeriodSeconds") or 30)
            live.spawn(self._runtime.kill_container(uid, name, grace))


def _health_told(pod: Object, name: str, number: int) -> Health | None:
    status = pod.get("status") or {}
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if one["name"] == name and one["restartCount"] == number and "running" in (one.get("state") or {}):
            return Health(bool(one.get("started")), bool(one.get("ready")))
    return None
