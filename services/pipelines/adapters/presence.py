"""Whether the bytes of a kept result still lie in the bucket, asked with few requests; what steps printed may be gone.

It must not assume that the bucket is only written by runs: people clear it, rules expire it, backups bring it back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from libs.base import Clock
from libs.blobs import Blob, BlobError, Blobs
from services.pipelines.domain.engine.records import Artifact, Outputs
from services.pipelines.domain.steps.places import SHARED
from services.pipelines.domain.steps.results import LOG

PAGE = 1000
"""What a store lists in one answer."""
SINGLY = 8
"""After so many artifacts of a run with more objects than that were asked for one by one, all of it is listed."""
LISTED_MAX = 200_000
PATIENCE_S = 3.0
"""The run's other decisions wait meanwhile."""
AWAY_S = 30.0
AWAY = "miss: the bucket does not say whether its outputs are still there"


@dataclass
class Away:
    """Until when nobody asks a bucket that did not answer, in seconds of the monotonic clock. All runs of a conductor
    share one: else each of them would wait for itself."""

    until: float = 0.0


class Presence:
    """Of one run: what it has once seen in the bucket is not asked for again. `blobs` reads `bucket`."""

    def __init__(self, blobs: Blobs, bucket: str, clock: Clock, away: Away | None = None) -> None:
        self._blobs, self._home, self._clock = blobs, f"s3://{bucket}/", clock
        self._away = away or Away()
        self._sizes: dict[str, int] = {}
        self._listed: dict[str, bool] = {}
        """Of each prefix: whether all below it is known."""
        self._asked: Counter[str] = Counter()
        self._whole: dict[str, asyncio.Task[None]] = {}

    async def lost(self, outputs: Outputs) -> str:
        """Why these outputs cannot be given out again; "" where they can."""
        for name, many in outputs.artifacts.items():
            for one in many:
                ours = name != LOG and one.digest and one.uri.startswith(self._home)
                if ours and (why := await self._lost(name, one)):
                    return why
        return ""

    async def _lost(self, name: str, artifact: Artifact) -> str:
        if self._clock.monotonic() < self._away.until:
            return AWAY
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = await self._size(artifact.uri.removeprefix(self._home), artifact.digest)
        except (BlobError, TimeoutError):
            self._away.until = self._clock.monotonic() + AWAY_S
            return AWAY
        if found is None:
            return f"miss: its output `{name}` is gone from the bucket"
        if found != artifact.size:
            return f"miss: its output `{name}` changed in the bucket ({artifact.size} bytes were kept, now {found})"
        return ""

    async def _size(self, key: str, digest: str) -> int | None:
        """Of the object, or of all below it if it is a folder; None where nothing is."""
        run = _run_of(key)
        if run and run not in self._listed:
            await self._list(run, PAGE)
        if run and not self._listed[run] and self._asked[run] == SINGLY:
            self._whole[run] = asyncio.ensure_future(self._list_all(run))
        self._asked[run] += 1
        if _is_tree(digest):
            below = [size for each, size in self._sizes.items() if each.startswith(f"{key}/")]
            return sum(below) if below and self._listed.get(run) else await self._ask(key, digest)
        return self._sizes[key] if key in self._sizes else await self._ask(key, digest)

    async def _list(self, run: str, most: int) -> None:
        found = await self._blobs.list(run, limit=most)
        self._listed[run] = len(found) < most
        self._note(found)

    async def _list_all(self, run: str) -> None:
        """Beside the single questions, which go on until it is there: of ten thousand steps it takes seconds."""
        with suppress(BlobError):
            await self._list(run, LISTED_MAX)

    async def _ask(self, key: str, digest: str) -> int | None:
        """For itself: also what came after the listing, as of another step of the same run."""
        if _is_tree(digest):
            below = await self._blobs.list(f"{key}/", limit=LISTED_MAX)
            return sum(each.size for each in below) if below else None
        found = await self._blobs.stat(key)
        self._note([found] if found else [])
        return found.size if found else None

    def _note(self, found: list[Blob]) -> None:
        self._sizes.update((each.key, each.size) for each in found)


def _is_tree(digest: str) -> bool:
    return digest.startswith("sha256-tree:")


def _run_of(key: str) -> str:
    """The prefix below which the run that made it keeps everything: one listing tells of all its artifacts."""
    parts = key.split("/")
    depth = 4 if parts[2:3] == [SHARED] else 3
    return "/".join(parts[:depth]) + "/" if parts[0] == "pipelines" and len(parts) > depth else ""
