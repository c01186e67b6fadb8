"""Bytes between the pod and the bucket, by URLs that the door has signed, with their digests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

from .door import Door, Slice, Wire
from .places import Places, parent_of

CHUNK_BYTES = 1 << 20


FILES_MAX = 10_000
"""Of one artifact that is a folder: what reads it gets a URL for each."""


class Unstorable(Exception):
    """A folder that the bucket cannot hold, or nobody could read back."""


class Damaged(Exception):
    """An input's bytes are not those that its producer had stored."""

    def __init__(self, name: str, uri: str) -> None:
        super().__init__(f"input {name!r} at {uri} is not what was stored: its digest differs")
        self.uri = uri


class Hashed:
    """A binary file that is written from its start, perhaps more than once, and what its bytes hash to: they are not
    read again for it."""

    def __init__(self, file: Any) -> None:
        self._file, self._found = file, hashlib.sha256()

    def seek(self, at: int) -> None:
        self._found = hashlib.sha256()
        self._file.seek(at)

    def truncate(self) -> None:
        self._file.truncate()

    def write(self, chunk: bytes) -> None:
        self._found.update(chunk)
        self._file.write(chunk)

    @property
    def digest(self) -> str:
        return self._found.hexdigest()


def fetch(wire: Wire, places: Places, inputs: list[dict[str, Any]]) -> None:
    """Every input's objects at the paths where the step looks for them. What is kept for all steps of the run is
    brought by the first that wants it, and nobody sees half of it. Raises Damaged."""
    for given in inputs:
        brought: dict[str, str] = {}
        folder = places.file(given["folder"]) if given.get("folder") else ""
        if folder:  # also one in which nothing lies
            os.makedirs(folder, exist_ok=True)
        for each in given["objects"]:
            path = parent_of(places.file(each["path"]))
            if given.get("kept"):
                if not os.path.exists(path):
                    own = f"{path}.{os.urandom(6).hex()}"
                    brought[path] = _bring(wire, each["url"], own)
                    os.replace(own, path)
            else:
                brought[path] = _bring(wire, each["url"], path)
        if not _is_whole(brought, given.get("digest") or "", folder):
            raise Damaged(given["name"], given["uri"])


def _bring(wire: Wire, url: str, path: str) -> str:
    """The SHA-256 of what came."""
    with open(path, "w+b") as file:
        sink = Hashed(file)
        wire.ask("GET", url, sink=sink)
    return sink.digest


def _is_whole(brought: dict[str, str], wanted: str, folder: str) -> bool:
    """Whether what came is what was stored, as far as its digest is known."""
    kind, _, digest = wanted.partition(":")
    if kind == "sha256-tree" and folder:
        return tree_digest((name, brought.get(f"{folder}/{name}", "")) for name in files_below(folder)) == digest
    return kind != "sha256" or all(found == digest for found in brought.values())


def tree_digest(files: Iterable[tuple[str, str]]) -> str:
    """Of a folder: that of its files' names, in the order of `files_below`, and digests."""
    whole = hashlib.sha256()
    for name, digest in files:
        whole.update(f"{digest}  {name}\n".encode())
    return whole.hexdigest()


def digest_of(path: str) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and the size in bytes."""
    found, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
            size += len(chunk)
    return found.hexdigest(), size


def files_below(folder: str) -> Iterator[str]:
    """Relative paths of all files in a folder, in order; links to folders are not followed."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, folder).replace(os.sep, "/")


def mark(path: str) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds: what differs after a write."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def described(path: str, uri: str) -> tuple[dict[str, Any], list[tuple[str, str, tuple[int, int]]]]:
    """What is told of the bytes at a path, and (file, URI, mark) of each file to be stored; nothing where nothing is.

    A folder's digest is that of its files' names and digests, marked as such: its bytes lie in many objects. Raises
    Unstorable.
    """
    if os.path.isfile(path):
        seen = mark(path)
        digest, size = digest_of(path)
        return {"digest": f"sha256:{digest}", "size": size, "files": 1}, [(path, uri, seen)]
    if not os.path.isdir(path):
        return {}, []
    total, stored, digests = 0, [], []
    names = list(files_below(path))
    _check(names)
    for name in names:
        file = os.path.join(path, name)
        seen = mark(file)
        digest, size = digest_of(file)
        digests.append((name, digest))
        total += size
        stored.append((file, f"{uri}/{name}", seen))
    return {"digest": f"sha256-tree:{tree_digest(digests)}", "size": total, "files": len(stored)}, stored


def _check(names: list[str]) -> None:
    if len(names) > FILES_MAX:
        raise Unstorable(f"holds {len(names)} files, at most {FILES_MAX} are taken: pack them into one")
    for name in names:
        if any(ord(letter) < 32 or "\ud800" <= letter <= "\udfff" for letter in name):
            raise Unstorable(f"holds a file called {name!a}, and no bucket takes that name: rename it")


def store(wire: Wire, url: str, path: str) -> None:
    with open(path, "rb") as file:
        wire.ask("PUT", url, body=file)


def store_large(wire: Wire, door: Door, uri: str, path: str) -> None:
    """What is too large for one request, in parts; the door makes the object of them."""
    size, upload = os.path.getsize(path), ""
    etags: list[str] = []
    with open(path, "rb") as file:
        while True:
            asked = {"uri": uri, "size": size, "upload": upload, "first": len(etags) + 1}
            told = door.tell("parts", asked)
            if not told["urls"]:
                break
            upload, each = told["upload"], told["bytes"]
            for url in told["urls"]:
                start = len(etags) * each
                wire.ask("PUT", url, body=Slice(file, start, min(each, size - start)))
                etags.append(wire.etag)
    door.tell("whole", {"uri": uri, "upload": upload, "etags": etags})
