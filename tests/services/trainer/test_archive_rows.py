"""The archive's rows on both databases: what is put is read back, old jobs are forgotten whole, figures are thinned."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

import services.trainer
from libs.base import SystemClock, rfc3339
from libs.base.ids import SystemIds
from libs.store import Store
from libs.testing.blobs import FolderBlobs
from services.trainer.adapters.archive import records
from services.trainer.adapters.archive.bodies import Bodies
from services.trainer.adapters.archive.jobs import Jobs
from services.trainer.adapters.archive.records import LogRow, Spot
from services.trainer.domain.archive.logbook import Logbook

MIGRATIONS = Path(services.trainer.__path__[0]) / "adapters" / "migrations"
KIND = "trainjobs.trainer.kubeflow.org"
META = {"uid": "u1", "namespace": "team", "name": "digits", "creationTimestamp": "2026-11-22T10:00:00Z"}
JOB = {"metadata": META, "spec": {}, "status": {"note": "nul \x00 and ü"}}
SPOT = Spot("p1", "node", 0, "u1", "logs/team/digits-u1/digits-0")


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/t.db" if sqlite else request.getfixturevalue("postgres").emptied_database()
    clock = SystemClock()
    opened = await Store.open(url, clock=clock, ids=SystemIds(clock), migrations=[MIGRATIONS])
    yield opened
    await opened.close()


async def filled(store: Store) -> None:
    book = Logbook()
    book.take("2026-11-22T10:00:00.000000001Z \x00 binary")
    book.seal("store")
    book.take("2026-11-22T10:00:01.000000001Z pending")
    async with store.write() as uow:
        await records.put_job(uow, KIND, JOB)
        await records.put_job(uow, KIND, JOB, finished_at="2026-11-22T11:00:00Z")
        await records.put_pod(
            uow, "u1", {"metadata": {"uid": "p1", "namespace": "team", "name": "digits-0"}, "spec": {}}
        )
        await records.mark_gone(uow, "p1", "2026-11-22T11:00:01Z")
        await records.put_log(uow, LogRow(SPOT, False, book))
        await records.put_event(uow, "u1", {"metadata": {"uid": "e1", "namespace": "team", "name": "e"}}, "2026")
        await records.add_figures(uow, "u1", {"metrics": {"loss": "1"}})


async def test_what_is_put_is_read_back(store: Store):
    await filled(store)
    async with store.read() as reader:
        (job,) = await records.jobs_named(reader, "team", "digits")
        assert (job.finished_at, job.deleted_at, job.body["metadata"]) == ("2026-11-22T11:00:00Z", None, META)
        (log,) = await records.logs_of_job(reader, "u1")
        assert bytes(log.book.pending).endswith(b"pending\n") and log.book.parts[0].lines == 1
        pod = await records.pod_named(reader, "team", "digits-0")
        assert pod is not None and pod.gone_at == "2026-11-22T11:00:01Z"
        assert await records.pods_not_gone(reader) == []
        assert len(await records.latest_events(reader, "team", 10)) == 1


async def test_pods_of_another_namespace_that_bear_a_jobs_uid_are_not_told_as_its_own(store: Store):
    """Labels of pods are anybody's to write."""
    await filled(store)
    async with store.write() as uow:
        meta = {"uid": "p2", "namespace": "mallory", "name": "digits-0"}
        await records.put_pod(uow, "u1", {"metadata": meta, "spec": {}})
        await records.put_event(uow, "u1", {"metadata": {"uid": "e2", "namespace": "mallory", "name": "e"}}, "2026")
    async with store.read() as reader:
        assert [row.uid for row in await records.pods_of(reader, "u1")] == ["p1"]
        assert [event["metadata"]["uid"] for event in await records.events_of(reader, "u1")] == ["e1"]


async def test_of_too_many_figures_every_second_goes(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(records, "FIGURES_MAX", 10)
    async with store.write() as uow:
        for number in range(25):
            assert await records.add_figures(uow, "u1", {"number": number}) == number
    async with store.read() as reader:
        kept = [row["number"] for row in await records.figures(reader, "u1")]
    assert kept[0] == 0 and kept[-1] == 24 and kept == sorted(kept) and len(kept) <= 10


async def test_what_is_too_old_is_forgotten_whole_and_nothing_else(store: Store, tmp_path: Path):
    bucket = FolderBlobs(tmp_path / "bucket")
    bodies, clock = Bodies(store, bucket), SystemClock()
    jobs = Jobs(None, store, None, bodies, clock, timedelta(days=30))  # type: ignore[arg-type]
    await filled(store)
    await bodies.put(SPOT.key(0), b"kept")
    await bucket.put("logs/team/digits-u1/digits-01/node.log", b"another's")
    for days, left in ((29, 1), (31, 0)):
        async with store.write() as uow:
            await uow.rows("UPDATE archive_jobs SET deleted_at = ?1", rfc3339(clock.now() - timedelta(days=days)))
        assert await jobs.forget_page() == 1 - left
        assert len(await bucket.list(f"{SPOT.folder}/")) == left
    async with store.read() as reader:
        for table in ("jobs", "pods", "logs", "events", "figures"):
            assert await reader.rows(f"SELECT count(*) FROM archive_{table}") == [(0,)], table
    assert [blob.key for blob in await bucket.list("")] == ["logs/team/digits-u1/digits-01/node.log"]


async def test_without_a_bucket_parts_lie_in_the_store(store: Store):
    bodies = Bodies(store, None)
    assert await bodies.put("logs/a/b/node.log", b"\x00\xff one") == "store"
    assert await bodies.put("logs/a/b/node.log", b"\x00\xff two") == "store"
    assert await bodies.get("logs/a/b/node.log", "store") == b"\x00\xff two"
    await bodies.forget("logs/a/b")
    assert await bodies.get("logs/a/b/node.log", "store") is None
