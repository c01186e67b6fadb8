"""Whether the bytes of a kept result still lie in the bucket: some is known, the rest is asked with few requests.

It must not assume that the bucket is only written by runs: people clear it, rules expire it, backups bring it back.
Nobody may ask it from inside a transaction that writes: others would wait for the bucket then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from libs.base import Clock
from libs.blobs import Blob, BlobError, Blobs
from libs.blobs.api import check_key
from services.pipelines.domain.engine.records import Artifact, Outputs
from services.pipelines.domain.steps.places import EMPTY, SHARED, is_tree
from services.pipelines.domain.steps.results import LOG

log = logging.getLogger(__name__)

PAGE = 1000
"""What a store lists in one answer."""
SINGLY = 8
"""After so many artifacts of a run with more objects than that were asked for one by one, all of it is listed."""
LISTED_MAX = 200_000
PATIENCE_S = 3.0
"""The step waits meanwhile, nobody else."""
KEY_BYTES, SEGMENT_BYTES = 1024, 255
"""Of S3's keys, and of names in a file system."""
AWAY_S = 30.0
AWAY = "miss: the bucket does not say whether its outputs are still there"


@dataclass
class Away:
    """Until when nobody asks a bucket that did not answer, in seconds of the monotonic clock. All runs of a conductor
    share one: else each of them would wait for itself."""

    until: float = 0.0


class Presence:
    """Of one run: what it has once learnt of the bucket is not asked for again. `blobs` reads `bucket`."""

    def __init__(self, blobs: Blobs, bucket: str, clock: Clock, away: Away | None = None) -> None:
        self._blobs, self._home, self._clock = blobs, f"s3://{bucket}/", clock
        self._away = away or Away()
        self._sizes: dict[str, int] = {}
        self._below: Counter[str] = Counter()
        """Of each folder: the sizes of all objects that are known in it, together."""
        self._told: dict[str, int | None] = {}
        """What was asked for by itself."""
        self._pages: dict[str, asyncio.Task[bool | None]] = {}
        """Of each run that was asked about: its first page of objects."""
        self._asked: Counter[str] = Counter()
        self._whole: dict[str, asyncio.Task[bool | None]] = {}
        """All of them, listed beside the single questions: of ten thousand steps that takes seconds."""

    async def lost(self, outputs: Outputs) -> str:
        """Why these outputs cannot be given out again; "" where they can."""
        await self.look(outputs)
        return self.known(outputs) or ""

    def known(self, outputs: Outputs) -> str | None:
        """The same, without asking; None where the bucket has to be asked first."""
        for name, one in self._ours(outputs):
            if why := self._why(name, one):
                return why
            if not self._is_told(one):
                return AWAY if self._is_away() else None
        return ""

    async def look(self, outputs: Outputs) -> None:
        """Asks for what is not known yet. A bucket that does not answer is left alone for a while."""
        for _, one in self._ours(outputs):
            if self._is_told(one) or self._is_away():
                continue
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._find(self._key(one), one.digest)
            except Exception as error:
                if not isinstance(error, BlobError | TimeoutError):  # the step would wait for an answer for ever
                    log.exception("whether %s is still in the bucket cannot be told", one.uri)
                self._away.until = self._clock.monotonic() + AWAY_S

    def _ours(self, outputs: Outputs) -> Iterator[tuple[str, Artifact]]:
        """What steps printed may be gone."""
        for name, many in outputs.artifacts.items():
            for one in many:
                if name != LOG and one.digest not in ("", EMPTY) and one.uri.startswith(self._home):
                    yield name, one

    def _key(self, artifact: Artifact) -> str:
        return artifact.uri.removeprefix(self._home)

    def _is_away(self) -> bool:
        return self._clock.monotonic() < self._away.until

    def _is_told(self, artifact: Artifact) -> bool:
        key = self._key(artifact)
        return key in self._told or self._is_listed(key, artifact.digest)

    def _is_listed(self, key: str, digest: str) -> bool:
        """A folder is only when all that may be in it was."""
        if is_tree(digest):
            return key in self._below and self._is_whole(_run_of(key))
        return key in self._sizes

    def _why(self, name: str, artifact: Artifact) -> str:
        if not self._is_told(artifact):
            return ""
        key = self._key(artifact)
        listed = self._below if is_tree(artifact.digest) else self._sizes
        found = self._told[key] if key in self._told else listed[key]
        if found is None:
            return f"miss: its output `{name}` is gone from the bucket"
        if found != artifact.size:
            return f"miss: its output `{name}` changed in the bucket ({artifact.size} bytes were kept, now {found})"
        return ""

    async def _find(self, key: str, digest: str) -> None:
        if not _may_be(key):
            self._told[key] = None
            return
        run = _run_of(key)
        if run:
            await self._begin(run)
        if self._is_listed(key, digest):
            return
        self._asked[run] += 1
        if run and self._asked[run] > SINGLY and not self._is_whole(run) and run not in self._whole:
            self._whole[run] = asyncio.ensure_future(self._list(run, LISTED_MAX))
        self._told[key] = await self._ask(key, digest)

    async def _begin(self, run: str) -> None:
        """Its first page, asked for once however many want it; anew where it did not come, or not in time."""
        page = self._pages.get(run)
        if page is None or (page.done() and page.result() is None):
            page = self._pages[run] = asyncio.ensure_future(self._list(run, PAGE))
        try:
            found = await asyncio.shield(page)
        except asyncio.CancelledError:
            self._pages.pop(run, None)
            raise
        if found is None:
            raise BlobError(f"{run} could not be listed")

    def _is_whole(self, run: str) -> bool:
        """Whether all below it was seen."""
        told = (self._pages.get(run), self._whole.get(run))
        return any(one is not None and one.done() and one.result() is True for one in told)

    async def _list(self, run: str, most: int) -> bool | None:
        """Whether that is all; None where nobody answered."""
        try:
            found = await self._blobs.list(run, limit=most)
        except BlobError:
            return None
        for each in found:
            self._note(each)
        return len(found) < most

    async def _ask(self, key: str, digest: str) -> int | None:
        """For itself, the object or all below it if it is a folder: also what came after the listing, as of another
        step of the same run."""
        if is_tree(digest):
            below = await self._blobs.list(f"{key}/", limit=LISTED_MAX)
            return sum(each.size for each in below) if below else None
        found = await self._blobs.stat(key)
        return found.size if found else None

    def _note(self, found: Blob) -> None:
        grown = found.size - self._sizes.get(found.key, 0)
        self._sizes[found.key] = found.size
        folder = found.key.rpartition("/")[0]
        while folder:
            self._below[folder] += grown
            folder = folder.rpartition("/")[0]


def _may_be(key: str) -> bool:
    """Whether a bucket, or the folder behind one, can have an object of this key: to ask for another is an error, which
    would pass for a bucket that is away."""
    try:
        check_key(key)
    except BlobError:
        return False
    return len(key.encode()) <= KEY_BYTES and all(len(part.encode()) <= SEGMENT_BYTES for part in key.split("/"))


def _run_of(key: str) -> str:
    """The prefix below which the run that made it keeps everything: one listing tells of all its artifacts."""
    parts = key.split("/")
    depth = 4 if parts[2:3] == [SHARED] else 3
    return "/".join(parts[:depth]) + "/" if parts[0] == "pipelines" and len(parts) > depth else ""
