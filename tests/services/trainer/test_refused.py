"""A cluster that refuses a job's workloads, through the whole service: told, waited for, and gone on from."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.base import SystemClock, SystemIds
from libs.base.errors import Forbidden
from libs.cluster import JOB
from libs.testing.cluster import MemoryCluster
from libs.testing.cluster_wire import connect
from tests.services.trainer.paper import PaperCluster
from tests.services.trainer.test_service import JOBS, SENT, Rig, started, until

QUOTA = 'jobs.batch "digits-node-0" is forbidden: exceeded quota: team, requested: count/jobs.batch=1'
DENIED = (
    'Error creating: pods "digits-node-0-0-x" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes'
)


class FullCluster(PaperCluster):
    """Its quota of Jobs is used up while `full`."""

    full = True

    async def apply(self, obj: Mapping[str, Any], *, manager: str = "millstream") -> dict[str, Any]:
        if self.full and obj["kind"] == "Job":
            raise Forbidden(QUOTA)
        return await super().apply(obj, manager=manager)


class Behind(SystemClock):
    """A minute late: what is made by it is a minute old at once."""

    def now(self) -> datetime:
        return super().now() - timedelta(minutes=1)


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Rig]:
    async with started(tmp_path, FullCluster()) as rig:
        yield rig


async def told(rig: Rig, reason: str) -> bool:
    found = ((await rig.job()).get("status") or {}).get("conditions") or []
    return [(c["type"], c["status"], c["reason"]) for c in found] == [("PodsReady", "False", reason)]


async def test_a_job_over_quota_waits_and_goes_on_when_there_is_room(full: Rig):
    await full.http.post(JOBS, json=SENT)
    await full.admit()
    await until(lambda: told(full, "QuotaExceeded"))
    assert await full.has("events") and not await full.has("jobs")
    assert isinstance(full.cluster, FullCluster)
    full.cluster.full = False
    await full.http.patch(f"{JOBS}/digits", json={"metadata": {"labels": {"look": "again"}}}, headers=MERGE)
    await until(lambda: full.has("jobs"))
    await full.cluster.run_pods("digits", "team", "Running")
    await until(lambda: full.shows("startedAt"))
    assert (await full.job())["status"]["conditions"] == []


MERGE = {"content-type": "application/merge-patch+json"}


async def test_what_the_job_controller_is_denied_is_read_from_its_events(tmp_path: Path):
    """The Job is taken, its pods are not: nothing but an Event tells."""
    clock = Behind()
    cluster = connect(MemoryCluster(clock, SystemIds(clock)))
    async with started(tmp_path, cluster) as rig:  # type: ignore[arg-type]
        await rig.http.post(JOBS, json=SENT)
        await rig.admit()

        async def made() -> bool:
            return await cluster.get(JOB, "team", "digits-node-0") is not None

        await until(made)
        child = await cluster.get(JOB, "team", "digits-node-0")
        assert child is not None
        about = {"apiVersion": "batch/v1", "kind": "Job", "name": "digits-node-0", "namespace": "team"}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "denied", "namespace": "team"},
            "involvedObject": {**about, "uid": child["metadata"]["uid"]},
            "type": "Warning",
            "reason": "FailedCreate",
            "message": DENIED,
            "lastTimestamp": "2026-11-22T10:00:00Z",
        }
        await cluster.create(event)
        await cluster.patch_status(JOB, "team", "digits-node-0", {"active": 0})  # wakes the trainer
        await until(lambda: told(rig, "PodSecurityViolation"))
