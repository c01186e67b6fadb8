"""The tuner is killed at every step of its work: nothing it tried is lost, nothing is tried twice, and it goes on with
the same answers."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from contracts.events.training.v1 import TrainJobApplied, TrainJobSucceeded
from tests.services.tuner.paper import PaperCluster, no_step
from tests.services.tuner.rig import TRAINJOB, Rig, as_told, experiment, started, until

Object = dict[str, Any]
TPE = {"algorithmName": "tpe", "algorithmSettings": [{"name": "n_startup_trials", "value": "1"}]}


class Killed(Exception):
    """What a process feels of its end."""


class Killer:
    """Ends the work at its n-th step: from then on nothing that this process tries has an effect."""

    def __init__(self, at: int) -> None:
        self.left, self.dead = at, asyncio.Event()

    async def __call__(self, name: str) -> None:
        self.left -= 1
        if self.left <= 0:
            self.dead.set()
            raise Killed(name)


def deadly(rig: Rig, killer: Killer) -> None:
    """Lets every transaction be two steps, one before and one after it is done; the cluster's calls are steps too."""
    store, rig.cluster.step = rig.service.ports.store, killer
    write = store.write

    @asynccontextmanager
    async def counted(*args: Any, **more: Any) -> AsyncIterator[Any]:
        await killer("begin a transaction")
        async with write(*args, **more) as uow:
            yield uow
        await killer("committed")

    store.write = counted  # type: ignore[method-assign]


async def killed_at(folder: Path, cluster: PaperCluster, step: int, obj: Object) -> bool:
    """Whether the story was long enough for that; it has the Experiment in any case."""
    cluster.step = no_step
    async with started(folder, cluster) as rig:
        await rig.create(obj)
        killer = Killer(step)
        deadly(rig, killer)
        await until(lambda: _over_or_dead(rig, killer))
        cluster.step = Killer(0)  # what is still under way in the dead process finds no cluster any more
        return killer.dead.is_set()


async def _over_or_dead(rig: Rig, killer: Killer) -> bool:
    return killer.dead.is_set() or await rig.is_over()


async def finished(folder: Path, cluster: PaperCluster) -> Rig:
    """The story's end, by a new process."""
    cluster.step = no_step
    with closing(sqlite3.connect(folder / "tuner.db")) as store, store:
        store.execute("DELETE FROM leases")  # the dead one's right to lead runs out after 15 s
    async with started(folder, cluster) as rig:
        await until(rig.is_over)
        rig.told = await rig.said()  # type: ignore[attr-defined]
        rig.found = await rig.trials()  # type: ignore[attr-defined]
        return rig


def values(trials: list[Object]) -> list[str]:
    return [trial["spec"]["parameterAssignments"][0]["value"] for trial in trials]


@pytest.mark.timeout(240)
async def test_killed_at_any_step_it_makes_each_trial_once_and_tells_of_it_once(tmp_path: Path) -> None:
    obj = experiment(algorithm=TPE, maxTrialCount=2, parallelTrialCount=1)
    step, reached = 0, True
    while reached:
        step += 1
        folder, cluster = tmp_path / str(step), PaperCluster(as_told)
        folder.mkdir()
        reached = await killed_at(folder, cluster, step, obj)
        rig = await finished(folder, cluster)
        trials, told = rig.found, Counter((type, data.get("name")) for type, data in rig.told)  # type: ignore[attr-defined]
        names = [trial["metadata"]["name"] for trial in trials]
        assert len(names) == 2 and set(cluster.made.values()) == {1} and set(cluster.made) == set(names), step
        assert {told["tuning.trial.succeeded.v1", name] for name in names} == {1}, step
        assert told["tuning.experiment.succeeded.v1", "rates"] == 1, step
    assert step > 15, "the story has more steps than that"


async def test_a_new_process_suggests_what_the_last_one_would_have(tmp_path: Path) -> None:
    """The same Experiment, uid and all, run through and run by a process anew for each trial."""
    obj = experiment(algorithm={**TPE, "algorithmSettings": [*TPE["algorithmSettings"], SEED]}, maxTrialCount=5)
    obj["spec"]["parallelTrialCount"] = 1
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with started(tmp_path / "a", PaperCluster(as_told)) as rig:
        await rig.create(obj)
        await until(rig.is_over)
        through = values(await rig.trials())
    cluster = PaperCluster(as_told)
    async with started(tmp_path / "b", cluster) as rig:
        await rig.create(obj)
    for _ in range(5):
        async with started(tmp_path / "b", cluster) as rig:
            before = len(await rig.trials())
            await until(lambda rig=rig, before=before: _more(rig, before))
    assert values((await finished(tmp_path / "b", cluster)).found) == through  # type: ignore[attr-defined]


SEED = {"name": "random_state", "value": "3"}


async def _more(rig: Rig, than: int) -> bool:
    return len(await rig.trials()) > than or await rig.is_over()


async def test_facts_that_come_twice_late_and_in_any_order_change_nothing(tmp_path: Path) -> None:
    async with started(tmp_path, PaperCluster(as_told)) as rig:
        await rig.create(experiment(TRAINJOB, maxTrialCount=1, parallelTrialCount=1))
        [name] = await until(lambda: rig.said_of("training.trainjob.apply.v1"))
        about = {"namespace": "team", "name": name, "uid": "run-1"}
        labels = {"jobset.sigs.k8s.io/jobset-name": name, "batch.kubernetes.io/job-completion-index": "0"}
        rig.cluster.prints(name, labels, "accuracy=1")
        applied = TrainJobApplied(**about, resource_version="1", command_id="c")
        await rig.hear(TrainJobSucceeded(**{**about, "uid": "run-1"}))
        for fact in (applied, TrainJobSucceeded(**about), applied):
            await rig.hear(fact)
        await rig.hear(TrainJobSucceeded(**{**about, "uid": "a namesake's"}))
        await until(rig.is_over)
        told = Counter(type for type, _ in await rig.said())
        assert told["tuning.trial.succeeded.v1"] == told["tuning.experiment.succeeded.v1"] == 1
