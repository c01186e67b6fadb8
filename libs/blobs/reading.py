"""Reading objects below a prefix of one bucket; blocking calls, for workloads and threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class BlobError(Exception):
    """The store answered with an error or not at all."""


class NoSuchBlob(BlobError):
    """The bucket or the object is not there."""


@dataclass(frozen=True)
class Endpoint:
    """Where an S3 store is and who asks; without keys the access is anonymous."""

    url: str
    access_key: str | None = None
    secret_key: str | None = None
    region: str = "us-east-1"


class Reader:
    """One bucket of one store."""

    def __init__(self, endpoint: Endpoint, bucket: str) -> None:
        from minio import Minio

        parts = urlsplit(endpoint.url if "//" in endpoint.url else f"https://{endpoint.url}")
        self.bucket = bucket
        try:
            self.client: Any = Minio(
                parts.netloc,
                access_key=endpoint.access_key,
                secret_key=endpoint.secret_key,
                secure=parts.scheme == "https",
                region=endpoint.region,
            )
        except ValueError as error:
            raise BlobError(f"{endpoint.url}: {error}") from error

    def objects(self, prefix: str, limit: int) -> list[tuple[str, int]]:
        """(key, bytes) of at most `limit` objects below a prefix, folders left out; NoSuchBlob without the bucket."""
        with translated(self.bucket):
            return list(islice(self._below(prefix), limit))

    def _below(self, prefix: str) -> Iterator[tuple[str, int]]:
        for found in self.client.list_objects(self.bucket, prefix=prefix, recursive=True):
            if not found.is_dir and not found.object_name.endswith("/"):
                yield found.object_name, int(found.size or 0)

    def download(self, key: str, target: Path) -> None:
        with translated(f"{self.bucket}/{key}"):
            self.client.fget_object(self.bucket, key, str(target))


class translated:
    """The client's many errors as two of ours, with the name of what was asked for."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, BlobError):
            return
        code = str(getattr(error, "code", ""))
        # rclone's errors come as text/xml, which the client takes for no answer at all but for its code.
        missing = getattr(error, "_code", None) == 404
        if missing or code in ("NoSuchBucket", "NoSuchKey", "NoSuchObject", "NoSuchUpload", "ResourceNotFound"):
            raise NoSuchBlob(f"{self.what}: {code or 'NoSuchKey'}") from error
        raise BlobError(f"{self.what}: {type(error).__name__}: {error}") from error
