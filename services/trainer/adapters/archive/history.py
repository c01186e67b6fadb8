"""The archive as its readers see it: jobs, pods, lines, events and figures of what may long be gone."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from libs.store import Store
from services.trainer.adapters.archive import records
from services.trainer.adapters.archive.bodies import Bodies
from services.trainer.adapters.archive.records import JobRow, LogRow, PodRow
from services.trainer.domain.archive import pods as domain
from services.trainer.domain.archive.logbook import stamp_of
from services.trainer.domain.archive.views import job_view
from services.trainer.ports import LogWish

Object = dict[str, Any]
EVENTS_MAX = 2000


class History:
    def __init__(self, store: Store, bodies: Bodies) -> None:
        self._store, self._bodies = store, bodies

    async def jobs(self, namespace: str, resource: str, limit: int) -> list[Object]:
        async with self._store.read() as reader:
            return [_head(row) for row in await records.jobs_of(reader, namespace, resource, limit)]

    async def job(self, namespace: str, resource: str, name: str, uid: str | None = None) -> Object | None:
        """The newest of that name, or the one with that uid: its pods, their ends and what is kept of their logs."""
        row = await self._find(namespace, resource, name, uid)
        if row is None:
            return None
        async with self._store.read() as reader:
            pods, logs = await records.pods_of(reader, row.uid), await records.logs_of_job(reader, row.uid)
        seen = {pod.uid: pod.gone_at for pod in pods}
        return {**_head(row), "job": row.body, "pods": job_view([pod.body for pod in pods], seen, _sizes(logs))}

    async def figures(self, namespace: str, resource: str, name: str, uid: str | None = None) -> list[Object] | None:
        row = await self._find(namespace, resource, name, uid)
        if row is None:
            return None
        async with self._store.read() as reader:
            return await records.figures(reader, row.uid)

    async def events(self, namespace: str, job_uid: str | None = None) -> list[Object]:
        """Of one job, or the newest of the namespace."""
        async with self._store.read() as reader:
            if job_uid is not None:
                return await records.events_of(reader, job_uid)
            return await records.latest_events(reader, namespace, EVENTS_MAX)

    async def find(self, namespace: str, name: str) -> JobRow | None:
        """The newest job of that name, of whatever kind."""
        async with self._store.read() as reader:
            return next(iter(await records.jobs_named(reader, namespace, name)), None)

    async def pods(self, job_uid: str) -> list[Object]:
        """Those that are gone, the last of each role and rank, as the API would have shown them."""
        async with self._store.read() as reader:
            rows = await records.pods_of(reader, job_uid)
        gone = {row.uid: row.gone_at for row in rows if row.gone_at}
        last = domain.newest([row.body for row in rows])
        return [domain.shown(pod, gone[pod["metadata"]["uid"]]) for pod in last if pod["metadata"]["uid"] in gone]

    async def pod(self, namespace: str, name: str, uid: str = "") -> PodRow | None:
        async with self._store.read() as reader:
            return await records.pod_named(reader, namespace, name, uid)

    async def log(self, pod_uid: str, container: str, attempt: int | None = None) -> LogRow | None:
        """Of one life of a container, the last one unless told otherwise."""
        async with self._store.read() as reader:
            found = [row for row in await records.logs_of_pod(reader, pod_uid) if row.spot.container == container]
        if attempt is None:
            return found[-1] if found else None
        return next((row for row in found if row.spot.attempt == attempt), None)

    async def lines(self, row: LogRow, wish: LogWish) -> AsyncIterator[bytes]:
        """The wanted lines, each with its end; part after part, so that little is held. Raises BlobError."""
        chosen = self._chosen(row, wish.since)
        if wish.tail is not None:
            last: deque[bytes] = deque(maxlen=wish.tail)
            async for line in chosen:
                last.append(line)
            chosen = _again(last)
        left = wish.limit_bytes
        async for line in chosen:
            told = (line if wish.timestamps else _bare(line)) + b"\n"
            if left is not None:
                told, left = told[:left], left - len(told)
            yield told
            if left is not None and left <= 0:
                return

    async def _chosen(self, row: LogRow, since: str) -> AsyncIterator[bytes]:
        async for line in self._all(row):
            stamp = stamp_of(line[:40].decode("latin-1"))
            if not (since and stamp) or stamp >= since:
                yield line

    async def _all(self, row: LogRow) -> AsyncIterator[bytes]:
        book = row.book
        for at, part in enumerate(book.parts):
            if at == book.cut_at:
                yield b"(%d lines, %d bytes of this log are cut out here)" % (book.cut_lines, book.cut_size)
            data = await self._bodies.get(row.spot.key(part.number), part.place)
            if data is None:
                data = b"(%d lines of this log are no longer where they were kept)\n" % part.lines
            for line in data.split(b"\n")[:-1]:
                yield line
        for line in bytes(book.pending).split(b"\n")[:-1]:
            yield line
        if book.has_gap:
            yield b"(lines of this log may be missing: they were gone before they could be read)"

    async def _find(self, namespace: str, resource: str, name: str, uid: str | None) -> JobRow | None:
        async with self._store.read() as reader:
            found = await records.jobs_named(reader, namespace, name)
        fitting = [row for row in found if row.resource == resource and uid in (None, row.uid)]
        return fitting[0] if fitting else None


async def _again(lines: deque[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


def _bare(line: bytes) -> bytes:
    return line.partition(b" ")[2] if stamp_of(line[:40].decode("latin-1")) else line


def _head(row: JobRow) -> Object:
    head = {"name": row.name, "namespace": row.namespace, "uid": row.uid, "finishedAt": row.finished_at}
    conditions = (row.body.get("status") or {}).get("conditions") or []
    ended = next((c for c in reversed(conditions) if c.get("status") == "True"), {})
    more = {"createdAt": row.body["metadata"].get("creationTimestamp"), "deletedAt": row.deleted_at}
    return {**head, **more, "state": ended.get("type"), "reason": ended.get("reason"), "message": ended.get("message")}


def _sizes(logs: list[LogRow]) -> dict[str, list[Object]]:
    out: dict[str, list[Object]] = {}
    for row in logs:
        book = row.book
        told = {"container": row.spot.container, "attempt": row.spot.attempt, "lines": book.lines, "bytes": book.size}
        cut = {"cutLines": book.cut_lines, "cutBytes": book.cut_size, "hasGap": book.has_gap}
        out.setdefault(row.spot.pod_uid, []).append({**told, **cut, "isWhole": row.is_whole})
    return out
