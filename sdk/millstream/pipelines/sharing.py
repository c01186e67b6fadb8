"""Takes kept results from one platform to another, at once or by way of an archive; sends only what is not there yet.

The platforms need not see one another: this program reads from the one and writes to the other. What it sends is
checked by who gets it. Interrupted, it is simply started again.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote

from millstream.errors import ClientError, NotThere

API = "/pipelines/v1/cache"
PART_BYTES = 8 * 2**20
LONG_S = 900.0
"""How long a platform may take to put a large object together."""
RESULT_MAX = 16 * 2**20
RESULT, OBJECT = re.compile(r"results/([0-9a-f]{64})\.json"), re.compile(r"objects/([0-9a-f]{64})")
Json = dict[str, Any]


class Asks(Protocol):
    """The part of millstream.client.Client that is used here."""

    @property
    def http(self) -> Any: ...

    def request(self, method: str, path: str, **options: Any) -> Any: ...


@dataclass
class Tally:
    """What became of the results; `gone` are those whose bytes are no longer where they were made."""

    sent: int = 0
    known: int = 0
    size: int = 0
    gone: list[str] = field(default_factory=list)


def results(source: Asks, namespace: str, run_id: str, platform: str) -> Iterator[Json]:
    """What is kept of a namespace, or of one run's tasks; `platform` is what this one is called elsewhere."""
    token = ""
    while True:
        query = {"namespace": namespace, "run_id": run_id, "page_token": token}
        page = source.request("GET", f"{API}/entries", params=query).json()
        for each in page["entries"]:
            each["origin"] = {"platform": platform, **each["origin"]}
            yield each
        token = page["next_page_token"]
        if not token:
            return


def push(source: Asks, namespace: str, run_id: str, platform: str, target: Asks, to_namespace: str) -> Tally:
    """From platform to platform."""
    tally = Tally()
    for result in results(source, namespace, run_id, platform):
        if not _wanted(target, to_namespace, result):
            tally.known += 1
            continue
        try:
            for file, held in _files(source, namespace, result):
                tally.size += _send(target, to_namespace, file["sha256"], held)
        except NotThere:
            tally.gone.append(result["task"])
            continue
        _keep(target, to_namespace, result, tally)
    return tally


def export(source: Asks, namespace: str, run_id: str, platform: str, archive: Path) -> Tally:
    """Into a tar archive, which appears when it is whole."""
    tally, beside = Tally(), archive.with_name(f".{archive.name}.part")
    with tarfile.open(beside, "w") as packed:
        for result in results(source, namespace, run_id, platform):
            with tempfile.TemporaryDirectory(prefix="millstream-export-") as folder:
                try:
                    held = _gathered(source, namespace, result, Path(folder))
                except NotThere:
                    tally.gone.append(result["task"])
                    continue
                body = json.dumps(result).encode()
                name = tarfile.TarInfo(f"results/{result['key'].removeprefix('sha256:')}.json")
                name.size = len(body)
                packed.addfile(name, io.BytesIO(body))
                for digest, path in held.items():
                    packed.add(path, f"objects/{digest}")
                    tally.size += path.stat().st_size
            tally.sent += 1
    beside.replace(archive)
    return tally


def bring(archive: Path, target: Asks, namespace: str) -> Tally:
    """From an archive. Nothing of it is written to this machine, whatever it says that its files are called."""
    tally, pending = Tally(), None
    try:
        with tarfile.open(archive, "r:") as packed:
            for member in packed:
                opened = packed.extractfile(member) if member.isreg() else None
                result, object_ = RESULT.fullmatch(member.name), OBJECT.fullmatch(member.name)
                if opened is None or not (result or object_):
                    raise ClientError(f"{archive}: {member.name!r} is none of an export's files: export it again")
                if result:
                    _keep(target, namespace, pending, tally)
                    pending = _offered(member, opened, target, namespace, tally)
                elif object_ and pending is not None:
                    tally.size += _send(target, namespace, object_[1], opened)
            _keep(target, namespace, pending, tally)
    except (tarfile.TarError, ValueError, KeyError, OSError) as error:
        raise ClientError(f"{archive} is no export of `millstream pipeline cache-export`: {error}") from error
    return tally


def _offered(member: tarfile.TarInfo, opened: IO[bytes], target: Asks, namespace: str, tally: Tally) -> Json | None:
    """The result if it is wanted."""
    if member.size > RESULT_MAX:
        raise ClientError(f"{member.name} has {member.size} bytes: no result has more than {RESULT_MAX}")
    result: Json = json.loads(opened.read())
    if _wanted(target, namespace, result):
        return result
    tally.known += 1
    return None


def _wanted(target: Asks, namespace: str, result: Mapping[str, Any]) -> bool:
    body = {"keys": [result["key"]]}
    answer = target.request("POST", f"{API}/offers", params={"namespace": namespace}, json=body).json()
    return bool(answer["wanted"])


def _keep(target: Asks, namespace: str, result: Json | None, tally: Tally) -> None:
    if result is None:
        return
    query = {"namespace": namespace}
    added = target.request("POST", f"{API}/entries", params=query, json=result, timeout=LONG_S).json()["added"]
    tally.sent, tally.known = tally.sent + added, tally.known + (not added)


def _gathered(source: Asks, namespace: str, result: Json, folder: Path) -> dict[str, Path]:
    """All objects of a result by their digests."""
    found: dict[str, Path] = {}
    for file, held in _files(source, namespace, result):
        found[file["sha256"]] = path = folder / file["sha256"]
        with path.open("wb") as copy:
            while chunk := held.read(PART_BYTES):
                copy.write(chunk)
    return found


def _files(source: Asks, namespace: str, result: Json) -> Iterator[tuple[Json, IO[bytes]]]:
    """Every file of a result and its bytes, from their start; one whose digest nobody knew has it afterwards."""
    for output, many in result["outputs"]["artifacts"].items():
        for place, artifact in enumerate(many):
            for file in artifact.get("files") or ():
                query = {"namespace": namespace, "output": output, "place": str(place), "path": file["path"]}
                path = f"{API}/entries/{quote(result['key'])}/content"
                with tempfile.SpooledTemporaryFile(max_size=PART_BYTES) as held:
                    digest = _fetch(source, path, query, held)
                    if file.setdefault("sha256", digest) != digest:
                        raise NotThere(f"output {output!r} of {result['task']} changed in the bucket", 404)
                    held.seek(0)
                    yield file, held  # type: ignore[misc]


def _fetch(source: Asks, path: str, query: Mapping[str, str], sink: Any) -> str:
    from millstream.client import raise_for_status

    digest = sha256()
    with source.http.stream("GET", path, params=query, timeout=LONG_S) as answer:
        raise_for_status(answer)
        for chunk in answer.iter_bytes(2**20):
            digest.update(chunk)
            sink.write(chunk)
    return digest.hexdigest()


def _send(target: Asks, namespace: str, digest: str, held: IO[bytes]) -> int:
    """In parts; those that came before an interruption are not sent again. Its size."""
    query, path = {"namespace": namespace}, f"{API}/objects/{digest}"
    total, number, there = 0, 0, None
    while (chunk := held.read(PART_BYTES)) or not number:
        if there is None and len(chunk) == PART_BYTES:
            told = target.request("GET", path, params=query).json()["parts"]
            there = {one["number"]: int(one["size"]) for one in told}
        if (there or {}).get(number) != len(chunk):
            target.request("PUT", f"{path}/{number}", params=query, content=chunk, timeout=LONG_S)
        total, number = total + len(chunk), number + 1
    return total
