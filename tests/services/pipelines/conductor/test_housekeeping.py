"""What nobody has needed for long goes; what is used, and what runs have made, stays. Two replicas know the same."""

from pathlib import Path
from typing import Any

import pytest

from libs.base import SystemIds
from libs.cluster.resource import PERSISTENTVOLUMECLAIM
from libs.store import Store
from libs.testing.blobs import FolderBlobs
from libs.testing.clock import VirtualClock
from libs.testing.cluster import MemoryCluster
from libs.testing.cluster_wire import connect
from services.pipelines.adapters.housekeeping import Housekeeping, Limits
from services.pipelines.adapters.making import LEASE_S, Making
from services.pipelines.domain.steps.pod import MANAGED_BY, MANAGER, RUN
from tests.services.pipelines.conductor.rig import MIGRATIONS, added, chain, rig

KEY = "pipelines/team/.environments/{}.tar"
DAY_S = 86_400
LIMITS = Limits(30 * DAY_S, 1000, 7 * DAY_S)


@pytest.fixture
async def place(tmp_path: Path):
    """A store, a bucket and a clock that stands until it is told to go on."""
    clock = VirtualClock()
    store = await Store.open(f"sqlite:///{tmp_path}/s.db", clock=clock, ids=SystemIds(), migrations=[MIGRATIONS])
    async with store.write() as uow:
        texts = ", ".join(["''"] * 14)
        await uow.later(f"INSERT INTO pipeline_runs SELECT 'r', 'team', {texts}, '', '[]', 0, 0, 0")
    yield store, FolderBlobs(tmp_path / "blobs"), clock, connect(MemoryCluster(clock, SystemIds()))
    await store.close()


async def set_state(store: Store, uid: str, attempt: int, state: str) -> None:
    async with store.write() as uow:
        await uow.later(
            "INSERT INTO pipeline_tasks (uid, run_id, path, number, state, attempt, cache, body) "
            "VALUES (?1, 'r', ?1, 0, ?3, ?2, '', '{}') "
            "ON CONFLICT (uid) DO UPDATE SET state = excluded.state, attempt = excluded.attempt",
            uid, attempt, state,
        )  # fmt: skip


async def test_a_maker_that_is_over_keeps_nobody_waiting(place: Any):
    store, blobs, clock, _ = place
    making = Making(store, blobs, clock)
    for number, (attempt, state) in enumerate([(1, "CANCELED"), (1, "FAILED"), (2, "RUNNING")]):
        await set_state(store, "a", 1, "RUNNING")
        assert (await making.ask(KEY.format(number), "a/1"))["state"] == "build"
        assert (await making.ask(KEY.format(number), "b/1"))["state"] == "wait"
        await set_state(store, "a", attempt, state)
        assert (await making.ask(KEY.format(number), "b/1"))["state"] == "build"
        assert (await making.ask(KEY.format(number), "a/1"))["state"] == "build", "nobody knows of b: it was deleted"


async def test_of_two_replicas_that_are_asked_one_lets_build_and_the_other_lets_wait(place: Any):
    store, blobs, clock, _ = place
    one, other = Making(store, blobs, clock), Making(store, blobs, clock)
    await set_state(store, "a", 1, "PENDING")
    assert (await one.ask(KEY.format("e"), "a/1"))["state"] == "build"
    assert (await other.ask(KEY.format("e"), "b/1"))["state"] == "wait"
    assert (await other.ask(KEY.format("e"), "a/1"))["state"] == "build", "the maker asks again, elsewhere"
    await clock.advance(LEASE_S + 1)
    assert (await one.ask(KEY.format("e"), "b/1"))["state"] == "build", "the first has died over it"
    await blobs.put(KEY.format("e"), b"x")
    await other.ended(KEY.format("e"))
    assert (await one.ask(KEY.format("e"), "c/1"))["state"] == "ready"


async def test_environments_go_by_their_last_use_and_the_size_of_all(place: Any):
    store, blobs, clock, cluster = place
    making, keeping = Making(store, blobs, clock), Housekeeping(store, blobs, cluster, clock, LIMITS)

    async def left() -> set[str]:
        return {each.key.rpartition("/")[2] for each in await blobs.list("pipelines/team/.environments/")}

    for name in ("old", "used", "new"):
        await blobs.put(KEY.format(name), b"x" * 400)
    await keeping.clear()
    assert await left() == {"old.tar", "used.tar", "new.tar"}, "too much, but all of it may be in use"
    await clock.advance(2 * DAY_S)
    for name in ("used", "new"):
        await making.ask(KEY.format(name), "a/1")
    await keeping.clear()
    assert await left() == {"used.tar", "new.tar"}
    await clock.advance(20 * DAY_S)
    await making.ask(KEY.format("used"), "a/1")
    await clock.advance(20 * DAY_S)
    await keeping.clear()
    assert await left() == {"used.tar"}
    assert (await making.ask(KEY.format("new"), "a/1"))["state"] == "build", "who wants it again makes it again"


async def test_parts_that_were_never_put_together_go_after_a_day(place: Any):
    store, blobs, clock, cluster = place
    keeping = Housekeeping(store, blobs, cluster, clock, LIMITS)
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "without-runs"}})
    for key in ("pipelines/team/.incoming/abc/000000", "pipelines/team/.shared/r/abc/data", "pipelines/team/r/data"):
        await blobs.put(key, b"x")
    await blobs.put("pipelines/without-runs/.incoming/abc/000000", b"x")
    for left in (4, 4, 2):
        await keeping.clear()
        assert len(await blobs.list("pipelines/")) == left
        await clock.advance(0.6 * DAY_S)


async def test_the_workspace_of_a_failed_run_goes_after_its_time_and_that_of_a_running_one_stays(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        over, open_ = await here.submit(chain(1)), await here.submit(chain(1))
        cluster, clock = connect(here.cluster), here.ports.clock
        for id in (over.id, open_.id, "deleted"):
            marks = {"labels": {MANAGED_BY: MANAGER, RUN: id}, "namespace": "team", "name": f"workspace-{id}"}
            await cluster.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": marks})
        mine = {"namespace": "team", "name": "pipeline-environments", "labels": {MANAGED_BY: MANAGER}}
        await cluster.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": mine})
        blobs = FolderBlobs(tmp_path / "blobs")

        async def left(finished_ms: int) -> set[str]:
            async with here.ports.store.write() as uow:
                query = "UPDATE pipeline_runs SET state = 'FAILED', finished_ms = ?2 WHERE id = ?1"
                await uow.later(query, over.id, finished_ms)
            await Housekeeping(here.ports.store, blobs, cluster, clock, LIMITS).clear()
            return {each["metadata"]["name"] for each in await cluster.list(PERSISTENTVOLUMECLAIM)}

        now = int(clock.now().timestamp() * 1000)
        stay = {f"workspace-{open_.id}", "pipeline-environments"}
        assert await left(now - 6 * DAY_S * 1000) == {*stay, f"workspace-{over.id}"}
        assert await left(now - 8 * DAY_S * 1000) == stay


async def test_parts_of_an_output_that_never_became_whole_go_when_its_run_is_over(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():
        here.plays = False
        blobs = FolderBlobs(tmp_path / "blobs")
        runs = [await here.submit(chain(1)), await here.submit(chain(1))]
        keys = [f"pipelines/team/{run.id}/add-0/1/model" for run in runs]
        for key in keys:
            await blobs.begin_parts(key)
        keeper = Housekeeping(here.ports.store, blobs, connect(here.cluster), here.ports.clock, LIMITS)
        await here.change(lambda of: of.terminate(runs[0].id))
        await here.over(runs[0])
        await keeper.clear()
        assert [key for key, _ in await blobs.begun_parts("")] == sorted(keys), "it may have ended this moment"
        await keeper.clear()
        assert [key for key, _ in await blobs.begun_parts("")] == [keys[1]]
