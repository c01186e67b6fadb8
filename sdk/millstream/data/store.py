"""Where files are: finds them below S3 URIs and local paths, with the addresses and keys that a job's pods get."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from millstream.data.errors import DataError

SUFFIXES = (".parquet", ".pq", ".arrow", ".feather", ".ipc")
TRIES = 5
FIRST_WAIT_S = 0.25
HOPELESS = (FileNotFoundError, PermissionError, IsADirectoryError, pa.ArrowInvalid)

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """A file system of one kind. `root` is how it names what the user named."""

    files: fs.FileSystem
    root: str
    uri: str
    is_local: bool

    def find(self) -> list[tuple[str, int]]:
        """(path, bytes) of the data files, in the order of their names. Raises DataError for none."""
        try:
            found = patiently(self._list, self.uri)
        except DataError as error:
            raise DataError(f"{error}; {_REMEDY}") from error
        if not found:
            raise DataError(f"{self.uri}: no file ends with {', '.join(SUFFIXES)} here; {_REMEDY}")
        return found

    def _list(self) -> list[tuple[str, int]]:
        info = self.files.get_file_info(self.root)
        if info.type == fs.FileType.File:
            return [(info.path, info.size)]
        if info.type == fs.FileType.NotFound:
            raise FileNotFoundError("there is nothing")
        below = self.files.get_file_info(fs.FileSelector(self.root, recursive=True))
        return sorted((one.path, one.size) for one in below if one.type == fs.FileType.File and _is_data(one.path))

    def open(self, path: str) -> Any:
        return self.files.open_input_file(path)


_REMEDY = "check the URI, the keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and AWS_ENDPOINT_URL"


def stores(uris: str | os.PathLike[str] | Sequence[str], environ: Mapping[str, str] = os.environ) -> list[Store]:
    """One for each URI: s3://bucket/path, file:///path or a path, each a file or a folder."""
    named = [uris] if isinstance(uris, str | os.PathLike) else list(uris)
    return [_store(os.fspath(uri), environ) for uri in named]


def patiently(act: Callable[[], T], what: str) -> T:
    """Tries again what a network may have broken; what cannot get better is told at once."""
    for tried in range(TRIES):
        try:
            return act()
        except HOPELESS as error:
            raise DataError(f"{what}: {_words(error)}") from error
        except OSError as error:
            if _denied(error) or tried == TRIES - 1:
                raise DataError(f"{what}: {_words(error)}") from error
            time.sleep(FIRST_WAIT_S * 2**tried)
    raise AssertionError("the last try returns or raises")


def _denied(error: OSError) -> bool:
    return any(
        word in str(error)
        for word in ("ACCESS_DENIED", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NO_SUCH_BUCKET")
    )


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _store(uri: str, environ: Mapping[str, str]) -> Store:
    where = urlsplit(uri)
    if where.scheme == "s3":
        path = f"{where.netloc}/{unquote(where.path).strip('/')}".rstrip("/")
        return Store(_s3(environ), path, uri, is_local=False)
    if where.scheme in ("", "file"):
        path = os.path.abspath(unquote(where.path) if where.scheme else uri)  # noqa: PTH100 - no link is resolved
        return Store(fs.LocalFileSystem(use_mmap=True), path, uri, is_local=True)
    raise DataError(f"{uri}: data is read from s3://bucket/path or a local path; copy it to one of them")


def _s3(environ: Mapping[str, str]) -> fs.S3FileSystem:
    where = urlsplit(environ.get("AWS_ENDPOINT_URL") or "")
    own = {"endpoint_override": where.netloc, "scheme": where.scheme} if where.netloc else {}
    return fs.S3FileSystem(
        access_key=environ.get("AWS_ACCESS_KEY_ID"),
        secret_key=environ.get("AWS_SECRET_ACCESS_KEY"),
        session_token=environ.get("AWS_SESSION_TOKEN"),
        region=environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or "us-east-1",
        connect_timeout=10,
        request_timeout=60,
        **own,
    )


def _is_data(path: str) -> bool:
    words = path.split("/")
    return path.endswith(SUFFIXES) and not words[-1].startswith(("_", "."))
