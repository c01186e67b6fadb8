"""Which step makes an environment that several want at the same time, whichever replica they ask; when each was used.

What lies in the bucket is the truth, these rows only save work."""

from __future__ import annotations

from typing import Any

from libs.base import Clock, milliseconds
from libs.blobs import Blobs
from libs.store import Reader, Store, brief

LEASE_S = 900.0
"""A maker that goes on and has not stored it by then has a pip that hangs: the next one begins."""
ASK_AGAIN_S = 1.0
NOTED_S = 3600.0
"""A use is noted at most so often."""
GET = brief("SELECT maker, until_ms, used_ms, size FROM pipeline_environments WHERE key = ?1")
PUT = brief(
    "INSERT INTO pipeline_environments (key, maker, until_ms, used_ms, size) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (key) DO UPDATE SET maker = excluded.maker, until_ms = excluded.until_ms, "
    "used_ms = excluded.used_ms, size = excluded.size"
)


GOES_ON = brief("SELECT 1 FROM pipeline_tasks WHERE uid = ?1 AND attempt = ?2 AND state IN ('PENDING', 'RUNNING')")


class Making:
    """Environments by their key in the bucket. A maker is an attempt, as `uid/attempt`: one that is over (its pip
    failed, its run was stopped or deleted, its pod was lost) keeps nobody waiting."""

    def __init__(self, store: Store, blobs: Blobs, clock: Clock) -> None:
        self._store, self._blobs, self._clock = store, blobs, clock

    async def ask(self, key: str, holder: str) -> dict[str, Any]:
        if (found := await self._blobs.stat(key)) is not None:
            await self._used(key, found.size)
            return {"state": "ready", "url": self._blobs.presign(key)}
        async with self._store.write() as uow:
            now = self._now_ms()
            rows = await uow.rows(GET, key)
            maker, until = (str(rows[0][0]), int(rows[0][1])) if rows else ("", 0)
            if maker not in ("", holder) and now < until and await _goes_on(uow, maker):
                return {"state": "wait", "seconds": ASK_AGAIN_S}
            await uow.later(PUT, key, holder, now + int(LEASE_S * 1000), now, 0)
        return {"state": "build"}

    async def ended(self, key: str) -> None:
        """Whoever made it has stored it."""
        found = await self._blobs.stat(key)
        async with self._store.write() as uow:
            await uow.later(PUT, key, "", 0, self._now_ms(), found.size if found else 0)

    async def _used(self, key: str, size: int) -> None:
        now = self._now_ms()
        async with self._store.read() as reader:
            rows = await reader.rows(GET, key)
        if not rows or now - int(rows[0][2]) > NOTED_S * 1000 or int(rows[0][3]) != size:
            async with self._store.write() as uow:
                await uow.later(PUT, key, "", 0, now, size)

    def _now_ms(self) -> int:
        return milliseconds(self._clock.now())


async def _goes_on(reader: Reader, maker: str) -> bool:
    uid, _, attempt = maker.rpartition("/")
    return bool(await reader.rows(GOES_ON, uid, int(attempt)))
