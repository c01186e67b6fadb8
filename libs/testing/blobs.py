"""Blobs in a folder: the double that the suite in libs.testing.blobs_suite proves equal to S3."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from libs.blobs import Blob, BlobError, Blobs, NoSuchBlob, Stored
from libs.blobs.api import check_key, digest


class FolderBlobs(Blobs):
    """One bucket as a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, data: bytes | Path) -> Stored:
        target = self._path(key)
        content = _content(data)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            raise BlobError(f"{key}: {error.strerror}: a key may not be a folder of another one") from error
        return Stored(key, len(content), digest(content))

    async def read(self, key: str) -> bytes:
        return self._existing(key).read_bytes()

    async def part(self, key: str, offset: int, length: int) -> bytes:
        with self._existing(key).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    async def download(self, key: str, target: Path) -> None:
        shutil.copyfile(self._existing(key), target)

    async def stat(self, key: str) -> Blob | None:
        path = self._path(key)
        return Blob(key, path.stat().st_size) if path.is_file() else None

    async def list(self, prefix: str, *, limit: int = 10_000) -> list[Blob]:
        files = (path for path in self._folder.rglob("*") if path.is_file() and ".parts" not in path.parts)
        found = sorted((path.relative_to(self._folder).as_posix(), path.stat().st_size) for path in files)
        return [Blob(key, size) for key, size in found if key.startswith(prefix)][:limit]

    async def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def presign(self, key: str, *, expires_s: int = 3600) -> str:
        return self._path(key).resolve().as_uri()

    def presign_put(self, key: str, *, expires_s: int = 3600) -> str:
        return self.presign(key, expires_s=expires_s)

    async def begin_parts(self, key: str) -> str:
        check_key(key)
        (self._folder / ".parts").mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(dir=self._folder / ".parts"))
        (made / "key").write_text(key)
        return made.name

    def presign_part(self, key: str, upload: str, number: int, *, expires_s: int = 3600) -> str:
        return (self._folder / ".parts" / upload / str(number)).resolve().as_uri()

    async def end_parts(self, key: str, upload: str, etags: Sequence[str]) -> None:
        parts = [self._folder / ".parts" / upload / str(number) for number in range(1, len(etags) + 1)]
        if not all(part.is_file() for part in parts):
            raise BlobError(f"{key}: InvalidPart")
        await self.put(key, b"".join(part.read_bytes() for part in parts))
        shutil.rmtree(self._folder / ".parts" / upload)

    async def begun_parts(self, prefix: str) -> Sequence[tuple[str, str]]:
        found = sorted((path.read_text(), path.parent.name) for path in self._folder.glob(".parts/*/key"))
        return [(key, upload) for key, upload in found if key.startswith(prefix)]

    async def drop_parts(self, key: str, upload: str) -> None:
        shutil.rmtree(self._folder / ".parts" / upload, ignore_errors=True)

    def close(self) -> None:
        """Nothing is held."""

    def _path(self, key: str) -> Path:
        return self._folder / check_key(key)

    def _existing(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NoSuchBlob(f"{key}: NoSuchKey")
        return path


def _content(data: bytes | Path) -> bytes:
    return data if isinstance(data, bytes) else data.read_bytes()
