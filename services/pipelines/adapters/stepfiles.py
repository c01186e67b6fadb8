"""Signed URLs for what a step reads and writes in the platform's bucket; the door to it is the step door alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.base.errors import BadRequest, Forbidden
from libs.blobs import BlobError, Blobs
from services.pipelines.adapters.making import Making
from services.pipelines.domain.steps.places import EMPTY, FILE, IN_WORKSPACE, is_tree, path_of
from services.pipelines.domain.steps.results import LOG, is_foreign
from services.pipelines.domain.steps.values import StepOrder

SINGLE_MAX = 4 * 2**30
"""Larger files come in parts: S3 takes at most 5 GiB at once."""
PART_BYTES, PARTS_MAX, PARTS_AT_ONCE = 512 * 2**20, 10_000, 16
FILES_MAX = 10_000
"""Of one artifact that is a folder."""
HERE = "pipelines/.here"
"""An object that is put so that the bucket exists before somebody with a signed URL writes to it."""


class SignedFiles:
    """The StepFiles port. `bucket` is the name of what `blobs` reads and writes, `making` knows who makes what."""

    def __init__(self, blobs: Blobs, bucket: str, making: Making, single_max: int = SINGLE_MAX) -> None:
        self._blobs, self._bucket, self._making, self._single_max = blobs, bucket, making, single_max
        self._is_there = False

    async def told(self, order: StepOrder) -> dict[str, Any]:
        if not self._is_there:
            await self._blobs.put(HERE, b"")
            self._is_there = True
        given = order.executor_input["inputs"]["artifacts"]
        inputs = [await self._input(order, name, one) for name, all_ in given.items() for one in all_["artifacts"]]
        log = f"{order.root}/{LOG}"
        return {
            "image": order.image,
            "command": list(order.command),
            "root": order.root,
            "bucket": self._bucket,
            "singleMax": self._single_max,
            "outputFile": order.executor_input["outputs"]["outputFile"],
            "inputs": inputs,
            "parameters": {
                name: {"type": order.parameters[name], "file": one["outputFile"]}
                for name, one in order.executor_input["outputs"]["parameters"].items()
            },
            "artifacts": [
                {"name": one.name, "uri": one.uri, "schemaTitle": one.schema_title, "url": self._put(one.uri)}
                for one in order.artifacts
            ],
            "log": {"uri": log, "url": self._put(log)},
        }

    def uploads(self, order: StepOrder, uris: Sequence[str]) -> dict[str, str]:
        return {uri: self._put(_own(order, uri)) for uri in uris}

    async def parts(self, order: StepOrder, uri: str, size: int, upload: str, first: int) -> dict[str, Any]:
        key, each = self._key(_own(order, uri)), max(PART_BYTES, -(-size // PARTS_MAX))
        if not 1 <= first <= PARTS_MAX or size <= 0:
            raise BadRequest(f"part {first} of {size} bytes: parts are numbered from 1 to {PARTS_MAX}")
        upload = upload or await self._blobs.begin_parts(key)
        last = min(first + PARTS_AT_ONCE, -(-size // each) + 1)
        urls = [self._blobs.presign_part(key, upload, number) for number in range(first, last)]
        return {"upload": upload, "bytes": each, "urls": urls}

    async def whole(self, order: StepOrder, uri: str, upload: str, etags: Sequence[str]) -> None:
        key = self._key(_own(order, uri))
        try:
            await self._blobs.end_parts(key, upload, etags)
        except BlobError as error:
            if await self._blobs.stat(key) is None:  # it was told before, and nobody heard the answer
                raise BadRequest(f"{uri} was not made whole: {error}") from error

    async def environment(self, order: StepOrder, name: str, *, made: bool, stored: bool) -> dict[str, Any]:
        if not name.isalnum() or len(name) > 64:
            raise BadRequest(f"{name!r} names no environment")
        key = f"pipelines/{order.namespace}/.environments/{name}.tar"
        if stored:
            await self._making.ended(key)
            return {}
        if made:
            return {"url": self._blobs.presign_put(key)}
        return await self._making.ask(key, f"{order.uid}/{order.attempt}")

    async def _input(self, order: StepOrder, name: str, artifact: dict[str, Any]) -> dict[str, Any]:
        uri, metadata = artifact["uri"], artifact["metadata"]
        digest, path = order.digests.get(uri, ""), path_of(uri, metadata)
        return {
            "name": name,
            "uri": uri,
            "objects": await self._objects(order, name, uri, path),
            "folder": path.rstrip("/") if is_tree(digest) else "",
            "kept": metadata.get(IN_WORKSPACE) is True,
            "digest": digest,
        }

    async def _objects(self, order: StepOrder, name: str, uri: str, path: str) -> list[dict[str, str]]:
        """What lies at the URI now: one object, or all below it. A store elsewhere is none of ours."""
        if not uri.startswith(f"s3://{self._bucket}/"):
            return []
        if is_foreign(uri, order):
            raise Forbidden(f"input {name!r} at {uri} is not of namespace {order.namespace}")
        key, digest = self._key(uri), order.digests.get(uri, "")
        if digest.startswith(FILE) or await self._blobs.stat(key) is not None:
            return [{"path": path, "url": self._blobs.presign(key)}]
        if digest == EMPTY:
            return []
        below = await self._blobs.list(f"{key.rstrip('/')}/", limit=FILES_MAX + 1)
        if len(below) > FILES_MAX:
            raise BadRequest(f"input {name!r} at {uri} has more than {FILES_MAX} files: pack them into one")
        return [
            {"path": f"{path.rstrip('/')}/{each.key[len(key.rstrip('/')) + 1 :]}",
             "url": self._blobs.presign(each.key)}
            for each in below
        ]  # fmt: skip

    def _put(self, uri: str) -> str:
        return self._blobs.presign_put(self._key(uri))

    def _key(self, uri: str) -> str:
        return uri.removeprefix(f"s3://{self._bucket}/")


def _own(order: StepOrder, uri: str) -> str:
    """The URI, if the attempt may write there."""
    if not uri.startswith(f"{order.root}/") or "/../" in f"{uri}/":
        raise Forbidden(f"{uri} does not lie below {order.root}, where this attempt may write")
    return uri
