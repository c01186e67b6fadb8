"""The cluster in memory keeps the promises of the node's API: one suite for both."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.base import SystemClock
from libs.base.ids import SystemIds
from libs.cluster import JOB, POD, Cluster
from libs.resources import Resources
from libs.resources.http import routes
from libs.service.runner import listen
from libs.store import Store
from libs.testing.cluster import MemoryCluster, Object
from libs.testing.cluster_suite import ClusterSuite
from libs.testing.cluster_wire import connect
from libs.testing.kubelet import INDEX, End, Kubelet
from libs.testing.loop import LoopClock, run_virtually
from services.node.reconcile.kinds import KINDS
from tests.cluster.toyserver import KUBECONFIG


class TestTheDouble(ClusterSuite):
    @pytest.fixture
    async def cluster(self) -> Cluster:
        clock = SystemClock()
        return connect(MemoryCluster(clock, SystemIds(clock)))


class TestTheNodesApi(ClusterSuite):
    """The node's kinds over HTTP, without its controllers: they would begin to run what is only to be stored."""

    @pytest.fixture
    async def cluster(self, tmp_path: Path) -> AsyncIterator[Cluster]:
        clock = SystemClock()
        ids = SystemIds(clock)
        store = await Store.open(f"sqlite:///{tmp_path}/node.db", clock=clock, ids=ids)
        resources = Resources(store, KINDS, clock=clock, ids=ids, source="millstream/node")
        namespace = next(kind for kind in KINDS if kind.kind == "Namespace")
        meta = {"name": "team"}
        await resources.create(namespace, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        async with listen(routes(resources, KINDS), "127.0.0.1", 0) as url:
            file, token = tmp_path / "kubeconfig", tmp_path / "token"
            token.write_text("nobody asks")
            file.write_text(KUBECONFIG.format(server=url, token=token))
            cluster = await Cluster.connect(str(file), clock=clock)
            yield cluster
            resources.drain()
            await cluster.close()
        await store.close()


class Quick:
    """Pods start in a second and end as told."""

    def __init__(self, end: End | None) -> None:
        self._end = end

    def starts_in(self, pod: Object) -> float:
        return 1.0

    def stops_in(self, pod: Object) -> float:
        return 2.0

    def end_of(self, pod: Object) -> End | None:
        return self._end


async def _job_with(end: End | None, *, watch_s: float, then: Any = None) -> tuple[list[str], list[str]]:
    """The conditions of a Job of two pods after `watch_s`, and its pods' phases."""
    clock = LoopClock()
    state = MemoryCluster(clock, SystemIds(clock))
    Kubelet(state, Quick(end))
    cluster = connect(state)
    template = {"metadata": {"labels": {"job": "a"}}, "spec": {"containers": [{"name": "main"}]}}
    meta = {"name": "a", "namespace": "team"}
    spec = {"completions": 2, "parallelism": 2, "template": template}
    await cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
    await clock.sleep(watch_s)
    if then:
        await then(cluster)
        await clock.sleep(watch_s)
    job = await cluster.get(JOB, "team", "a")
    pods = await cluster.list(POD, "team")
    conditions = (job or {}).get("status", {}).get("conditions", [])
    return [c["type"] for c in conditions], [pod["status"]["phase"] for pod in pods]


@pytest.mark.parametrize(
    ("end", "conditions", "phases"),
    [
        pytest.param(None, [], ["Running", "Running"], id="while the pods run the job is not over"),
        pytest.param(End(3, 0), ["Complete"], ["Succeeded", "Succeeded"], id="all pods ended well"),
        pytest.param(End(3, 1), ["Failed"], ["Failed", "Failed"], id="pods failed"),
        pytest.param(End(3, None), ["Failed"], [], id="pods vanished"),
    ],
)
def test_a_job_ends_as_its_pods_do(end: End | None, conditions: list[str], phases: list[str]) -> None:
    assert run_virtually(_job_with(end, watch_s=20)) == (conditions, phases)


def test_a_suspended_job_loses_its_pods_and_gets_new_ones_when_it_goes_on() -> None:
    async def suspend(cluster: Cluster) -> None:
        await cluster.patch(JOB, "team", "a", {"spec": {"suspend": True}})

    async def suspend_and_resume(cluster: Cluster) -> None:
        await suspend(cluster)
        await LoopClock().sleep(20)
        await cluster.patch(JOB, "team", "a", {"spec": {"suspend": False}})

    assert run_virtually(_job_with(None, watch_s=20, then=suspend)) == ([], [])
    assert run_virtually(_job_with(None, watch_s=20, then=suspend_and_resume)) == ([], ["Running", "Running"])


def test_a_deleted_job_takes_its_pods_along() -> None:
    async def delete(cluster: Cluster) -> None:
        await cluster.delete(JOB, "team", "a")

    assert run_virtually(_job_with(None, watch_s=20, then=delete)) == ([], [])


class TakenOnce:
    """One pod of index 1 is evicted, once; all others run until they are stopped."""

    def __init__(self) -> None:
        self.done = False

    def starts_in(self, pod: Object) -> float:
        return 1.0

    def stops_in(self, pod: Object) -> float:
        return 0.5

    def end_of(self, pod: Object) -> End | None:
        if self.done or pod["metadata"]["labels"].get(INDEX) != "1":
            return None
        self.done = True
        return End(3.0, None, taken=True)


async def _evicted(completions: int) -> tuple[list[str], list[str]]:
    """The Job's conditions a while after the eviction, and the reasons of disruptions in the history of pods."""
    clock = LoopClock()
    state = MemoryCluster(clock, SystemIds(clock))
    Kubelet(state, TakenOnce())
    cluster = connect(state)
    template = {"metadata": {"labels": {"job": "a"}}, "spec": {"containers": [{"name": "main"}]}}
    meta = {"name": "a", "namespace": "team"}
    spec = {"completions": completions, "parallelism": completions, "template": template}
    await cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
    await clock.sleep(20)
    job = await cluster.get(JOB, "team", "a")
    told = [c["reason"] for each in state.history for c in (each.obj.get("status") or {}).get("conditions") or []]
    return [c["type"] for c in (job or {}).get("status", {}).get("conditions", [])], sorted(set(told))


def test_when_one_rank_is_evicted_the_others_fail_and_the_job_with_them() -> None:
    assert run_virtually(_evicted(2)) == (["Failed"], ["BackoffLimitExceeded", "EvictionByEvictionAPI"])
