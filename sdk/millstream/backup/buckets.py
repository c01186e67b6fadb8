"""The one bucket of a platform, over S3 or, while a laptop's S3 server rests, as the folder that it keeps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol

from libs.blobs import Blob, Endpoint, S3Blobs
from millstream.backup.archive import inside

ALL = 1 << 40


class Bucket(Protocol):
    """What backup and restore ask of a bucket; keys are paths."""

    async def objects(self) -> list[Blob]: ...

    async def download(self, key: str, target: Path) -> None: ...

    async def put(self, key: str, source: Path) -> None: ...

    def close(self) -> None: ...


class S3Bucket:
    """Over the wire; raises BlobError."""

    def __init__(self, endpoint: Endpoint, bucket: str) -> None:
        self._blobs = S3Blobs(endpoint, bucket)

    async def objects(self) -> list[Blob]:
        return await self._blobs.list("", limit=ALL)

    async def download(self, key: str, target: Path) -> None:
        await self._blobs.download(key, target)

    async def put(self, key: str, source: Path) -> None:
        await self._blobs.put(key, source)

    def close(self) -> None:
        self._blobs.close()


class FolderBucket:
    """A folder in which each file is an object: what `rclone serve s3` makes of a bucket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def objects(self) -> list[Blob]:
        files = (path for path in self._folder.rglob("*") if path.is_file()) if self._folder.is_dir() else ()
        found = [Blob(path.relative_to(self._folder).as_posix(), path.stat().st_size) for path in files]
        return sorted(found, key=lambda blob: blob.key)

    async def download(self, key: str, target: Path) -> None:
        shutil.copyfile(self._folder / key, target)

    async def put(self, key: str, source: Path) -> None:
        path = inside(self._folder, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        return None
