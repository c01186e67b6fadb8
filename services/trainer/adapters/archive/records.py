"""The archive's rows; every call is one or a few statements of the transaction that it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from libs.store import Reader, UnitOfWork
from services.trainer.domain.archive.logbook import Logbook

Object = dict[str, Any]
FIGURES_MAX = 2000
"""Reports kept of one job; beyond that every second one goes, so that the whole run stays in sight."""


@dataclass(frozen=True)
class JobRow:
    uid: str
    namespace: str
    resource: str
    name: str
    finished_at: str | None
    deleted_at: str | None
    body: Object


@dataclass(frozen=True)
class PodRow:
    uid: str
    job_uid: str
    gone_at: str | None
    body: Object


@dataclass(frozen=True)
class Spot:
    """One life of one container; `folder` is where its parts lie."""

    pod_uid: str
    container: str
    attempt: int
    job_uid: str
    folder: str

    def key(self, part: int) -> str:
        """`<folder>/<container>.log`, with what tells later lives and later parts apart."""
        life = f".restart-{self.attempt}" if self.attempt else ""
        return f"{self.folder}/{self.container}{life}{f'.part-{part}' if part else ''}.log"


@dataclass
class LogRow:
    spot: Spot
    is_whole: bool
    book: Logbook


_JOB = "uid, namespace, resource, name, finished_at, deleted_at, body"
_LOG = "pod_uid, container, attempt, job_uid, folder, is_whole, book, pending"
_PUT_JOB = (
    "INSERT INTO archive_jobs (uid, namespace, resource, name, created_at, finished_at, deleted_at, body) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (uid) DO UPDATE SET body = excluded.body, "
    "finished_at = coalesce(archive_jobs.finished_at, excluded.finished_at), "
    "deleted_at = coalesce(archive_jobs.deleted_at, excluded.deleted_at)"
)
_PUT_POD = (
    "INSERT INTO archive_pods (uid, job_uid, namespace, name, gone_at, body) VALUES (?1, ?2, ?3, ?4, NULL, ?5) "
    "ON CONFLICT (uid) DO UPDATE SET body = excluded.body"
)
_PUT_LOG = (
    "INSERT INTO archive_logs (pod_uid, container, attempt, job_uid, folder, is_whole, book, pending) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (pod_uid, container, attempt) "
    "DO UPDATE SET is_whole = excluded.is_whole, book = excluded.book, pending = excluded.pending"
)
_PUT_EVENT = (
    "INSERT INTO archive_events (uid, job_uid, namespace, last_at, body) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (uid) DO UPDATE SET last_at = excluded.last_at, body = excluded.body"
)
_OWN = "job_uid = ?1 AND namespace = (SELECT namespace FROM archive_jobs WHERE uid = ?1)"
"""A label can name any job: what bears one in another namespace than the job's is not the job's."""
_OF_JOB = ("archive_pods", "archive_logs", "archive_events", "archive_figures")


async def put_job(
    uow: UnitOfWork, resource: str, job: Object, *, finished_at: str | None = None, deleted_at: str | None = None
) -> None:
    meta = job["metadata"]
    made = str(meta.get("creationTimestamp") or "")
    where = (meta["uid"], meta["namespace"], resource, meta["name"], made)
    await uow.rows(_PUT_JOB, *where, finished_at, deleted_at, _text(job))


async def jobs_named(reader: Reader, namespace: str, name: str) -> list[JobRow]:
    """Of all kinds, newest first."""
    sql = f"SELECT {_JOB} FROM archive_jobs WHERE namespace = ?1 AND name = ?2 ORDER BY created_at DESC, uid"
    return [_job(row) for row in await reader.rows(sql, namespace, name)]


async def jobs_of(reader: Reader, namespace: str, resource: str, limit: int) -> list[JobRow]:
    sql = (
        f"SELECT {_JOB} FROM archive_jobs WHERE namespace = ?1 AND resource = ?2 ORDER BY created_at DESC, uid LIMIT ?3"
    )
    return [_job(row) for row in await reader.rows(sql, namespace, resource, limit)]


async def finished_uids(reader: Reader) -> set[str]:
    return {uid for (uid,) in await reader.rows("SELECT uid FROM archive_jobs WHERE finished_at IS NOT NULL")}


async def undeleted(reader: Reader) -> list[tuple[str, str, str, str]]:
    """(uid, resource, namespace, name) of those that were there when they were last seen."""
    sql = "SELECT uid, resource, namespace, name FROM archive_jobs WHERE deleted_at IS NULL"
    return [(str(a), str(b), str(c), str(d)) for a, b, c, d in await reader.rows(sql)]


async def mark_deleted(uow: UnitOfWork, uid: str, at: str) -> None:
    await uow.rows("UPDATE archive_jobs SET deleted_at = ?2 WHERE uid = ?1 AND deleted_at IS NULL", uid, at)


async def deleted_before(reader: Reader, at: str, limit: int) -> list[str]:
    sql = "SELECT uid FROM archive_jobs WHERE deleted_at < ?1 ORDER BY deleted_at LIMIT ?2"
    return [str(uid) for (uid,) in await reader.rows(sql, at, limit)]


async def forget(uow: UnitOfWork, job_uid: str) -> None:
    """All rows of one job but its bodies."""
    for table in _OF_JOB:
        await uow.rows(f"DELETE FROM {table} WHERE job_uid = ?1", job_uid)
    await uow.rows("DELETE FROM archive_jobs WHERE uid = ?1", job_uid)


async def put_pod(uow: UnitOfWork, job_uid: str, pod: Object) -> None:
    meta = pod["metadata"]
    await uow.rows(_PUT_POD, meta["uid"], job_uid, meta["namespace"], meta["name"], _text(pod))


async def mark_gone(uow: UnitOfWork, pod_uid: str, at: str) -> None:
    await uow.rows("UPDATE archive_pods SET gone_at = ?2 WHERE uid = ?1 AND gone_at IS NULL", pod_uid, at)


async def pods_of(reader: Reader, job_uid: str) -> list[PodRow]:
    sql = f"SELECT uid, job_uid, gone_at, body FROM archive_pods WHERE {_OWN} ORDER BY name, uid"
    return [_pod(row) for row in await reader.rows(sql, job_uid)]


async def pod_named(reader: Reader, namespace: str, name: str, uid: str = "") -> PodRow | None:
    """The newest of that name, or the one with that uid: some jobs make pods anew under their old names."""
    sql = "SELECT uid, job_uid, gone_at, body FROM archive_pods WHERE namespace = ?1 AND name = ?2"
    found = [_pod(row) for row in await reader.rows(sql, namespace, name) if uid in ("", row[0])]
    return max(found, key=lambda pod: str(pod.body["metadata"].get("creationTimestamp") or ""), default=None)


async def pods_not_gone(reader: Reader) -> list[PodRow]:
    sql = "SELECT uid, job_uid, gone_at, body FROM archive_pods WHERE gone_at IS NULL"
    return [_pod(row) for row in await reader.rows(sql)]


async def log(reader: Reader, spot: Spot) -> LogRow:
    """As stored; an empty one for a life of which nothing is known yet."""
    sql = f"SELECT {_LOG} FROM archive_logs WHERE pod_uid = ?1 AND container = ?2 AND attempt = ?3"
    found = await reader.rows(sql, spot.pod_uid, spot.container, spot.attempt)
    return _log(found[0]) if found else LogRow(spot, False, Logbook())


async def logs_of_pod(reader: Reader, pod_uid: str) -> list[LogRow]:
    sql = f"SELECT {_LOG} FROM archive_logs WHERE pod_uid = ?1 ORDER BY container, attempt"
    return [_log(row) for row in await reader.rows(sql, pod_uid)]


async def logs_of_job(reader: Reader, job_uid: str) -> list[LogRow]:
    sql = f"SELECT {_LOG} FROM archive_logs WHERE job_uid = ?1 ORDER BY pod_uid, container, attempt"
    return [_log(row) for row in await reader.rows(sql, job_uid)]


async def put_log(uow: UnitOfWork, row: LogRow) -> None:
    spot, book = row.spot, row.book
    where = (spot.pod_uid, spot.container, spot.attempt, spot.job_uid, spot.folder)
    await uow.rows(_PUT_LOG, *where, int(row.is_whole), _text(book.to_row()), bytes(book.pending))


async def put_event(uow: UnitOfWork, job_uid: str, event: Object, last_at: str) -> None:
    meta = event["metadata"]
    await uow.rows(_PUT_EVENT, meta["uid"], job_uid, meta["namespace"], last_at, _text(event))


async def events_of(reader: Reader, job_uid: str) -> list[Object]:
    sql = f"SELECT body FROM archive_events WHERE {_OWN} ORDER BY last_at, uid"
    return [orjson.loads(body) for (body,) in await reader.rows(sql, job_uid)]


async def latest_events(reader: Reader, namespace: str, limit: int) -> list[Object]:
    sql = "SELECT body FROM archive_events WHERE namespace = ?1 ORDER BY last_at DESC, uid LIMIT ?2"
    return [orjson.loads(body) for (body,) in await reader.rows(sql, namespace, limit)]


async def add_figures(uow: UnitOfWork, job_uid: str, report: Object) -> int:
    """Keeps the next report of a job and answers its number; of too many, every second of those before goes."""
    asked = "SELECT count(*), coalesce(max(number), -1) FROM archive_figures WHERE job_uid = ?1"
    ((count, last),) = await uow.rows(asked, job_uid)
    if count >= FIGURES_MAX:
        thin = (
            "DELETE FROM archive_figures WHERE job_uid = ?1 AND number IN (SELECT number FROM (SELECT number, "
            "row_number() OVER (ORDER BY number) AS place FROM archive_figures WHERE job_uid = ?1) AS placed "
            "WHERE place % 2 = 0)"
        )
        await uow.rows(thin, job_uid)
    put = "INSERT INTO archive_figures (job_uid, number, body) VALUES (?1, ?2, ?3)"
    await uow.rows(put, job_uid, last + 1, _text(report))
    return int(last) + 1


async def figures(reader: Reader, job_uid: str) -> list[Object]:
    sql = "SELECT body FROM archive_figures WHERE job_uid = ?1 ORDER BY number"
    return [orjson.loads(body) for (body,) in await reader.rows(sql, job_uid)]


def _text(value: Object) -> str:
    """Without what PostgreSQL cannot hold in a text."""
    return orjson.dumps(value).decode().replace("\\u0000", "\\ufffd")


def _job(row: tuple[Any, ...]) -> JobRow:
    return JobRow(*row[:6], orjson.loads(row[6]))


def _pod(row: tuple[Any, ...]) -> PodRow:
    return PodRow(*row[:3], orjson.loads(row[3]))


def _log(row: tuple[Any, ...]) -> LogRow:
    book = Logbook.of_row(orjson.loads(row[6]), bytes(row[7]))
    return LogRow(Spot(*row[:5]), bool(row[5]), book)
