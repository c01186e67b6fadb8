"""Blobs as the platform sees them; assumes of a store only put, get, list and delete of whole objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from libs.blobs.reading import BlobError, NoSuchBlob

CHUNK_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Blob:
    """An object's key and its size in bytes; what else there is to know (type, digest, owner) belongs into SQL.

    Not every store keeps content types or metadata over a restart (rclone does not).
    """

    key: str
    size: int


@dataclass(frozen=True)
class Stored(Blob):
    """What was just put, with the SHA-256 of its bytes in hexadecimal, for the caller to keep."""

    sha256: str


class Corrupt(BlobError):
    """The bytes are not those that were put."""


class Blobs(ABC):
    """One bucket. Keys are paths without a leading slash; a key may not be a folder of another one.

    Every call raises BlobError when the store does not answer; reading what is not there raises NoSuchBlob.
    """

    @abstractmethod
    async def put(self, key: str, data: bytes | Path) -> Stored:
        """Stores the whole object, replacing what was there."""

    @abstractmethod
    async def read(self, key: str) -> bytes:
        """All bytes of the object."""

    @abstractmethod
    async def part(self, key: str, offset: int, length: int) -> bytes:
        """At most `length` bytes of the object from `offset` on, for readers that never hold all of it; `offset` lies
        inside of the object."""

    async def chunks(self, key: str, size: int) -> AsyncIterator[bytes]:
        """All `size` bytes of the object, piece by piece, each asked for when it is wanted."""
        for offset in range(0, size, CHUNK_BYTES):
            yield await self.part(key, offset, CHUNK_BYTES)

    @abstractmethod
    async def download(self, key: str, target: Path) -> None:
        """Writes the object to a file."""

    @abstractmethod
    async def stat(self, key: str) -> Blob | None:
        """None when there is no such object."""

    @abstractmethod
    async def list(self, prefix: str, *, limit: int = 10_000) -> list[Blob]:
        """At most `limit` objects whose key begins with `prefix`, in order of their keys."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Removes the object; well if there is none."""

    @abstractmethod
    def presign(self, key: str, *, expires_s: int = 3600) -> str:
        """A URL that reads the object for so long without further credentials."""

    @abstractmethod
    def presign_put(self, key: str, *, expires_s: int = 3600) -> str:
        """A URL that stores the object, by one PUT of all its bytes, for so long without further credentials."""

    @abstractmethod
    async def begin_parts(self, key: str) -> str:
        """The name of an upload of an object in parts, which appears when `end_parts` says so. Stores take no more than
        5 GiB by one PUT, and no part of less than 5 MiB but the last."""

    @abstractmethod
    def presign_part(self, key: str, upload: str, number: int, *, expires_s: int = 3600) -> str:
        """A URL that stores one part, from 1 on, by a PUT whose answer's `ETag` names it."""

    @abstractmethod
    async def end_parts(self, key: str, upload: str, etags: Sequence[str]) -> None:
        """Makes the object out of all its parts, in order; it is not there before. Raises BlobError where they are not
        those that came."""

    @abstractmethod
    async def begun_parts(self, prefix: str) -> Sequence[tuple[str, str]]:
        """Key and upload of what was begun below the prefix and is neither whole nor dropped: the parts that have come
        take room, and no listing shows them. At most a thousand."""

    @abstractmethod
    async def drop_parts(self, key: str, upload: str) -> None:
        """The upload ends and its parts go; well if it ended before."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of threads and connections."""

    async def get(self, key: str, *, sha256: str | None = None) -> bytes:
        """All bytes; with `sha256` (as `put` told it) raises Corrupt when they are others."""
        data = await self.read(key)
        if sha256 is not None and digest(data) != sha256:
            raise Corrupt(f"{key}: the bytes are not those that were stored")
        return data


def digest(data: bytes) -> str:
    """The SHA-256 in hexadecimal."""
    return sha256(data).hexdigest()


def check_key(key: str) -> str:
    """The key as it is; raises BlobError for one that some store would read as another."""
    parts = key.split("/")
    if not key or any(part in ("", ".", "..") for part in parts) or any(ord(letter) < 0x20 for letter in key):
        raise BlobError(f"key {key!r}: give path segments without leading slash, '.', '..' or control characters")
    return key


__all__ = ["Blob", "BlobError", "Blobs", "Corrupt", "NoSuchBlob", "Stored", "check_key", "digest"]
