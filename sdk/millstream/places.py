"""Where a program keeps files that must be whole or absent: a folder, or a prefix of an S3 bucket; one shape for both.

It must not assume that a writer lives to the end of a write: what is visible under its name is complete.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
PART_BYTES_MAX = 256 * 1024 * 1024
TRIES = 6
"""With the pauses in between, a restarting object store has half a minute to come back."""


class Place(Protocol):
    """Names are relative, with `/` between folders. `OSError` when the place cannot be reached."""

    def put(self, name: str, data: bytes | Path) -> None:
        """Whole or not at all, under a kill at any instruction; replaces what was there."""

    def get(self, name: str) -> bytes:
        """FileNotFoundError for what is not there."""

    def names(self, prefix: str = "") -> dict[str, int]:
        """The size in bytes of everything below a prefix, by name."""

    def delete(self, name: str) -> None:
        """Fine for what is not there."""


def place(uri: str) -> Place:
    """ValueError for anything but s3://bucket/prefix, file:///path and a path."""
    where = urlsplit(uri)
    if where.scheme == "s3" and where.netloc:
        return Bucket(s3_client(), where.netloc, where.path.strip("/"))
    if where.scheme in ("", "file") and where.path:
        return Folder(Path(where.path))
    raise ValueError(f"{uri!r} is no place for files: give s3://bucket/prefix or a local path")


class Folder:
    """A directory; on a shared one several nodes may write."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes | Path) -> None:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.uname().nodename}.{os.getpid()}")
        with part.open("wb") as file:
            _pour(data, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        _sync_folder(target.parent)

    def get(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def names(self, prefix: str = "") -> dict[str, int]:
        found: dict[str, int] = {}
        for path in self._root.rglob("*"):
            name = path.relative_to(self._root).as_posix()
            if name.startswith(prefix) and not path.name.startswith("."):
                with suppress(FileNotFoundError):  # another rank tidies up
                    if path.is_file():
                        found[name] = path.stat().st_size
        return found

    def delete(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


class Bucket:
    """A prefix of an S3 bucket, which is made when it is missing: a PUT is whole or absent by S3's own promise."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, f"{prefix}/" if prefix else ""
        self._is_there = False

    def put(self, name: str, data: bytes | Path) -> None:
        _insist(lambda: self._put(name, data))

    def get(self, name: str) -> bytes:
        return _insist(lambda: self._get(name))

    def names(self, prefix: str = "") -> dict[str, int]:
        def listed() -> dict[str, int]:
            self._ensure()
            found = self._client.list_objects(self._bucket, prefix=self._prefix + prefix, recursive=True)
            return {entry.object_name.removeprefix(self._prefix): entry.size or 0 for entry in found}

        return {name: size for name, size in _insist(listed).items() if not name.endswith("/")}

    def delete(self, name: str) -> None:
        _insist(lambda: self._client.remove_object(self._bucket, self._prefix + name))

    def _put(self, name: str, data: bytes | Path) -> None:
        self._ensure()
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        parts = max(5 * 1024 * 1024, min(size, PART_BYTES_MAX))
        with data.open("rb") if isinstance(data, Path) else io.BytesIO(data) as body:
            self._client.put_object(self._bucket, self._prefix + name, body, size, part_size=parts)

    def _get(self, name: str) -> bytes:
        from minio.error import S3Error

        try:
            self._client.stat_object(self._bucket, self._prefix + name)
        except S3Error as error:
            if error.code not in ("NoSuchKey", "NoSuchBucket"):
                raise
            raise FileNotFoundError(f"there is nothing at s3://{self._bucket}/{self._prefix}{name}") from error
        answer = self._client.get_object(self._bucket, self._prefix + name)
        try:
            return bytes(answer.read())
        finally:
            answer.close()
            answer.release_conn()

    def _ensure(self) -> None:
        if not self._is_there and not self._client.bucket_exists(self._bucket):
            with suppress(Exception):  # another rank made it, or the next call tells why it cannot be made
                self._client.make_bucket(self._bucket)
        self._is_there = True


def s3_client() -> Any:
    """For the store that the pod's environment names."""
    from minio import Minio

    where = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or "https://s3.amazonaws.com")
    return Minio(
        where.netloc,
        access_key=os.environ.get("AWS_ACCESS_KEY_ID"),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
        region=os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        secure=where.scheme == "https",
    )


def _insist(call: Callable[[], T]) -> T:
    """Tries again while the store does not answer; what it refuses (no such key, no such right) is told at once."""
    from minio.error import MinioException, S3Error
    from urllib3.exceptions import HTTPError

    for attempt in range(TRIES):
        try:
            return call()
        except S3Error as error:
            if attempt == TRIES - 1 or error.code not in ("InternalError", "SlowDown", "ServiceUnavailable"):
                raise OSError(f"the object store refused: {error.code}: {error.message}") from error
        except (HTTPError, MinioException) as error:
            if attempt == TRIES - 1:
                raise OSError(f"the object store does not answer: {error}") from error
        time.sleep(min(0.2 * 2**attempt, 5.0))
    raise AssertionError("the last try returns or raises")


def _pour(data: bytes | Path, file: Any) -> None:
    if not isinstance(data, Path):
        file.write(data)
        return
    with data.open("rb") as source:
        while block := source.read(1 << 20):
            file.write(block)


def _sync_folder(folder: Path) -> None:
    """A rename is only as durable as its directory."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
