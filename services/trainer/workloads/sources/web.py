"""http(s)://...: one file, gone on with where a killed or broken download stopped, checked, and unpacked if packed.

`#sha256=<hex>` in the URI, or a digest header (Repr-Digest, Digest, X-Checksum-Sha256), is compared with what came.
`#unpack=false` keeps an archive as it is. ACCESS_TOKEN goes as a bearer token to the named host, with no redirect.
"""

import base64
import hashlib
import http.client
import json
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urldefrag, urlsplit

from services.trainer.workloads.failure import Transient, damaged, no_network, no_permission, no_such
from services.trainer.workloads.sources.again import patiently
from services.trainer.workloads.task import Task
from services.trainer.workloads.unpack import budget, is_archive, unpack

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 60
BUSY = (408, 425, 429)


def fetch(task: Task) -> None:
    url, fragment = urldefrag(task.uri)
    wishes = parse_qs(fragment)
    name = PurePosixPath(unquote(urlsplit(url).path)).name or "download"
    target = task.target(name)
    part = target.with_name(f".{target.name}.part")
    told = patiently(task, lambda: _download(task, url, part))
    _check(task, part, wishes.get("sha256", [""])[0].lower() or _digest(told))
    if is_archive(name) and wishes.get("unpack", ["true"])[0] != "false":
        task.meter.files = unpack(part, task.into, budget(task.uri, part, task.environ.get("UNPACKED_BYTES_MAX")))
        part.unlink()
    else:
        part.replace(target)
        task.meter.file_done()
    _note(part).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    """Which version of the file the part is of."""
    return part.with_name(f"{part.name}.json")


def _download(task: Task, url: str, part: Path) -> Mapping[str, str]:
    """The answer's headers, names in lower case, once the part file is whole."""
    known = _known(part)
    request = urllib.request.Request(
        url, headers={"User-Agent": "millstream-initializer", "Accept-Encoding": "identity"}
    )
    if task.environ.get("ACCESS_TOKEN"):
        request.add_unredirected_header("Authorization", f"Bearer {task.environ['ACCESS_TOKEN']}")
    if known:
        request.add_header("Range", f"bytes={part.stat().st_size}-")
        request.add_header("If-Range", known)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return _save(task, answer, part)
    except urllib.error.HTTPError as error:
        raise _refusal(task, error, part) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise _trouble(task, error) from error


def _save(task: Task, answer: Any, part: Path) -> Mapping[str, str]:
    told = {name.lower(): value for name, value in answer.headers.items()}
    start = part.stat().st_size if answer.status == 206 else 0
    if answer.status == 206 and not told.get("content-range", "").startswith(f"bytes {start}-"):
        part.unlink()
        raise Transient(f"asked from byte {start}, got {told.get('content-range')!r}")
    length = int(told["content-length"]) if told.get("content-length", "").isdigit() else None
    task.meter.expect(1, start + length if length is not None else 0)
    task.meter.bytes = start
    if start == 0:
        _note(part).write_text(json.dumps(told.get("etag") or told.get("last-modified") or ""))
    with part.open("ab" if start else "wb") as file:
        while chunk := answer.read(CHUNK_BYTES):
            file.write(chunk)
            task.meter.came(len(chunk))
    came = part.stat().st_size - start
    if length is not None and came != length:
        raise Transient(f"{came} of {length} bytes arrived")
    return told


def _known(part: Path) -> str:
    """The version that a part file is of, where going on is safe: a weak ETag does not promise the same bytes."""
    try:
        version = str(json.loads(_note(part).read_text()))
    except (OSError, ValueError):
        return ""
    return version if part.exists() and part.stat().st_size and not version.startswith("W/") else ""


def _digest(told: Mapping[str, str]) -> str:
    """SHA-256 in hexadecimal as a server may tell it of the whole file, else nothing."""
    found = re.search(r"sha-256=:?([A-Za-z0-9+/]{43}=)", told.get("repr-digest") or told.get("digest") or "", re.I)
    return base64.b64decode(found[1]).hex() if found else told.get("x-checksum-sha256", "").lower()


def _check(task: Task, part: Path, wanted: str) -> None:
    if not wanted:
        return
    with part.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != wanted:
        part.unlink()
        raise damaged(task.uri, f"its SHA-256 is {got} and should be {wanted}")


def _refusal(task: Task, error: urllib.error.HTTPError, part: Path) -> Exception:
    told = f"HTTP {error.code} {error.reason}"
    if error.code in (404, 410):
        return no_such(task.uri, told)
    if error.code in (401, 403):
        return no_permission(task.uri, told, "ACCESS_TOKEN")
    if error.code == 416:  # the file became shorter than what we have of it
        part.unlink(missing_ok=True)
    retry = error.code in (*BUSY, 416) or error.code >= 500
    return Transient(told) if retry else no_network(task.uri, told)


def _trouble(task: Task, error: Exception) -> Exception:
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.gaierror | ConnectionRefusedError | ssl.SSLCertVerificationError):
        return no_network(task.uri, str(reason))
    return Transient(f"{type(reason).__name__}: {reason}")
