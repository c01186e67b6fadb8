"""The one YAML file in an uploaded package (.yaml, .zip, .tar.gz); writes nothing to disk and believes no header.

Archives come from strangers: what they unpack to is counted while it is read, names that lead elsewhere are refused.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO

from libs.base.errors import BadRequest, TooLarge

TEXT_MAX = 16 * 2**20
"""Bytes of YAML; KFP's largest compiled pipelines have about one million."""
ENTRIES_MAX = 1000
PREFERRED = "pipeline.yaml"
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"


def text_of(package: bytes) -> str:
    """The YAML inside, whatever the file was called. Raises BadRequest, or TooLarge for a bomb."""
    try:
        if package.startswith(_ZIP):
            data = _from_zip(package)
        elif package.startswith(_GZIP):
            data = _from_tar(package)
        else:
            data = _bounded(io.BytesIO(package), "the file")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise BadRequest(f"uploadfile: the archive is damaged: {error}") from None
    except RuntimeError as error:  # what zipfile says of a password
        raise BadRequest(f"uploadfile: the archive cannot be read: {error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"uploadfile: not a text in UTF-8, a .zip or a .tar.gz ({error.reason})") from None


def _from_zip(package: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        entries = archive.infolist()
        _check_count(len(entries))
        names = [entry.filename for entry in entries if not entry.is_dir()]
        for name in names:
            _check_name(name)
        chosen = _chosen(names)
        with archive.open(chosen) as file:
            return _bounded(file, chosen)


def _from_tar(package: bytes) -> bytes:
    """Goes through the archive once: a tar has no list of its files, and each of them could be the bomb."""
    found: dict[str, bytes] = {}
    unpacked = io.BufferedReader(_Counted(package))
    with tarfile.open(fileobj=unpacked, mode="r|") as archive:
        for count, entry in enumerate(archive, start=1):
            _check_count(count)
            _check_name(entry.name)
            if entry.isdir():
                continue
            if not entry.isfile():
                raise BadRequest(f"uploadfile: {entry.name!r} in the archive is a link or a device: pack plain files")
            file = archive.extractfile(entry)
            if file is not None and entry.name.endswith((".yaml", ".yml")):
                found[entry.name] = _bounded(file, entry.name)
    return found[_chosen(list(found))]


class _Counted(io.RawIOBase):
    """What a gzip file unpacks to, until it is too much."""

    def __init__(self, package: bytes) -> None:
        import gzip

        self._file, self._left = gzip.GzipFile(fileobj=io.BytesIO(package)), 2 * TEXT_MAX

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        assert isinstance(buffer, memoryview)
        data = self._file.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge(f"uploadfile: the archive unpacks to more than {2 * TEXT_MAX} bytes")
        buffer[: len(data)] = data
        return len(data)


def _check_count(entries: int) -> None:
    if entries > ENTRIES_MAX:
        raise TooLarge(f"uploadfile: the archive holds more than {ENTRIES_MAX} files: pack the compiled pipeline alone")


def _check_name(name: str) -> None:
    """Nothing is written to disk; but who packs such names means harm, or packed the wrong folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\x00" in name:
        raise BadRequest(f"uploadfile: {name!r} in the archive leads out of it: pack with relative names")


def _chosen(names: list[str]) -> str:
    """As kfp.Client chooses: pipeline.yaml, else the only YAML file."""
    yamls = [name for name in names if name.endswith((".yaml", ".yml"))]
    if PREFERRED in yamls:
        return PREFERRED
    if len(yamls) != 1:
        told = "no YAML file" if not yamls else f"{len(yamls)} YAML files"
        raise BadRequest(f"uploadfile: the archive holds {told}: pack one, or name the pipeline's {PREFERRED}")
    return yamls[0]


def _bounded(file: IO[bytes], name: str) -> bytes:
    data = file.read(TEXT_MAX + 1)
    if len(data) > TEXT_MAX:
        raise TooLarge(f"uploadfile: {name} has more than {TEXT_MAX} bytes")
    return data
