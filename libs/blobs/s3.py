"""Blobs in S3, by a blocking client in a few threads; written for the least of the servers, rclone's `serve s3`."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

from libs.base.settings import Settings
from libs.blobs.api import Blob, Blobs, NoSuchBlob, Stored, check_key, digest
from libs.blobs.reading import BlobError, Endpoint, Reader, translated

THREADS = 4
PART_BYTES = 16 * 2**20
CHUNK_BYTES = 2**20

T = TypeVar("T")
Found = list[Blob]


class S3Blobs(Blobs):
    """One bucket of an S3 store; the bucket is made when it is missing at the first put."""

    def __init__(self, endpoint: Endpoint, bucket: str) -> None:
        self._client: Any = Reader(endpoint, bucket).client
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        endpoint = Endpoint(settings.s3_endpoint or "", settings.s3_access_key, settings.s3_secret_key)
        return cls(endpoint, settings.s3_bucket)

    async def put(self, key: str, data: bytes | Path) -> Stored:
        return await self._run(key, self._put, check_key(key), data)

    async def read(self, key: str) -> bytes:
        return await self._run(key, self._read, check_key(key))

    async def part(self, key: str, offset: int, length: int) -> bytes:
        return await self._run(key, self._part, check_key(key), offset, length)

    async def download(self, key: str, target: Path) -> None:
        await self._run(key, self._download, check_key(key), target)

    async def stat(self, key: str) -> Blob | None:
        try:
            return await self._run(key, self._stat, check_key(key))
        except NoSuchBlob:
            return None

    async def list(self, prefix: str, *, limit: int = 10_000) -> Found:
        try:
            return await self._run(prefix, self._list, prefix, limit)
        except NoSuchBlob:
            return []

    async def delete(self, key: str) -> None:
        try:
            await self._run(key, self._client.remove_object, self._bucket, check_key(key))
        except NoSuchBlob:
            return

    def presign(self, key: str, *, expires_s: int = 3600) -> str:
        with translated(f"{self._bucket}/{key}"):
            found = self._client.presigned_get_object(self._bucket, check_key(key), timedelta(seconds=expires_s))
        return str(found)

    def presign_put(self, key: str, *, expires_s: int = 3600) -> str:
        with translated(f"{self._bucket}/{key}"):
            found = self._client.presigned_put_object(self._bucket, check_key(key), timedelta(seconds=expires_s))
        return str(found)

    async def begin_parts(self, key: str) -> str:
        return await self._run(key, self._begin_parts, check_key(key))

    def presign_part(self, key: str, upload: str, number: int, *, expires_s: int = 3600) -> str:
        which = {"uploadId": upload, "partNumber": str(number)}
        with translated(f"{self._bucket}/{key}"):
            found = self._client.get_presigned_url(
                "PUT", self._bucket, check_key(key), timedelta(seconds=expires_s), extra_query_params=which
            )
        return str(found)

    async def end_parts(self, key: str, upload: str, etags: Sequence[str]) -> None:
        from minio.datatypes import Part

        parts = [Part(number, etag.strip('"')) for number, etag in enumerate(etags, 1)]
        await self._run(key, self._client._complete_multipart_upload, self._bucket, check_key(key), upload, parts)

    async def begun_parts(self, prefix: str) -> Sequence[tuple[str, str]]:
        try:
            return await self._run(prefix, self._begun_parts, prefix)
        except NoSuchBlob:
            return []

    async def drop_parts(self, key: str, upload: str) -> None:
        try:
            await self._run(key, self._client._abort_multipart_upload, self._bucket, check_key(key), upload)
        except NoSuchBlob:
            return

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, what: str, call: Callable[..., T], *args: Any) -> T:
        def work() -> T:
            with translated(f"{self._bucket}/{what}"):
                return call(*args)
            raise AssertionError("unreachable")

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _put(self, key: str, data: bytes | Path) -> Stored:
        self._make_bucket()
        if isinstance(data, bytes):
            size, told = len(data), digest(data)
            self._client.put_object(self._bucket, key, io.BytesIO(data), size, part_size=PART_BYTES)
        else:
            size, told = data.stat().st_size, _file_digest(data)
            self._client.fput_object(self._bucket, key, str(data), part_size=PART_BYTES)
        return Stored(key, size, told)

    def _begin_parts(self, key: str) -> str:
        """The client has no public words for uploads in parts that others send."""
        self._make_bucket()
        return str(self._client._create_multipart_upload(self._bucket, key, {}))

    def _begun_parts(self, prefix: str) -> Sequence[tuple[str, str]]:
        # The client's own call sends an empty delimiter, for which rclone finds nothing.
        from minio.datatypes import ListMultipartUploadsResult

        asked = {"uploads": "", **({"prefix": prefix} if prefix else {})}
        found = ListMultipartUploadsResult(self._client._execute("GET", self._bucket, query_params=asked))
        return [(str(each.object_name), str(each.upload_id)) for each in found.uploads]

    def _make_bucket(self) -> None:
        if not self._client.bucket_exists(self._bucket):
            self._client.make_bucket(self._bucket)

    def _read(self, key: str) -> bytes:
        # A GET of what is missing is answered in a form that the client cannot read; a HEAD is clear.
        self._stat(key)
        return self._part(key, 0, 0)

    def _part(self, key: str, offset: int, length: int) -> bytes:
        """To the end for a length of 0."""
        answer = self._client.get_object(self._bucket, key, offset, length)
        try:
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()

    def _download(self, key: str, target: Path) -> None:
        self._stat(key)
        self._client.fget_object(self._bucket, key, str(target))

    def _stat(self, key: str) -> Blob:
        return Blob(key, int(self._client.stat_object(self._bucket, key).size or 0))

    def _list(self, prefix: str, limit: int) -> Found:
        listed = self._client.list_objects(self._bucket, prefix=prefix, recursive=True)
        blobs = (Blob(each.object_name, int(each.size or 0)) for each in listed if not each.is_dir)
        return sorted(islice(blobs, limit), key=lambda blob: blob.key)


def _file_digest(file: Path) -> str:
    found = sha256()
    with closing(file.open("rb")) as opened:
        while chunk := opened.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()


__all__ = ["BlobError", "S3Blobs"]
