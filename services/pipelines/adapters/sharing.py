"""Kept results for other platforms, and those of others for here: rows of the cache, and their bytes in the bucket.

Bytes come in parts that may be sent again. An object appears at its place when it is whole and its digest was seen to
be right, a row when all its objects are there: who is killed half-way does the rest by doing it again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from contracts.events.pipelines.v1 import ResultImported
from contracts.messages import Event
from libs.base import Clock, milliseconds
from libs.base.errors import BadRequest, NotFound
from libs.blobs import BlobError, Blobs, NoSuchBlob
from libs.store import Reader, Store, UnitOfWork, brief
from services.pipelines.adapters.keyed import rows_for
from services.pipelines.adapters.ledger import PUT_ARTIFACT, PUT_CACHE
from services.pipelines.adapters.live import load
from services.pipelines.adapters.presence import Presence
from services.pipelines.adapters.settling import kept_under
from services.pipelines.adapters.specs import Specs
from services.pipelines.domain.cache import FORM
from services.pipelines.domain.engine.records import Artifact, Kind, Outputs, State, TaskRecord
from services.pipelines.domain.sharing import Brought, Carried, File, brought, walked

Say = Callable[[Event], None]
COLUMNS = "key, pipeline, task, run_id, task_uid, outputs, parts, created_ms"
PAGE = f"SELECT {COLUMNS} FROM pipeline_cache WHERE namespace = ?1 AND key > ?2 ORDER BY key LIMIT ?3"
OF_KEYS = f"SELECT {COLUMNS} FROM pipeline_cache WHERE namespace = ?1 AND key IN ({{keys}})"
MANY = "SELECT key, outputs FROM pipeline_cache WHERE namespace = ?1 AND key IN ({keys})"
ONE = brief("SELECT outputs FROM pipeline_cache WHERE namespace = ?1 AND key = ?2")
ENTRIES_MAX = 200
INCOMING = ".incoming"
"""Below it, in each namespace's part of the bucket, lie parts of what is being brought."""


class SharedCache:
    """The Sharing port. `blobs` reads and writes `bucket`; `saying` is a transaction's outbox."""

    def __init__(
        self, store: Store, specs: Specs, blobs: Blobs, bucket: str, clock: Clock, saying: Callable[[UnitOfWork], Say]
    ) -> None:
        self._store, self._specs, self._blobs, self._bucket = store, specs, blobs, bucket
        self._clock, self._saying = clock, saying
        self._home = f"s3://{bucket}/pipelines"

    async def entries(self, namespace: str, run_id: str, after: str) -> tuple[Sequence[dict[str, Any]], str]:
        """A page of what is kept, of one run's steps alone where one is named (also what those took from the cache, and
        what a later run made again), and where the next page begins ("" at the end)."""
        async with self._store.read() as reader:
            if run_id:
                keys = [key for key in await self._keys(reader, run_id) if key > after][:ENTRIES_MAX]
                rows = sorted(await rows_for(reader, OF_KEYS, keys, namespace))
            else:
                rows = await reader.rows(PAGE, namespace, after, ENTRIES_MAX)
                keys = [str(row[0]) for row in rows]
        return [await self._told(row, namespace) for row in rows], keys[-1] if len(keys) == ENTRIES_MAX else ""

    async def _keys(self, reader: Reader, run_id: str) -> list[str]:
        """Under which the results of a run's steps are kept, in order."""
        live = await load(reader, self._specs, run_id)
        if live is None:
            return []
        made = [kept_under(live, record, {}) for record in live.stored.values() if _is_kept(record)]
        return sorted({one.key for one in made if one is not None})

    async def content(self, namespace: str, key: str, output: str, place: int, path: str) -> AsyncIterator[bytes]:
        """The bytes of one file of a kept result, chunk by chunk. Raises NotFound before the first of them."""
        async with self._store.read() as reader:
            found = await reader.rows(ONE, namespace, key)
        many = Outputs.from_json(json.loads(found[0][0])).artifacts.get(output, ()) if found else ()
        at = self._key(many[place].uri) if 0 <= place < len(many) else ""
        whole = f"{at}/{path}" if at and path else at
        blob = await self._blobs.stat(whole) if whole and ".." not in path.split("/") else None
        if blob is None:
            raise NotFound(f"nothing lies at {path!r} of output {output!r} of {key}")
        return self._blobs.chunks(whole, blob.size)

    async def wanted(self, namespace: str, keys: Sequence[str]) -> list[str]:
        """Those that are not kept here yet, or whose bytes are lost."""
        seen = Presence(self._blobs, self._bucket, self._clock)
        async with self._store.read() as reader:
            known = dict(await rows_for(reader, MANY, keys, namespace))
        return [
            key for key in dict.fromkeys(keys)
            if key not in known or await seen.lost(Outputs.from_json(json.loads(known[key])))
        ]  # fmt: skip

    async def parts(self, namespace: str, digest: str) -> Mapping[int, int]:
        """The sizes of the parts of an object that have come so far."""
        found = await self._blobs.list(self._part(namespace, digest, ""))
        return {int(each.key.rpartition("/")[2]): each.size for each in found}

    async def put_part(self, namespace: str, digest: str, number: int, data: bytes) -> None:
        await self._blobs.put(self._part(namespace, digest, f"{number:06d}"), data)

    async def keep(self, namespace: str, told: Mapping[str, Any]) -> tuple[Brought, bool]:
        """What came, and whether it was news. Raises BadRequest for what cannot be believed or is not there yet."""
        found = brought(told, namespace, self._bucket)
        if not await self.wanted(namespace, [found.key]):
            return found, False
        for carried in (one for many in found.artifacts.values() for one in many):
            for file in carried.files:
                await self._place(namespace, found, carried, file)
        async with self._store.write() as uow:
            await self._write(uow, namespace, found)
        for carried in (one for many in found.artifacts.values() for one in many):
            for file in carried.files:
                await self._clear(namespace, file)
        return found, True

    async def _told(self, row: Sequence[Any], namespace: str) -> dict[str, Any]:
        key, pipeline, task, run_id, uid, outputs, parts, ms = row
        body = json.loads(outputs)
        made = Outputs.from_json(body)
        artifacts = {name: [await self._shown(one) for one in many] for name, many in made.artifacts.items()}
        origin = {"namespace": namespace, "run_id": run_id, "task_id": uid}
        return {
            "form": FORM, "key": key, "parts": json.loads(parts), "pipeline": pipeline, "task": task,
            "outputs": {"parameters": dict(made.parameters), "artifacts": artifacts},
            "origin": body.get("origin") or origin, "created_ms": ms,
        }  # fmt: skip

    async def _shown(self, artifact: Artifact) -> dict[str, Any]:
        """Files that are one object have their digest; who reads those of a folder makes them."""
        told, key = {**artifact.to_json(), "id": ""}, self._key(artifact.uri)
        if not key:
            return told
        told["uri"] = ""
        if artifact.digest.startswith("sha256:"):
            told["files"] = [{"path": "", "size": artifact.size, "sha256": artifact.digest.partition(":")[2]}]
        elif artifact.digest:
            below = [(each.key[len(key) + 1 :], each.size) for each in await self._blobs.list(f"{key}/")]
            told["files"] = [
                {"path": path, "size": size} for path, size in sorted(below, key=lambda one: walked(one[0]))
            ]
        return told

    async def _place(self, namespace: str, found: Brought, carried: Carried, file: File) -> None:
        """One object at its place, once its bytes are seen to be those that were told of."""
        uri = found.uri(self._home, namespace, carried)
        key = self._key(f"{uri}/{file.path}" if file.path else uri)
        there = await self._blobs.stat(key)
        if there is not None and there.size == file.size:
            return
        with tempfile.NamedTemporaryFile(prefix="brought-") as held:
            digest, size = sha256(), 0
            for number in sorted(await self.parts(namespace, file.sha256)):
                data = await self._read(namespace, file, number)
                digest.update(data)
                size += len(data)
                held.write(data)
            held.flush()
            if (digest.hexdigest(), size) != (file.sha256, file.size):
                await self._clear(namespace, file)
                raise BadRequest(
                    f"files: {size} bytes have come of {file.sha256}, and they are not the {file.size} that it has: "
                    "send its parts again"
                )
            await self._blobs.put(key, Path(held.name))

    async def _read(self, namespace: str, file: File, number: int) -> bytes:
        try:
            return await self._blobs.read(self._part(namespace, file.sha256, f"{number:06d}"))
        except NoSuchBlob:
            raise BadRequest(f"files: part {number} of {file.sha256} went meanwhile: send it again") from None

    async def _clear(self, namespace: str, file: File) -> None:
        """Parts that stay are in nobody's way."""
        try:
            for number in await self.parts(namespace, file.sha256):
                await self._blobs.delete(self._part(namespace, file.sha256, f"{number:06d}"))
        except BlobError:
            return

    async def _write(self, uow: UnitOfWork, namespace: str, found: Brought) -> None:
        now, uid = milliseconds(self._clock.now()), found.uid(namespace)
        kept: dict[str, list[dict[str, Any]]] = {}
        for name, many in found.artifacts.items():
            for place, carried in enumerate(many):
                id, one = found.artifact_id(namespace, name, place), carried.artifact
                uri = one.uri or found.uri(self._home, namespace, carried)
                kept.setdefault(name, []).append({**one.to_json(), "uri": uri, "id": id})
                about = (id, namespace, "", uid, one.name, one.schema_title, uri, one.digest, one.size)
                await uow.later(PUT_ARTIFACT, *about, json.dumps(dict(one.metadata)), now)
        outputs = {"parameters": dict(found.parameters), "artifacts": kept, "origin": dict(found.origin)}
        told = (json.dumps(outputs), json.dumps(dict(found.parts)), now)
        await uow.later(PUT_CACHE, namespace, found.key, found.pipeline, found.task, "", uid, *told)
        where = {"platform": found.origin["platform"], "run": found.origin["run_id"]}
        said = ResultImported(namespace=namespace, key=found.key, pipeline=found.pipeline, task=found.task, **where)
        self._saying(uow)(said)

    def _key(self, uri: str) -> str:
        """Empty for what does not lie below the platform's own place for outputs."""
        return uri.removeprefix(f"s3://{self._bucket}/") if uri.startswith(f"{self._home}/") else ""

    def _part(self, namespace: str, digest: str, number: str) -> str:
        return f"pipelines/{namespace}/{INCOMING}/{digest}/{number}"


def _is_kept(record: TaskRecord) -> bool:
    return record.kind is Kind.STEP and record.state is State.SUCCEEDED
