"""Unpacks an archive that nobody vouches for: nothing lands outside, nothing but files and folders, not without end.

Sizes are counted as they are written, since what an archive says of itself may be a lie.
"""

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from services.trainer.workloads.failure import Failure

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
RATIO_MAX = 200
"""How much larger than its archive a tree may be; text packs about tenfold, a bomb a thousandfold."""
ALWAYS_ALLOWED_BYTES = 1 << 28
FILES_MAX = 1_000_000
CHUNK_BYTES = 1 << 20


@dataclass
class Budget:
    """What may still be written. `uri` is for the message."""

    uri: str
    bytes_left: int
    files_left: int = FILES_MAX

    def spend(self, size: int) -> None:
        self.bytes_left -= size
        if self.bytes_left < 0:
            remedy = "if it is meant to be that large, set UNPACKED_BYTES_MAX in the initializer's env"
            raise Failure(self.uri, "the archive unpacks to more than is allowed", remedy)

    def take_file(self) -> None:
        self.files_left -= 1
        if self.files_left < 0:
            raise Failure(self.uri, f"the archive has more than {FILES_MAX} files", "pack fewer, larger files")


def is_archive(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def budget(uri: str, archive: Path, given: str | None) -> Budget:
    """`given` is the user's own limit in bytes."""
    if given and not given.isdigit():
        raise Failure(uri, f"UNPACKED_BYTES_MAX {given!r} is no number of bytes", "give a whole number")
    return Budget(uri, int(given) if given else max(ALWAYS_ALLOWED_BYTES, RATIO_MAX * archive.stat().st_size))


def unpack(archive: Path, into: Path, allowed: Budget) -> int:
    """The number of files written below `into`."""
    count = 0
    with _opened(archive, allowed.uri) as members:
        for name, content in members:
            place = _place(into, name, allowed.uri)
            allowed.take_file()
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                while chunk := content.read(CHUNK_BYTES):
                    allowed.spend(len(chunk))
                    file.write(chunk)
            count += 1
    return count


@contextmanager
def _opened(archive: Path, uri: str) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """(name, content) of each file; a broken archive is told as one, wherever it breaks."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                yield _zipped(packed, uri)
        else:
            with tarfile.open(archive) as tar:
                yield _tarred(tar, uri)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        wrong = f"the archive cannot be unpacked: {error or type(error).__name__}"
        raise Failure(uri, wrong, "pack it again as .tar.gz or .zip, without a password") from error


def _zipped(packed: zipfile.ZipFile, uri: str) -> Iterator[tuple[str, IO[bytes]]]:
    for entry in packed.infolist():
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _odd(uri, entry.filename)
        if not entry.is_dir():
            with packed.open(entry) as content:
                yield entry.filename, content


def _tarred(tar: tarfile.TarFile, uri: str) -> Iterator[tuple[str, IO[bytes]]]:
    for member in tar:
        if not (member.isreg() or member.isdir()):
            raise _odd(uri, member.name)
        content = tar.extractfile(member) if member.isreg() else None
        if content is not None:
            yield member.name, content


def _odd(uri: str, name: str) -> Failure:
    return Failure(
        uri, f"{name!r} in the archive is a link or a device", "pack the files themselves (tar --dereference)"
    )


def _place(into: Path, name: str, uri: str) -> Path:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts or ":" in path.parts[0]:
        raise Failure(uri, f"the name {name!r} in the archive leads out of the folder", "pack it with relative names")
    return into / path
