"""The scheduler is killed at every step between hearing and telling: nothing is admitted twice, nobody is forgotten."""

from pathlib import Path
from typing import Any

import pytest

from contracts.events.scheduling.v1 import WorkloadAdmitted
from libs.base.clock import SystemClock
from libs.testing.bus_broker import MemoryBroker
from tests.services.scheduler.rig import Rig, comes_true, finish, running, submit

STEPS = ("received", "handled", "committed", "publishing", "published", "marked")
NAMES = [f"job-{number}" for number in range(6)]
ROOM = 2


class Killed(Exception):
    """What a process feels of its end."""


class Killer:
    """Breaks off the work at the n-th time that it comes to `step`; the service that follows goes on from the store."""

    def __init__(self, step: str, times: int) -> None:
        self.step, self.left, self.struck = step, times, False

    async def __call__(self, step: str) -> None:
        if step == self.step and not self.struck:
            self.left -= 1
            if not self.left:
                self.struck = True
                raise Killed(step)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("times", [1, 4])
async def test_a_break_at_any_step_costs_nothing(tmp_path: Path, step: str, times: int):
    broker, killer = MemoryBroker(SystemClock()), Killer(step, times)
    async with running(tmp_path, broker, fault=killer) as rig:
        await _story(rig)
    assert killer.struck or step == "marked"
    _judge(rig)


@pytest.mark.parametrize("heard", [1, 3, 5])
async def test_a_new_process_goes_on_where_the_last_one_was_killed(tmp_path: Path, heard: int):
    """At any moment of its loop: what it had decided and not stored is decided again, the same."""
    broker = MemoryBroker(SystemClock())
    async with running(tmp_path, broker) as rig:
        for name in NAMES:
            await rig.say(submit(name))
        await comes_true(lambda: _said(rig, heard))
    async with running(tmp_path, broker, seed=2) as rig:
        await _story(rig)
    _judge(rig)


async def _said(rig: Rig, count: int) -> bool:
    return len(rig.said()) >= count


async def _story(rig: Rig) -> None:
    """All ask, some of them twice, and end as they start, until everybody had a turn."""
    for name in (*NAMES, NAMES[0]):
        await rig.say(submit(name))
    done: set[str] = set()
    while len(done) < len(NAMES):
        started = await comes_true(lambda: _started(rig, done))
        for name in started:
            done.add(name)
            await rig.say(finish(name))


async def _started(rig: Rig, done: set[str]) -> list[str]:
    return sorted({fact.name for fact in rig.said() if isinstance(fact, WorkloadAdmitted)} - done)


def _judge(rig: Rig) -> None:
    """Everybody was admitted under one number, and never more at a time than there is room for."""
    admissions: dict[str, set[Any]] = {name: set() for name in NAMES}
    for fact in rig.said():
        if isinstance(fact, WorkloadAdmitted):
            admissions[fact.name].add(fact.admission)
    assert admissions == {name: {"1"} for name in NAMES}
