"""The suite of libs.testing on a real S3 server (rclone) and on the double."""

import asyncio
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs.blobs import BlobError, Blobs, Endpoint, S3Blobs
from libs.testing.blobs import FolderBlobs
from libs.testing.blobs_suite import BlobsSuite
from tests.blobs.server import s3_server


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    with s3_server(tmp_path) as found:
        yield found


class TestS3(BlobsSuite):
    @pytest.fixture
    async def blobs(self, endpoint: Endpoint) -> AsyncIterator[Blobs]:
        found = S3Blobs(endpoint, "millstream")
        yield found
        found.close()

    async def test_a_presigned_url_reads_without_credentials(self, blobs: Blobs) -> None:
        await blobs.put("a/b", b"content")

        def read() -> bytes:
            with urllib.request.urlopen(blobs.presign("a/b", expires_s=60)) as answer:
                return bytes(answer.read())

        assert await asyncio.to_thread(read) == b"content"

    async def test_a_presigned_url_stores_that_object_alone_without_credentials(self, blobs: Blobs) -> None:
        await blobs.put("a/first", b"the bucket is there")
        key = "a/b c+d%/\u00fc"

        def store(url: str) -> int:
            with urllib.request.urlopen(urllib.request.Request(url, data=b"content", method="PUT")) as answer:
                return int(answer.status)

        assert await asyncio.to_thread(store, blobs.presign_put(key, expires_s=60)) == 200
        assert await blobs.get(key) == b"content"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            await asyncio.to_thread(store, blobs.presign_put("a/b", expires_s=60).replace("/a/b?", "/a/other?"))

    async def test_wrong_keys_are_an_error(self, endpoint: Endpoint) -> None:
        stranger = S3Blobs(Endpoint(endpoint.url, "key", "wrong"), "millstream")
        with pytest.raises(BlobError):
            await stranger.put("a", b"x")
        stranger.close()


class TestFolder(BlobsSuite):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return FolderBlobs(tmp_path / "bucket")


async def test_a_silent_store_is_an_error_that_names_the_key() -> None:
    blobs = S3Blobs(Endpoint("http://127.0.0.1:9", "key", "secret"), "millstream")
    blobs._client._http.connection_pool_kw["retries"] = 0
    with pytest.raises(BlobError, match="millstream/a"):
        await blobs.get("a")
    blobs.close()


def test_importing_the_room_does_not_load_the_client() -> None:
    code = "import sys, libs.blobs; print('minio' in sys.modules)"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "False"
