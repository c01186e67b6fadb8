"""Pods of steps that do not come to run: what is told of it from Events as kubelets write them, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from libs.base import SystemIds
from libs.base.errors import Forbidden, Unavailable
from libs.cluster.obstacles import Obstacle
from libs.testing.clock import VirtualClock
from libs.testing.cluster import Address, MemoryCluster
from libs.testing.cluster_wire import connect
from services.pipelines.adapters import pods as keeping
from services.pipelines.adapters.pods import Pods, PodStart
from services.pipelines.domain.ended import Ended
from services.pipelines.domain.starting import is_to_be_mended, told_by
from services.pipelines.domain.steps.pod import Site
from services.pipelines.domain.steps.values import StepOrder

SITE = Site(url="http://pipelines", gateway="http://gateway", launcher=b"zip")
MOUNT = 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'
ACCOUNT = 'pods "run-add-1" is forbidden: error looking up service account team/ci: serviceaccount "ci" not found'


def event(reason: str, message: str, at: str = "10:00:00", type: str = "Warning") -> dict[str, Any]:
    """As a kubelet of 1.30 writes it."""
    stamp = f"2026-01-01T{at}Z"
    return {"type": type, "reason": reason, "message": message, "firstTimestamp": stamp, "lastTimestamp": stamp}


@dataclass
class Bench:
    pods: Pods
    cluster: MemoryCluster
    clock: VirtualClock
    ended: list[Ended] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    refuses: str = ""

    async def start(self, attempt: int = 1) -> None:
        about = {"run_id": "r", "namespace": "team", "uid": "t", "path": "root/add", "name": "add", "component": "c"}
        order = StepOrder(**about, attempt=attempt, image="python:3.11", command=("run",), executor_input={})
        self.pods.start(PodStart(order))
        await self.clock.advance(0.1)

    @property
    def pod(self) -> Address:
        (found,) = [at for at in self.cluster.objects if at.plural == "pods"]
        return found

    def says(self, reason: str, message: str, **more: str) -> None:
        """The kubelet, about the pod."""
        uid = self.cluster.objects[self.pod]["metadata"]["uid"]
        at = Address("", "events", "team", f"{reason}-{len(self.cluster.objects)}".lower())
        about = {"kind": "Pod", "namespace": "team", "name": self.pod.name, "uid": uid}
        self.cluster.create(at, {**event(reason, message, **more), "involvedObject": about})

    def status(self, **status: Any) -> None:
        self.cluster.patch(self.pod, {"status": status}, status=True)


@asynccontextmanager
async def bench(patience_s: float = 300.0) -> AsyncIterator[Bench]:
    clock = VirtualClock()
    cluster = MemoryCluster(clock, SystemIds())

    async def ensure(namespace: str) -> Site:
        if made.refuses:
            raise Forbidden(made.refuses)
        return SITE

    def heard(uid: str, attempt: int, ended: Ended | None) -> None:
        made.ended += [ended] if ended else []

    def stuck(uid: str, attempt: int, why: str) -> None:
        made.told.append(why)

    limits: dict[str, Any] = {"limit": 10, "keep_failed_s": 60, "start_patience_s": patience_s}
    made = Bench(
        Pods(connect(cluster), clock, SITE, ensure, heard, lambda *key: None, stuck=stuck, **limits), cluster, clock
    )
    running = asyncio.ensure_future(made.pods.run())
    try:
        yield made
    finally:
        running.cancel()
        made.pods.forget()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_a_kubelet_tells_by_events_alone_is_told_within_seconds_and_only_while_it_is_so():
    async with bench() as here:
        await here.start()
        here.status(phase="Pending", conditions=[{"type": "PodScheduled", "status": "True"}])
        here.says("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", at="09:59:00")
        here.says("FailedMount", MOUNT)
        await here.clock.advance(10)
        assert here.told == [f"its pod {here.pod.name} does not run yet (FailedMount): {MOUNT}"]
        here.status(phase="Pending", message="again")  # a change that says nothing of it
        await here.clock.advance(10)
        assert len(here.told) == 1
        here.says("Pulling", 'Pulling image "python:3.11"', at="10:00:30", type="Normal")
        await here.clock.advance(10)
        assert here.told[1:] == [f'its pod {here.pod.name} does not run yet (Pulling): Pulling image "python:3.11"']
        here.says("Pulled", "Successfully pulled image", at="10:00:50", type="Normal")
        await here.clock.advance(10)
        assert here.told[2:] == [""]
        here.status(phase="Running")
        await here.clock.advance(1000)
        assert (here.ended, len(here.told)) == ([], 3)


async def test_what_nobody_mends_in_time_fails_the_step_and_the_pod_goes():
    async with bench(patience_s=60) as here:
        await here.start()
        here.status(phase="Pending")
        here.says("FailedMount", MOUNT)
        await here.clock.advance(55)
        assert here.ended == [] and here.pod
        await here.clock.advance(30)
        end, gone = here.ended
        assert end.outcome.error.message == f"the step's pod did not start within 60 s (FailedMount): {MOUNT}"
        assert not end.outcome.final and not end.outcome.lost, "the step's own retry policy says what comes now"
        assert end.there and not gone.there, "what waits for the pod's end hears of it"
        assert not [at for at in here.cluster.objects if at.plural == "pods"]
        await here.start(attempt=2)
        here.status(phase="Running")
        await here.clock.advance(500)
        assert len(here.ended) == 2


async def test_room_on_a_node_is_waited_for_whatever_it_takes():
    no_room = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no cpu"}
    async with bench(patience_s=60) as here:
        await here.start()
        here.status(phase="Pending", conditions=[no_room])
        await here.clock.advance(3600)
        assert here.ended == [] and "no cpu" in here.told[-1]
        here.status(phase="Pending", conditions=[{**no_room, "message": 'persistentvolumeclaim "data" not found'}])
        await here.clock.advance(70)
        assert 'claim "data" not found' in here.ended[0].outcome.error.message


BUSY = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) trainer-0'
VAGUE = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[]: timed out waiting"


async def test_a_volume_that_others_have_is_waited_for_and_then_counts_no_more():
    async with bench(patience_s=60) as here:
        await here.start()
        here.status(phase="Pending")
        here.says("FailedAttachVolume", BUSY)
        here.says("FailedMount", VAGUE, at="10:02:00")
        await here.clock.advance(3600)
        assert here.ended == [] and here.told == [
            f"its pod {here.pod.name} does not run yet (FailedAttachVolume): {BUSY}"
        ]
        attached = 'AttachVolume.Attach succeeded for volume "pvc-1"'
        here.says("SuccessfulAttachVolume", attached, at="11:02:00", type="Normal")
        here.says("FailedMount", f"{VAGUE} for the condition", at="11:04:00")
        await here.clock.advance(30)
        assert "(FailedMount): Unable to attach" in here.told[-1]
        await here.clock.advance(60)
        assert here.ended[0].outcome.error.reason == "FailedMount", "somebody has to look after it"


async def test_a_large_image_is_waited_for_whatever_it_takes():
    async with bench(patience_s=60) as here:
        await here.start()
        here.status(phase="Pending")
        here.says("FailedMount", MOUNT)
        await here.clock.advance(30)
        here.says("Pulling", 'Pulling image "python:3.11"', at="10:00:30", type="Normal")
        await here.clock.advance(3600)
        assert here.ended == [] and "Pulling image" in here.told[-1]


async def test_an_account_that_is_not_there_is_asked_for_in_vain_until_the_patience_is_over():
    async with bench(patience_s=60) as here:
        here.refuses = ACCOUNT
        await here.start()
        await here.clock.advance(30)
        assert here.told[-1] == f"its pod cannot be made yet: {ACCOUNT}; make it, or name another one"
        assert here.ended == []
        await here.clock.advance(40)
        [end] = here.ended
        assert "within 60 s (ServiceAccountMissing)" in end.outcome.error.message and not end.there
        here.refuses = ""
        await here.clock.advance(60)
        assert here.pods.counts == {"waiting": 0, "running": 0}
        assert not [at for at in here.cluster.objects if at.plural == "pods"], "nothing comes after its end"


@pytest.mark.parametrize(
    ("reason", "message", "mended"),
    [
        ("CreateContainerConfigError", 'container main: secret "keys" not found', True),
        ("ImagePullBackOff", "container main: no such image", True),
        ("QuotaExceeded", "exceeded quota: team", False),
        ("AdmissionUnavailable", "failed calling webhook", False),
        ("Unschedulable", "0/3 nodes are available: 3 Insufficient memory.", False),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "pvc-1" : volume uses the ReadWriteOncePod access mode and '
            "is already in use by another pod",
            False,
        ),
    ],
)
def test_only_what_somebody_must_mend_has_a_limit(reason: str, message: str, mended: bool):
    assert is_to_be_mended(Obstacle(reason, message)) is mended


def test_events_of_what_is_long_done_tell_nothing():
    done = event("Created", "Created container main", type="Normal")
    assert told_by([event("FailedScheduling", "0/3 nodes")]) is None
    assert told_by([event("FailedMount", MOUNT), done]) is None


async def test_of_many_failed_pods_the_newest_are_kept_to_be_looked_into(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keeping, "FAILED_MAX", 3)
    async with bench() as here:
        for attempt in range(1, 9):
            await here.start(attempt)
            at = [at for at in here.cluster.objects if at.plural == "pods"][-1]
            here.cluster.patch(at, {"status": {"phase": "Failed"}}, status=True)
            await here.clock.advance(0.1)
        await here.clock.advance(keeping.LOOK_S)
        assert [at.name[-1] for at in here.cluster.objects if at.plural == "pods"] == ["6", "7", "8"]
        await here.clock.advance(60)
        assert not [at for at in here.cluster.objects if at.plural == "pods"]


async def test_pods_that_the_cluster_keeps_do_not_keep_the_others():
    async with bench() as here:
        for attempt in range(1, 21):
            await here.start(attempt)
        pods = [at for at in here.cluster.objects if at.plural == "pods"]
        assert len(pods) == 10, "no more have a place"
        for at in pods:
            here.cluster.patch(at, {"status": {"phase": "Failed"}}, status=True)
        await here.clock.advance(1)
        pods = [at for at in here.cluster.objects if at.plural == "pods"]
        last = next(at for at in pods if at.name.endswith("-20"))
        for at in pods:
            here.cluster.patch(at, {"metadata": {"finalizers": ["example.com/keep"]} if at != last else {}})
            here.cluster.patch(at, {"status": {"phase": "Failed"}}, status=True)
        for _ in range(16):
            await here.clock.advance(5)
        left = [at for at in here.cluster.objects if at.plural == "pods"]
        assert len(pods) == 20 and last not in left and len(left) == 19


async def test_a_pod_that_was_stopped_while_the_cluster_was_away_goes_when_it_is_back(monkeypatch: pytest.MonkeyPatch):
    async with bench() as here:
        await here.start()
        here.status(phase="Running")

        async def away(*asked: Any) -> None:
            raise Unavailable("connection refused")

        with monkeypatch.context() as broken:
            broken.setattr(here.pods._cluster, "delete", away)
            here.pods.stop("t", 1)
            await here.clock.advance(1)
            assert here.pod
        await here.clock.advance(10)
        assert not [at for at in here.cluster.objects if at.plural == "pods"]


async def test_of_attempts_that_never_had_a_pod_nothing_is_kept():
    async with bench() as here:
        here.pods.done("claim", 1)
        assert not here.pods._settled
