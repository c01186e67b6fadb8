"""The Bytes port: what runs stored in the platform's bucket, and what a running step has printed so far."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from libs.base.errors import ApiError, NotFound, TooLarge
from libs.blobs import Blob, Blobs, NoSuchBlob
from libs.cluster import Cluster
from services.pipelines.domain.catalog.borders import foreign

LINES_MAX, FILES_MAX = 10_000, 10_000


class StoredBytes:
    """`bucket` is the name of what `blobs` reads; of it, only what runs of the asked namespace wrote is shown."""

    def __init__(self, blobs: Blobs, bucket: str, cluster: Cluster) -> None:
        self._blobs, self._bucket, self._cluster = blobs, bucket, cluster

    async def stream(self, namespace: str, uri: str) -> tuple[str, int | None, AsyncIterator[bytes]] | None:
        key = self._key(namespace, uri)
        name = key.rpartition("/")[2]
        if key and (found := await self._blobs.stat(key)) is not None:
            return name, found.size, self._blobs.chunks(key, found.size)
        below = await self._blobs.list(f"{key.rstrip('/')}/", limit=FILES_MAX) if key else []
        return (f"{name}.tar", None, self._packed(key.rstrip("/"), below)) if below else None

    async def read(self, namespace: str, uri: str, most: int) -> bytes | None:
        key = self._key(namespace, uri)
        found = await self._blobs.stat(key) if key else None
        if not key or found is None:
            return None
        if found.size > most:
            raise TooLarge(f"{uri} has {found.size} bytes, at most {most} are read here: read it from the bucket")
        try:
            return await self._blobs.read(key)
        except NoSuchBlob:
            return None

    async def files(self, namespace: str, uri: str) -> Sequence[tuple[str, int]]:
        key = self._key(namespace, uri)
        if not key:
            return []
        if (found := await self._blobs.stat(key)) is not None:
            return [("", found.size)]
        below = await self._blobs.list(f"{key.rstrip('/')}/", limit=FILES_MAX)
        return [(each.key[len(key.rstrip("/")) + 1 :], each.size) for each in below]

    async def printed(self, namespace: str, pod: str) -> str | None:
        try:
            lines = [line async for line in self._cluster.logs(namespace, pod, tail=LINES_MAX)]
        except NotFound:
            return None
        return "".join(f"{line}\n" for line in lines)

    async def following(self, namespace: str, pod: str) -> AsyncIterator[bytes]:
        with suppress(ApiError):  # not begun yet, or gone by now: whoever follows looks again
            async for line in self._cluster.logs(namespace, pod, follow=True):
                yield f"{line}\n".encode()

    def _key(self, namespace: str, uri: str) -> str:
        """Empty for what is not the namespace's own."""
        home = f"s3://{self._bucket}/pipelines"
        if not uri.startswith(f"{home}/") or foreign(uri, home, namespace):
            return ""
        return uri.removeprefix(f"s3://{self._bucket}/")

    async def _packed(self, key: str, below: Sequence[Blob]) -> AsyncIterator[bytes]:
        """A tar archive of what lies below a key, made while it is read."""
        for each in below:
            member = tarfile.TarInfo(f"{key.rpartition('/')[2]}/{each.key[len(key) + 1 :]}")
            member.size = each.size
            yield member.tobuf()
            async for chunk in self._blobs.chunks(each.key, each.size):
                yield chunk
            yield b"\0" * (-each.size % tarfile.BLOCKSIZE)
        yield b"\0" * (2 * tarfile.BLOCKSIZE)
