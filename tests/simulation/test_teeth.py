"""The simulation finds what it is there to find: each test breaks one promise of the platform and is told of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from libs.service.relay import Relay
from libs.store import Outbox, UnitOfWork
from services.scheduler.domain.quota import QuotaNode
from services.trainer.domain import disruption
from services.trainer.reconcile import trainjob as reconcile
from tests.simulation.story import run

pytestmark = pytest.mark.timeout(300)
STORM_S = 200.0
SEEDS = (11, 14, 16)


def assert_told(sentence: str) -> None:
    """Some of the seeds ends with this sentence contradicted."""
    found: list[str] = []
    for seed in SEEDS:
        found += run(seed, STORM_S).broken
        if any(sentence in each for each in found):
            return
    raise AssertionError(f"nobody noticed; told was {found}")


def test_a_service_without_an_inbox_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def always(self: UnitOfWork, consumer: str, event_id: str) -> bool:
        await _first_time(self, consumer, event_id)
        return True

    _first_time = UnitOfWork.first_time
    monkeypatch.setattr(UnitOfWork, "first_time", always)
    assert_told("exactly one answer")


def test_a_relay_that_marks_before_it_publishes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def careless(self: Any) -> int:
        rows: Sequence[Any] = await self._store.outbox.unsaid(256)
        await self._store.outbox.mark_said([row.seq for row in rows])
        await self._fault("publishing")
        for row in rows:
            await self._publish(row)
        return 0

    monkeypatch.setattr(Relay, "_say_batch", careless)
    assert_told("is in the stream (of the broker's present life)")


def test_letters_that_a_lost_broker_takes_with_it_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget_nothing(self: Outbox, *_: Any, **__: Any) -> int:
        return 0

    monkeypatch.setattr(Outbox, "forget_said", forget_nothing)
    assert_told("is in the stream (of the broker's present life)")


def test_a_scheduler_that_counts_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuotaNode, "available", lambda self, resource: 10**15)
    assert_told("more workloads admitted than the capacity holds")


def test_a_trainer_that_lets_go_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_tear_down", lambda world: reconcile.Plan(done_finalizer=True))
    assert_told("is left in the cluster for an object that was deleted")


def test_a_trainer_that_begins_again_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(job: Any, observed: Any) -> bool:
        marked = (job.get("status") or {}).get("restartedFrom")
        return bool(marked) and observed.job is not None and observed.job["metadata"]["uid"] == marked

    monkeypatch.setattr(disruption, "is_restarting", hasty)
    assert_told("was made while there were")
