"""Brings a model from its URI to local disk, with limits on size and count; it knows storage, not model formats.

Accepted: `s3://bucket/prefix` (endpoint and keys from the AWS_* environment), `http(s)://...`, `file:///path` and plain
paths, which are used where they lie (a mounted claim is one).
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from services.serving.workloads.model_server.failure import (
    BAD_ARGUMENTS,
    DOWNLOAD_FAILED,
    MODEL_NOT_FOUND,
    MODEL_TOO_LARGE,
    StartFailure,
)

MAX_FILES = 10_000
CHUNK_BYTES = 1 << 20


def fetch(uri: str, into: Path, environ: Mapping[str, str], max_bytes: int) -> Path:
    """The file or folder that holds the model; raises StartFailure with the URI and what was wrong with it."""
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme == "s3":
        return _from_s3(uri, into, environ, max_bytes)
    if parts.scheme in ("http", "https"):
        return _from_http(uri, into, max_bytes)
    if parts.scheme in ("", "file"):
        return _in_place(urllib.parse.unquote(parts.path) if parts.scheme else uri)
    raise StartFailure(BAD_ARGUMENTS, f"{uri}: the scheme {parts.scheme} is not supported")


def _in_place(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise StartFailure(MODEL_NOT_FOUND, f"{path} does not exist")
    return path


def _from_http(uri: str, into: Path, max_bytes: int) -> Path:
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(uri).path)).name or "model"
    request = urllib.request.Request(uri, headers={"User-Agent": "millstream-model-server"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer, (into / name).open("wb") as file:
            copied = _copy(answer, file, max_bytes, uri)
            expected = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        reason = MODEL_NOT_FOUND if error.code in (404, 410) else DOWNLOAD_FAILED
        raise StartFailure(reason, f"{uri}: HTTP {error.code} {error.reason}") from error
    except (OSError, ValueError) as error:
        raise StartFailure(DOWNLOAD_FAILED, f"{uri}: {getattr(error, 'reason', error)}") from error
    if expected is not None and int(expected) != copied:
        raise StartFailure(DOWNLOAD_FAILED, f"{uri}: {copied} of {expected} bytes arrived")
    return into / name


def _copy(source: BinaryIO, target: BinaryIO, max_bytes: int, uri: str) -> int:
    copied = 0
    while chunk := source.read(CHUNK_BYTES):
        copied += len(chunk)
        if copied > max_bytes:
            raise StartFailure(MODEL_TOO_LARGE, f"{uri} is larger than {max_bytes} bytes")
        target.write(chunk)
    return copied


def _from_s3(uri: str, into: Path, environ: Mapping[str, str], max_bytes: int) -> Path:
    from services.serving.workloads.model_server.bucket import Bucket

    bucket = Bucket.of(uri, environ)
    objects = bucket.objects(limit=MAX_FILES + 1)
    if not objects:
        raise StartFailure(MODEL_NOT_FOUND, f"{uri} has no object")
    total = sum(size for _, size in objects)
    if len(objects) > MAX_FILES or total > max_bytes:
        raise StartFailure(MODEL_TOO_LARGE, f"{uri}: {len(objects)} objects, {total} bytes, allowed {max_bytes}")
    if total > shutil.disk_usage(into).free:
        raise StartFailure(MODEL_TOO_LARGE, f"{uri}: {total} bytes do not fit on this disk")
    for key, size in objects:
        target = _safe_target(into, bucket.relative(key), uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        bucket.download(key, target)
        if target.stat().st_size != size:
            raise StartFailure(DOWNLOAD_FAILED, f"{uri}: {target.stat().st_size} of {size} bytes of {key} arrived")
    return _safe_target(into, bucket.relative(objects[0][0]), uri) if bucket.is_one_file(objects) else into


def _safe_target(into: Path, relative: str, uri: str) -> Path:
    target = (into / relative).resolve()
    if not target.is_relative_to(into.resolve()) or target == into.resolve():
        raise StartFailure(DOWNLOAD_FAILED, f"{uri}: the object name {relative!r} leaves the model folder")
    return target
