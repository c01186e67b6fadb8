"""Where the parts of logs lie: in the platform's bucket; in the store where there is none, or while it is away."""

from __future__ import annotations

import logging

from libs.blobs import BlobError, Blobs, NoSuchBlob
from libs.store import Store
from services.trainer.domain.archive.logbook import Limits

_log = logging.getLogger(__name__)
BUCKET, STORE = "bucket", "store"
PARTS_HEAD, PARTS_TAIL = 4, 12
IN_BUCKET_BYTES, IN_STORE_BYTES = 16 * 2**20, 2**20
"""What is kept of one container's log at most, a sixteenth of it a part."""

_PUT = "INSERT INTO archive_bodies (key, data) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET data = excluded.data"


class Bodies:
    def __init__(self, store: Store, blobs: Blobs | None) -> None:
        self._store, self._blobs = store, blobs

    @property
    def limits(self) -> Limits:
        whole = IN_BUCKET_BYTES if self._blobs else IN_STORE_BYTES
        return Limits(whole // (PARTS_HEAD + PARTS_TAIL), PARTS_HEAD, PARTS_TAIL)

    async def put(self, key: str, data: bytes) -> str:
        """Answers the place that holds it. The same key twice is the same part: the later one stays."""
        if self._blobs is not None:
            try:
                await self._blobs.put(key, data)
                return BUCKET
            except BlobError as error:
                _log.warning("%s goes into the store, since the bucket does not take it: %s", key, error)
        async with self._store.write() as uow:
            await uow.rows(_PUT, key, data)
        return STORE

    async def get(self, key: str, place: str) -> bytes | None:
        """None when it is there no longer. Raises BlobError when the bucket does not answer."""
        if place == BUCKET:
            if self._blobs is None:
                return None
            try:
                return await self._blobs.read(key)
            except NoSuchBlob:
                return None
        async with self._store.read() as reader:
            found = await reader.rows("SELECT data FROM archive_bodies WHERE key = ?1", key)
        return bytes(found[0][0]) if found else None

    async def forget(self, folder: str) -> None:
        """All that lies below a folder, whether a row still tells of it or not. Raises BlobError."""
        if self._blobs is not None:
            for blob in await self._blobs.list(f"{folder}/"):
                await self._blobs.delete(blob.key)
        async with self._store.write() as uow:
            await uow.rows("DELETE FROM archive_bodies WHERE key >= ?1 AND key < ?2", f"{folder}/", f"{folder}0")

    async def delete(self, key: str, place: str) -> None:
        """Raises BlobError when the bucket does not answer."""
        if place == BUCKET:
            if self._blobs is not None:
                await self._blobs.delete(key)
            return
        async with self._store.write() as uow:
            await uow.rows("DELETE FROM archive_bodies WHERE key = ?1", key)
