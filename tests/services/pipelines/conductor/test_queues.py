"""Steps that name a queue: asked for in the step's own transaction, run when admitted, back after an eviction; quota is
free when the last pod is gone, and nothing is lost or done twice wherever a process dies."""

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from contracts.commands.scheduling.v1 import FinishWorkload, ReportWorkload, SubmitWorkload
from contracts.events.scheduling.v1 import Assignment, WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from services.pipelines.adapters import conductor
from services.pipelines.adapters.admission import NotedAnswers
from services.pipelines.adapters.waits import of_run
from services.pipelines.domain import queued
from services.pipelines.domain.queued import KIND
from services.pipelines.domain.steps.values import StepResult
from services.pipelines.handlers.admission import when_workload_answered
from tests.services.pipelines.conductor.rig import Rig, added, chain, failed, rig, until
from tests.services.pipelines.conductor.test_killed import MOMENTS, _armed


class Scheduler:
    """Reads what the conductor said off the store, and answers. `quota` steps are admitted at a time; every answer is
    told twice."""

    def __init__(self, here: Rig, quota: int = 1) -> None:
        self.here, self.quota = here, quota
        self.seq = 0
        self.wishes: dict[str, SubmitWorkload] = {}
        self.running: dict[str, int] = {}
        self.numbers: dict[str, int] = {}
        self.finished: list[str] = []
        self.most = 0
        self.ready: set[str] = set()
        self.answering = True

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(0.005)

    async def look(self) -> None:
        for letter in await self._letters():
            self._hear(letter)
        if not self.answering:
            return
        for uid, wish in [*self.wishes.items()]:
            if uid not in self.running and not wish.suspended and len(self.running) < self.quota:
                await self.admit(uid)

    async def admit(self, uid: str) -> None:
        wish = self.wishes[uid]
        number = self.running[uid] = self.numbers[uid] = self.numbers.get(uid, 0) + 1
        self.most = max(self.most, len(self.running))
        given = Assignment(name="step", count=1, flavors={"cpu": "spot"}, node_selector={"pool": "spot"})
        about = {"namespace": wish.namespace, "name": wish.name, "uid": uid, "kind": wish.kind}
        fact = WorkloadAdmitted(**about, generation=wish.generation, admission=str(number), pod_sets=[given])
        await self.tell(fact)

    async def evict(self, uid: str, reason: str = "Preempted") -> None:
        wish = self.wishes[uid]
        about = {"namespace": wish.namespace, "name": wish.name, "uid": uid, "kind": wish.kind}
        said = {"admission": str(self.running[uid]), "reason": reason, "message": "makes room for another"}
        await self.tell(WorkloadEvicted(**about, **said, generation=wish.generation))

    async def tell(self, fact: Any) -> None:
        for _ in range(2):
            async with self.here.ports.store.write() as uow:
                assert await when_workload_answered(fact, NotedAnswers(uow, self.here.conductor.ring)) == []

    async def _letters(self) -> list[dict[str, Any]]:
        async with self.here.ports.store.read() as reader:
            found = await reader.changes_since(self.seq, limit=10_000)
        self.seq = max([self.seq, *(change.seq for change in found)])
        return [change.letter for change in found if change.letter]

    def _hear(self, letter: dict[str, Any]) -> None:
        said = letter["data"]
        match letter["type"]:
            case SubmitWorkload.type:
                wish = SubmitWorkload.read(said)
                assert wish.uid not in self.finished, "nobody asks who is over"
                self.wishes[wish.uid] = wish
                if wish.after and int(wish.after) >= self.running.get(wish.uid, 10**9):
                    del self.running[wish.uid]
            case ReportWorkload.type:
                self.ready.add(said["uid"])
            case FinishWorkload.type:
                assert said["uid"] not in self.finished, "the end is said once"
                self.finished.append(said["uid"])
                self.wishes.pop(said["uid"], None)
                self.running.pop(said["uid"], None)


def wide(width: int, *, label: str = "") -> str:
    """Steps side by side; with a label each names its queue itself."""
    spec = yaml.safe_load(chain(width, cached=False))
    for task in spec["root"]["dag"]["tasks"].values():
        task.pop("dependentTasks", None)
        task["inputs"]["parameters"]["x"] = {"runtimeValue": {"constant": 1}}
    if not label:
        return json.dumps(spec)
    metadata = {"podMetadata": {"labels": {"kueue.x-k8s.io/queue-name": label}}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-add": metadata}}}}}
    return yaml.safe_dump_all([spec, platform])


def pods(here: Rig) -> list[dict[str, Any]]:
    return [obj for at, obj in here.cluster.objects.items() if at.plural == "pods"]


def alive(here: Rig) -> list[dict[str, Any]]:
    return [pod for pod in pods(here) if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]


async def seats(here: Rig) -> list[Any]:
    async with here.ports.store.read() as reader:
        return await reader.rows("SELECT body FROM pipeline_seats")


async def why(here: Rig, run: Any) -> list[str]:
    async with here.ports.store.read() as reader:
        return [told for _, told in (await of_run(reader, run.id)).values()]


@pytest.mark.parametrize("named", ["by the run", "by each step"])
async def test_no_more_steps_run_than_the_queue_has_room_for(tmp_path: Path, named: str):
    async with rig(tmp_path, added) as here:
        scheduler = Scheduler(here, quota=2)
        by_run = named == "by the run"
        run = await here.submit(wide(6, label="" if by_run else "gold"), **({"queue": "gold"} if by_run else {}))
        async with here.leading():
            task = asyncio.ensure_future(scheduler.run())
            run = await here.over(run)
            await until(lambda: len(scheduler.finished) == 6)
            task.cancel()
        assert (run.state, scheduler.most, len(here.orders)) == ("SUCCEEDED", 2, 6)
        assert await seats(here) == [] and await why(here, run) == []
        assert (await here.said(run)).count("task.started") == 6


async def test_who_waits_has_no_pod_and_says_where_it_stands(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        scheduler = Scheduler(here, quota=0)
        run = await here.submit(wide(1), queue="gold", priority_class="high")
        async with here.leading():
            await until(lambda: here.conductor.live)
            while not scheduler.wishes:
                await scheduler.look()
            (wish,) = scheduler.wishes.values()
            assert (wish.kind, wish.queue, wish.priority_class, wish.after) == (KIND, "gold", "high", None)
            assert await why(here, run) == ["waits in queue gold: the scheduler has not answered yet"]
            about = {"namespace": wish.namespace, "name": wish.name, "uid": wish.uid, "kind": KIND}
            await scheduler.tell(WorkloadQueued(**about, position=3, reason="asks for 2 cpu; 1 is free"))
            async with asyncio.timeout(30):
                while "2 cpu" not in (await why(here, run))[0]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert await why(here, run) == ["waits in queue gold: place 3 in the queue: asks for 2 cpu; 1 is free"]
            assert pods(here) == [] and here.conductor.pods.counts["waiting"] == 0
            await here.change(lambda runs: runs.terminate(run.id))
            assert (await here.over(run)).state == "CANCELED"
            await scheduler.look()
            assert scheduler.finished == [wish.uid]
        assert await seats(here) == []


async def test_an_evicted_step_gives_its_place_back_when_its_pod_is_gone_and_its_retries_are_untouched(tmp_path: Path):
    evictions = 5
    async with rig(tmp_path, lambda order: added(order) if order.attempt > evictions else None) as here:
        here.plays = False
        scheduler = Scheduler(here)
        run = await here.submit(wide(1), queue="gold")
        async with here.leading():
            task = asyncio.ensure_future(scheduler.run())
            for number in range(1, evictions + 1):
                await until(lambda: pods(here) and scheduler.running)
                (pod,) = pods(here)
                assert pod["metadata"]["name"].endswith(f"-{number}")
                assert pod["spec"]["nodeSelector"] == {"pool": "spot"}
                (uid,) = scheduler.running
                here.plays = number == evictions
                await scheduler.evict(uid)
                await until(lambda: not pods(here) or pods(here)[0]["metadata"]["name"] != pod["metadata"]["name"])  # noqa: B023
            run = await here.over(run)
            await until(lambda: scheduler.finished)
            task.cancel()
        (record,) = [one for path, one in (await here.tasks(run)).items() if path != "root"]
        assert (run.state, record.attempt, record.failures, record.losses) == ("SUCCEEDED", evictions + 1, 0, 0)
        assert len(scheduler.finished) == 1, "one place in the queue, for all its attempts"
        assert await seats(here) == []


def watched(here: Rig, quota: int) -> list[str]:
    """What went beyond the quota, if anything did."""
    beyond: list[str] = []

    def look(happening: Any) -> None:
        if happening.address.plural == "pods" and len(alive(here)) > quota:
            beyond.append(f"{len(alive(here))} pods beside one another")

    here.cluster.on_change.append(look)
    return beyond


@pytest.mark.parametrize("moment", [*MOMENTS.values(), "_answer", "_seat"])
async def test_every_step_runs_once_under_its_quota_wherever_the_conductor_was_killed(tmp_path: Path, moment: str):
    async with rig(tmp_path, added) as here:
        beyond, scheduler = watched(here, 1), Scheduler(here)
        for number in range(1, 5):
            run = await here.submit(wide(3), queue="gold")
            async with here.leading():
                task = asyncio.ensure_future(scheduler.run())
                dead = _armed(here.conductor, moment, number)
                await until(lambda: dead)  # noqa: B023
            async with here.leading():
                run = await here.over(run)
                await until(lambda: len(scheduler.finished) == 3 * number)  # noqa: B023
                task.cancel()
            assert (run.state, beyond) == ("SUCCEEDED", []), (number, run.error)
            assert (await here.said(run)).count("task.succeeded") == 3
            assert await seats(here) == []


@pytest.mark.parametrize("seed", range(3))
async def test_kills_and_evictions_at_any_moment_lose_nothing_and_cost_no_retry(tmp_path: Path, seed: int):
    chance, quota, width = Random(seed), 2, 8
    async with rig(tmp_path, added) as here:
        beyond, plays, evicted, kills = watched(here, quota), here._run_pod, 0, 0

        async def slowly(*told: Any) -> None:
            """No step ends before some were evicted."""
            await asyncio.sleep(chance.random() * 0.1)
            while evicted < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await plays(*told)

        here._run_pod = slowly  # type: ignore[method-assign]
        run = await here.submit(wide(width), queue="gold")
        here.build()
        scheduler = Scheduler(here, quota)
        task = asyncio.ensure_future(scheduler.run())
        while kills < 5 or evicted < 3:
            kills += 1
            async with here.leading():
                for _ in range(3):
                    await asyncio.sleep(chance.random() * 0.1)
                    for uid in [uid for uid in scheduler.running if chance.random() < 0.6]:
                        if uid in scheduler.running:
                            await scheduler.evict(uid)
                            evicted += 1
        async with here.leading():
            run = await here.over(run)
            await until(lambda: len(scheduler.finished) == width)
            task.cancel()
        records = [one for path, one in (await here.tasks(run)).items() if path != "root"]
        assert (run.state, beyond) == ("SUCCEEDED", [])
        assert [(one.failures, one.losses) for one in records] == [(0, 0)] * width
        assert (await here.said(run)).count("task.succeeded") == width
        assert await seats(here) == []


async def test_what_a_program_calls_a_failure_when_it_is_told_to_go_is_none(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        here.plays = False
        scheduler = Scheduler(here)
        run = await here.submit(wide(1), queue="gold")
        async with here.leading():
            task = asyncio.ensure_future(scheduler.run())
            await until(lambda: pods(here) and scheduler.running)
            (uid,), (pod,) = scheduler.running, pods(here)
            step = next(one.uid for path, one in (await here.tasks(run)).items() if path != "root")
            here.cluster.patch(_address(here), {"metadata": {"finalizers": ["test/stays"]}})
            await scheduler.evict(uid)
            await until(lambda: here.conductor.seats.evicted(step, 1))
            assert await here.conductor.finish(step, 1, failed("terminated by signal 15"))
            await asyncio.sleep(0.1)
            assert [one["metadata"]["name"] for one in pods(here)] == [pod["metadata"]["name"]]
            assert list(scheduler.running) == [uid], "its quota is not free as long as its pod is there"
            here.plays = True
            here.cluster.patch(_address(here), {"metadata": {"finalizers": None}})
            run = await here.over(run)
            task.cancel()
        assert run.state == "SUCCEEDED"


async def test_a_result_that_waits_for_who_leads_next_asks_for_no_second_place(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(conductor, "GONE_S", 0.1)
    async with rig(tmp_path, added) as here:
        here.plays = False
        run = await here.submit(chain(2, cached=False), queue="gold")
        here.build()
        scheduler = Scheduler(here)
        task = asyncio.ensure_future(scheduler.run())
        async with here.leading():
            await until(lambda: pods(here))
        uid = (await here.tasks(run))["root/add-0"].uid
        assert await here.desk.finish(uid, 1, StepResult(True, values={"Output": 2}))
        here.cluster.delete(_address(here))
        here.plays = True
        async with here.leading():
            assert (await here.over(run)).state == "SUCCEEDED"
            await until(lambda: len(scheduler.finished) == 2)
        task.cancel()
        assert (len(scheduler.numbers), await seats(here)) == (2, [])


def _address(here: Rig) -> Any:
    return next(at for at in here.cluster.objects if at.plural == "pods")


async def test_a_run_that_is_deleted_takes_its_workloads_along_when_their_pods_are_gone(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        here.plays = False
        scheduler = Scheduler(here)
        run = await here.submit(wide(3), queue="gold")
        async with here.leading():
            task = asyncio.ensure_future(scheduler.run())
            await until(lambda: len(scheduler.wishes) == 3 and pods(here))
            await here.change(lambda runs: runs.delete(run.id))
            await until(lambda: len(scheduler.finished) == 3)
            task.cancel()
            assert pods(here) == []
        assert await seats(here) == [] and await why(here, run) == []


async def test_a_failed_attempt_gives_its_place_back_and_the_retry_asks_anew(tmp_path: Path):
    async with rig(tmp_path, lambda order: failed() if order.attempt < 3 else added(order)) as here:
        scheduler = Scheduler(here)
        run = await here.submit(chain(1, cached=False, retries=2), queue="gold")
        async with here.leading():
            task = asyncio.ensure_future(scheduler.run())
            run = await here.over(run)
            await until(lambda: len(scheduler.finished) == 3)
            task.cancel()
        assert (run.state, scheduler.most) == ("SUCCEEDED", 1)


async def test_what_the_cache_knows_asks_nobody_and_who_gets_no_answer_asks_again(tmp_path: Path, monkeypatch: Any):
    async with rig(tmp_path, added) as here:
        async with here.leading():
            await here.over(await here.submit(chain(2)))
            scheduler = Scheduler(here, quota=0)
            kept = await here.over(await here.submit(chain(2), queue="gold"))
            await scheduler.look()
            assert (kept.state, scheduler.wishes) == ("SUCCEEDED", {})
        monkeypatch.setattr(queued, "ASK_AGAIN_S", 0.2)
        await here.submit(wide(1), queue="gold")
        said: list[str] = []
        async with here.leading():
            async with asyncio.timeout(30):
                while len(said) < 3:
                    said += [one["type"] for one in await scheduler._letters() if one["type"] == SubmitWorkload.type]
                    await asyncio.sleep(0.01)
