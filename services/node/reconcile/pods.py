"""The kubelet: keeps each pod's containers as its spec wants, and its status as they are.

Nothing is started before it is decided in the store (node, address), and each start carries its attempt number, which
the runtime starts once. So a node that dies anywhere here adopts what runs and repeats only what is safe to repeat.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from libs.base.clock import Clock
from libs.resources import Resources
from services.node.domain.attempts import Attempt, Backoff, Exit, remembered, with_attempt
from services.node.domain.environment import ConfigError
from services.node.domain.job_pods import TRACKING
from services.node.domain.pod_status import pod_status
from services.node.domain.pods import FINISHED, Kill, PodPlan, Seen, Start, Waiting, is_brief, plan_pod
from services.node.ports import ContainerStarted, HostAlias, PodRuntime, PodSandbox, RuntimeEvent
from services.node.reconcile.containers import Containers
from services.node.reconcile.health import HealthCare
from services.node.reconcile.kinds import JOB, KUBELET, NODE, POD
from services.node.reconcile.live import Live, all_containers, container_named
from services.node.reconcile.needs import NodeFacts
from services.node.reconcile.pod_news import news_of
from services.node.reconcile.probing import Probes
from services.node.reconcile.pulling import PULLING, Pulls
from services.node.reconcile.recorder import Recorder
from services.node.reconcile.scheduling import Addresses, bound, gated, unbound, unschedulable
from services.node.reconcile.writing import Writing

Object = dict[str, Any]
CONFIG_RETRY_S = 10.0
LAZY_S = 0.3
"""How long the start of a short program may go untold: most of them end before, and both are told at once."""


class Pods:
    """`reconcile` takes a (namespace, name) key; `wake` asks for another look at one."""

    def __init__(
        self, resources: Resources, clock: Clock, runtime: PodRuntime, containers: Containers, probes: Probes,
        recorder: Recorder, node: NodeFacts, hosts: Callable[[Object], Sequence[HostAlias]],
        wake: Callable[[tuple[str, str]], None], backoff: Backoff,
    ) -> None:  # fmt: skip
        self._resources, self._clock, self._runtime = resources, clock, runtime
        self._containers, self._probes, self._recorder = containers, probes, recorder
        self._node, self._hosts, self._wake, self._backoff = node, hosts, wake, backoff
        self._live: dict[str, Live] = {}
        self._health, self._writing = HealthCare(probes, runtime), Writing(resources, recorder, self._live)
        self._keys: dict[str, tuple[str, str]] = {}
        self._records: dict[str, list[Attempt]] = {}
        self._addresses = Addresses(node.second)
        self._pulls = Pulls(runtime, clock, backoff)

    # what the runtime tells

    async def adopt(self, pods: Sequence[Object]) -> None:
        """Takes over what runs since before this node began; ends what belongs to no pod any more."""
        for record in await self._runtime.adopt():
            self._records.setdefault(record.pod_uid, []).append(attempt_of(record))
        known = {pod["metadata"]["uid"]: pod for pod in pods}
        for uid in [uid for uid in self._records if uid not in known]:
            await self._runtime.remove_pod(uid)
            del self._records[uid]
        for uid, pod in known.items():
            status = pod.get("status") or {}
            if status.get("podIP") and status.get("phase") not in FINISHED:
                self._addresses.hold(uid, status["podIP"])

    def hear(self, event: RuntimeEvent) -> None:
        """A container began or ended."""
        attempt, uid = attempt_of(event), event.pod_uid
        live, key = self._live.get(uid), self._keys.get(uid)
        if live:
            live.attempts = with_attempt(live.attempts, attempt)
        else:
            self._records.setdefault(uid, []).append(attempt)
        if live and live.later:
            live.later.cancel()
        if live and key and live.brief and attempt.exit is None:
            live.later = asyncio.create_task(self._wake_later(key))
        elif key:
            self._wake(key)

    async def _wake_later(self, key: tuple[str, str]) -> None:
        await self._clock.sleep(LAZY_S)
        self._wake(key)

    def knows(self, pod: Object, *, gone: bool) -> bool:
        """Whether a change of a pod is this node's own doing, which it need not look at once more."""
        live = self._live.get(pod["metadata"]["uid"])
        if gone:
            return live is None and pod["metadata"]["uid"] not in self._keys
        return live is not None and live.told == pod["metadata"]["resourceVersion"]

    def refresh_volumes(self, uid: str) -> None:
        """A ConfigMap or Secret that the pod shows has changed."""
        if (live := self._live.get(uid)) and (key := self._keys.get(uid)):
            live.stale_volumes = True
            live.blocked.clear()
            self._wake(key)

    # one look

    async def reconcile(self, key: Hashable) -> float | None:
        """1. where it runs; 2. what to do; 3. do it; 4. say how it is."""
        pod = await self._resources.find(POD, *_pair(key))
        if pod is None:
            await self._gone(_pair(key))
            return None
        uid = pod["metadata"]["uid"]
        self._keys[uid] = _pair(key)
        live = self._live_of(pod)
        if (pod.get("status") or {}).get("phase") in FINISHED and not pod["metadata"].get("deletionTimestamp"):
            self._rest(uid, live)
            return None
        if not pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp"):
            placed = await self._schedule(pod)
            if placed is None:
                return None
            pod = placed
        now = self._clock.now()
        plan = plan_pod(pod, live.seen, now, self._backoff)
        await self._carry_out(pod, live, plan)
        plan = self._after(plan, live)
        await self._tell(pod, live, plan, now)
        if plan.over and pod["metadata"].get("deletionTimestamp"):
            await self._finish(pod)
            return None
        return self._next_look(plan, live)

    def _next_look(self, plan: PodPlan, live: Live) -> float | None:
        if live.blocked:
            return CONFIG_RETRY_S
        return None if plan.wake_at is None else max(0.0, (plan.wake_at - self._clock.now()).total_seconds()) + 0.01

    def _live_of(self, pod: Object) -> Live:
        uid = pod["metadata"]["uid"]
        wake = partial(self._wake, self._keys[uid])
        if uid not in self._live:
            records = self._records.pop(uid, [])
            known = remembered(pod.get("status") or {}, records, self._clock.now())
            live = self._live[uid] = Live(known, is_brief(pod))
            for container in all_containers(pod):
                self._health.look_after(pod, live, container, wake, told_before=True)
        for container in all_containers(pod):
            self._health.look_after(pod, self._live[uid], container, wake)
        return self._live[uid]

    async def _schedule(self, pod: Object) -> Object | None:
        meta, now = pod["metadata"], self._clock.now()
        if closed := gated(pod):
            status = unbound(pod, closed, now, "SchedulingGated")
            if status != pod.get("status"):
                await self._writing.status(pod, status, [])
            return None
        chooses = pod["spec"].get("nodeSelector")  # most pods take any node
        node = await self._resources.find(NODE, "", self._node.name) if chooses else None
        labels = node["metadata"].get("labels") if node else None
        why = unschedulable(pod, self._node, labels or {})
        if why:
            status = unbound(pod, why, now)
            if status != pod.get("status"):
                await self._writing.status(pod, status, [("Warning", "FailedScheduling", why, "")])
            return None
        ip = self._addresses.take(pod)
        async with self._writing.transaction(meta["uid"]) as (uow, live):
            current = await uow.get(POD.resource, meta["namespace"], meta["name"])
            if current is None or current["metadata"]["uid"] != meta["uid"]:
                self._addresses.free(meta["uid"])
                return None
            placed = await uow.update(POD.resource, self._begun(bound(current, self._node, ip, now), now))
            live.told = placed["metadata"]["resourceVersion"]
            text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {self._node.name}"
            await self._recorder.tell(uow, placed, [("Normal", "Scheduled", text, "")])
        return placed

    def _begun(self, pod: Object, now: datetime) -> Object:
        """The pod as it will be in a moment if all goes well, so that this moment costs no transaction of its own."""
        if pod["spec"].get("initContainers") or self._live[pod["metadata"]["uid"]].attempts:
            return pod
        first = {container["name"]: (Attempt(container["name"], 0),) for container in pod["spec"]["containers"]}
        return {**pod, "status": pod_status(pod, Seen(first), PodPlan(), now)}

    # doing

    async def _carry_out(self, pod: Object, live: Live, plan: PodPlan) -> None:
        if live.stale_volumes and not pod["metadata"].get("deletionTimestamp"):
            live.stale_volumes = False
            await self._refresh(pod, live)
        for action in plan.actions:
            if isinstance(action, Start):
                await self._start(pod, live, action)
            elif (action.name, action.number) not in live.killed:
                live.killed.add((action.name, action.number))
                live.news.append(("Normal", "Killing", action.why, action.name))
                live.spawn(self._kill(pod, live, action))

    async def _refresh(self, pod: Object, live: Live) -> None:
        try:
            await self._containers.refresh_volumes(pod)
        except ConfigError as error:
            live.news.append(("Warning", "FailedMount", str(error), ""))

    async def _start(self, pod: Object, live: Live, action: Start) -> None:
        container = container_named(pod, action.name)
        if self._lacks_image(pod, live, container):
            return
        try:
            spec = await self._containers.spec(pod, container, action.number)
        except ConfigError as error:
            live.blocked[action.name] = Waiting("CreateContainerConfigError", str(error))
            live.news.append(("Warning", "Failed", f"Error: {error}", action.name))
            return
        live.blocked.pop(action.name, None)
        if not live.sandbox:
            await self._runtime.start_pod(self._sandbox(pod))
            live.sandbox = True
        live.attempts = with_attempt(live.attempts, Attempt(action.name, action.number))
        try:
            await self._runtime.start_container(spec)
        except BaseException:
            self._forget_start(live, action)
            raise

    def _lacks_image(self, pod: Object, live: Live, container: Object) -> bool:
        """Whether the start has to wait for what the image stands for. What is told once is not told again."""
        name, key = container["name"], self._keys[pod["metadata"]["uid"]]
        why = self._pulls.missing(container.get("image") or "", lambda: self._look_at_image(live, name, key))
        before = live.pulls.get(name)
        if why == before:
            pass
        elif why is None:
            live.news.append(("Normal", "Pulled", f"image {container['image']!r} is ready", name))
        else:
            live.news.append(("Normal" if why.reason == PULLING else "Warning", why.reason, why.message, name))
        if why is None:
            live.pulls.pop(name, None)
            return False
        live.pulls[name] = live.blocked[name] = why
        return True

    def _look_at_image(self, live: Live, name: str, key: tuple[str, str]) -> None:
        live.blocked.pop(name, None)
        self._wake(key)

    def _forget_start(self, live: Live, action: Start) -> None:
        """The order was not taken: the same attempt is asked for again."""
        known = live.attempts.get(action.name) or ()
        kept = tuple(a for a in known if a.number != action.number or a.started_at or a.exit)
        live.attempts = {**live.attempts, action.name: kept}

    def _sandbox(self, pod: Object) -> PodSandbox:
        meta, spec = pod["metadata"], pod["spec"]
        return PodSandbox(
            meta["uid"], meta["namespace"], meta["name"], pod["status"]["podIP"],
            spec.get("hostname") or meta["name"], spec.get("subdomain") or "", tuple(self._hosts(pod)),
        )  # fmt: skip

    async def _kill(self, pod: Object, live: Live, action: Kill) -> None:
        """The container's own farewell first, then SIGTERM; both within the grace period."""
        container = container_named(pod, action.name)
        began = self._clock.monotonic()
        hook = (container.get("lifecycle") or {}).get("preStop")
        if hook and action.grace_s > 0:
            await self._pre_stop(pod, container, hook, action.grace_s)
        left = max(0.0, action.grace_s - (self._clock.monotonic() - began))
        await self._runtime.kill_container(pod["metadata"]["uid"], action.name, max(left, min(2.0, action.grace_s)))

    async def _pre_stop(self, pod: Object, container: Object, hook: Object, grace: float) -> None:
        if sleep := hook.get("sleep"):
            await self._clock.sleep(min(float(sleep.get("seconds") or 0), grace))
        else:
            await self._probes.prober.ask(pod, container, hook, grace)

    # telling

    def _after(self, plan: PodPlan, live: Live) -> PodPlan:
        """The plan with the reasons that came up while it was carried out."""
        waiting = {**plan.waiting, **live.blocked}
        return PodPlan(plan.actions, waiting, plan.wake_at, plan.over, plan.failed)

    async def _tell(self, pod: Object, live: Live, plan: PodPlan, now: datetime) -> None:
        old = pod.get("status") or {}
        if not old.get("podIP"):
            return
        status = pod_status(pod, live.seen, plan, now)
        news = [*live.news, *news_of(pod, old, status)]
        live.news = []
        if status != old or news:
            await self._writing.status(pod, status, news)
            if status.get("phase") in FINISHED:
                self._rest(pod["metadata"]["uid"], live)

    # the end

    def _rest(self, uid: str, live: Live) -> None:
        """A finished pod needs no address and no probes; its logs stay."""
        live.rest()
        self._addresses.free(uid)

    async def _finish(self, pod: Object) -> None:
        meta = pod["metadata"]
        self._rest(meta["uid"], self._live[meta["uid"]])
        await self._runtime.remove_pod(meta["uid"])
        async with self._resources.store.write() as uow:
            view = self._resources.view(uow)
            if TRACKING in (meta.get("finalizers") or []) and await self._orphaned(view, pod):
                await view.remove_finalizer(POD, meta["namespace"], meta["name"], TRACKING)
            await view.remove_finalizer(POD, meta["namespace"], meta["name"], KUBELET)
            self._keys.pop(meta["uid"], None)  # so that its going is known for this node's own doing
            self._live.pop(meta["uid"], None)

    async def _orphaned(self, view: Resources, pod: Object) -> bool:
        """Whether nobody is left to count the pod."""
        for ref in pod["metadata"].get("ownerReferences") or []:
            if ref["kind"] == "Job":
                job = await view.find(JOB, pod["metadata"]["namespace"], ref["name"])
                return job is None or job["metadata"]["uid"] != ref["uid"]
        return True

    async def _gone(self, key: tuple[str, str]) -> None:
        for uid in [uid for uid, known in self._keys.items() if known == key]:
            del self._keys[uid]
            if live := self._live.pop(uid, None):
                self._rest(uid, live)
            self._addresses.free(uid)
            await self._runtime.remove_pod(uid)

    def stop(self) -> None:
        """Ends this node's own tasks; containers go on."""
        self._pulls.stop()
        for live in self._live.values():
            live.stop()


def attempt_of(event: RuntimeEvent) -> Attempt:
    """A runtime event as the domain knows it."""
    if isinstance(event, ContainerStarted):
        return Attempt(event.name, event.attempt, event.started_at)
    end = Exit(event.exit_code, event.signal, event.reason, event.message, event.started_at, event.finished_at)
    return Attempt(event.name, event.attempt, event.started_at, end)


def _pair(key: Any) -> tuple[str, str]:
    namespace, name = key
    return namespace, name
