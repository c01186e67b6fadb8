"""The archive on disk: a folder or a tar with a manifest; it appears under its name only when it is whole."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from millstream.backup.unpacking import unpack
from millstream.errors import ClientError

FORMAT = 1
MANIFEST = "manifest.json"
NOTE = "This archive holds passwords, keys and everybody's data: keep it as you keep those."
_CHUNK = 1 << 20
_TARS = {".tar": "", ".tar.gz": "gz", ".tgz": "gz"}


def compression_of(target: Path) -> str | None:
    """`gz` or nothing for a tar, None for a folder. Raises ClientError for an ending that is not known."""
    for ending, compression in _TARS.items():
        if target.name.endswith(ending):
            return compression
    if target.suffix in (".zst", ".xz", ".bz2", ".zip", ".gz"):
        raise ClientError(f"{target}: an archive is a folder, .tar or .tar.gz")
    return None


class Writer:
    """Files go into a folder beside the target; `finish` makes the archive of them."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._compression = compression_of(target)
        self.folder = target.with_name(target.name + ".part")
        self._files: dict[str, dict[str, Any]] = {}
        self._lock: Any = None

    def begin(self) -> None:
        """Raises ClientError if the target exists or another backup writes it; removes what a killed one left."""
        if self._target.exists():
            raise ClientError(f"{self._target} exists: a backup overwrites nothing, give it another name")
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._lock = self._target.with_name(self._target.name + ".lock").open("w")
            fcntl.flock(self._lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(mode=0o700)
        except BlockingIOError:
            raise ClientError(f"another backup is writing {self._target}") from None
        except OSError as error:
            raise ClientError(f"cannot write {self._target}: {error.strerror or error}") from error

    def path(self, name: str) -> Path:
        """Where to write the file `name` by other means; tell `add` when it is complete."""
        path = self.folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def add(self, name: str) -> dict[str, Any]:
        """Takes a complete file into the manifest; returns its size and sha256."""
        path = self.folder / name
        path.chmod(0o600)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        self._files[name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        return self._files[name]

    def json(self, name: str, value: Any) -> None:
        self.path(name).write_text(json.dumps(value, indent=1))
        self.add(name)

    async def lines(self, name: str, lines: AsyncIterator[str]) -> int:
        """One line of text each; returns how many."""
        count = 0
        with self.path(name).open("w") as file:
            async for line in lines:
                file.write(line + "\n")
                count += 1
        self.add(name)
        return count

    async def chunks(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Returns how many bytes."""
        with self.path(name).open("wb") as file:
            async for chunk in chunks:
                file.write(chunk)
        return int(self.add(name)["bytes"])

    def finish(self, about: dict[str, Any]) -> None:
        """Writes the manifest and gives the archive its name."""
        whole = {"format": FORMAT, **about, "note": NOTE, "files": dict(sorted(self._files.items()))}
        self.json(MANIFEST, whole)
        made = self.folder
        if self._compression is not None:
            made = self.folder / "archive"
            self._pack(made)
        made.replace(self._target)
        _sync(self._target.parent)
        self.leave()

    def leave(self) -> None:
        """Removes what is unfinished."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            self._target.with_name(self._target.name + ".lock").unlink(missing_ok=True)
            self._lock.close()

    def _pack(self, made: Path) -> None:
        fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            with tarfile.open(fileobj=file, mode=f"w:{self._compression}") as tar:  # type: ignore[call-overload]
                for name in (MANIFEST, *sorted(set(self._files) - {MANIFEST})):
                    tar.add(self.folder / name, name)
            file.flush()
            os.fsync(file.fileno())


class Reader:
    """A whole, verified archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _manifest(folder)

    @classmethod
    @contextmanager
    def open(cls, source: Path, scratch: Path) -> Iterator[Reader]:
        """Unpacks a tar below `scratch` first. Raises ClientError naming what is damaged."""
        if source.is_dir():
            yield cls(source)
            return
        if not source.exists():
            raise ClientError(f"{source} does not exist")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700, parents=True)
        try:
            _unpack(source, scratch)
            yield cls(scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def verify(self) -> None:
        """Raises ClientError unless every file is there with the bytes that were written."""
        for name, told in self.manifest["files"].items():
            path = self.path(name)
            if not path.is_file():
                raise ClientError(f"the archive is damaged: {name} is missing")
            if path.stat().st_size != told["bytes"] or sha256_of(path) != told["sha256"]:
                raise ClientError(f"the archive is damaged: {name} is not what was written (sha256 differs)")

    def path(self, name: str) -> Path:
        return inside(self.folder, name)

    def json(self, name: str) -> Any:
        return json.loads(self.path(name).read_text())

    def lines(self, name: str) -> Iterable[str]:
        with self.path(name).open() as file:
            yield from (line.rstrip("\n") for line in file)

    def chunks(self, name: str, size: int) -> Iterator[bytes]:
        with self.path(name).open("rb") as file:
            while chunk := file.read(size):
                yield chunk


def inside(folder: Path, name: str) -> Path:
    """What an archive calls `name`, below `folder`. Raises ClientError for a name that leads out of it."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts:
        raise ClientError(f"the archive is not ours: it names the file {name}")
    return folder / name


def sha256_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise ClientError(f"{folder} is not a backup: it has no {MANIFEST}") from None
    except ValueError as error:
        raise ClientError(f"the archive is damaged: {MANIFEST} cannot be read ({error})") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        told = found.get("format") if isinstance(found, dict) else None
        raise ClientError(f"the archive has format {told}, this millstream reads {FORMAT}: use the one that wrote it")
    return found


def _unpack(source: Path, target: Path) -> None:
    try:
        with tarfile.open(source) as tar:
            unpack(tar, target, links=False)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ClientError(f"{source} is damaged or no backup: {error}") from error


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
