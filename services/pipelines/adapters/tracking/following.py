"""Hands what is said about runs to one other system, in order and at least once; the place is kept in the store.

It never stands in the way of a run: a system that is away is asked again, for as long as the change log reaches back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from libs.base import Clock, Gone, MillstreamError
from libs.store import Change, Store

log = logging.getLogger(__name__)

PREFIX = "pipelines."
LOOK_S = 5.0
AGAIN_S, AGAIN_MAX_S = 1.0, 60.0
KEEP_EVERY = 200
"""Changes that are passed over until the place is kept again."""
KEEP_S = 1.0
"""How often it is kept at most: what was told since is told again after a crash."""


class Away(MillstreamError):
    """The other system does not answer, or says that it cannot now: ask again."""


class Refused(MillstreamError):
    """It will never take this: go on with the next."""


@dataclass(frozen=True)
class Said:
    """One of this service's letters about runs: `noun` and `verb` are words of its type (`task`, `succeeded`)."""

    noun: str
    verb: str
    at: str
    data: Mapping[str, Any]


class Sink(Protocol):
    """`name` is where its place is kept."""

    @property
    def name(self) -> str: ...

    async def take(self, said: Said) -> None:
        """Raises Away or Refused."""
        ...


class Following:
    def __init__(self, store: Store, clock: Clock, sink: Sink) -> None:
        self._store, self._clock, self._sink = store, clock, sink
        self._key = f"tracking/{sink.name}"
        self._passed = 0
        """Changes since the place was kept; one that was handed on counts as KEEP_EVERY."""
        self._kept_at = clock.monotonic()

    async def run(self) -> None:
        """For ever, while this replica leads. What was said before the system was named is not told."""
        seq = await self.begin()
        while True:
            seq = await self._catch_up(seq)
            await self._store.feed.wait_beyond(seq, KEEP_S if self._passed >= KEEP_EVERY else LOOK_S)
            await self._keep_at_times(seq)

    async def begin(self) -> int:
        """Where to go on; the first time it is here. Every replica does so when it starts, and not only when it leads:
        a run that the replica before it carries meanwhile is told of from its beginning."""
        async with self._store.write() as uow:
            if (kept := await uow.meta(self._key)) is not None:
                return int(kept)
            last = await uow.last_seq()
            await uow.set_meta(self._key, str(last))
            return last

    async def _catch_up(self, seq: int) -> int:
        """Hands on all that was said after `seq`; how far that was, or from where the change log still reaches."""
        try:
            while page := await self._store.feed.page(seq):
                for change in page:
                    self._passed += 1
                    if (said := said_in(change)) is not None:
                        await self._hand_on(said)
                        self._passed += KEEP_EVERY
                    seq = change.seq
                    await self._keep_at_times(seq)
        except Gone:
            async with self._store.read() as reader:
                seq = await reader.oldest_seq()
            log.warning("%s was away for longer than the change log reaches back: it misses some", self._sink.name)
            await self._keep(seq)
        return seq

    async def _keep_at_times(self, seq: int) -> None:
        """A write for each letter would cost more than the letters: what is told twice after a crash is the same."""
        if self._passed >= KEEP_EVERY and self._clock.monotonic() - self._kept_at >= KEEP_S:
            await self._keep(seq)

    async def _hand_on(self, said: Said) -> None:
        wait_s = AGAIN_S
        while True:
            try:
                return await self._sink.take(said)
            except Refused as error:
                log.warning("%s refused pipelines.%s.%s: %s", self._sink.name, said.noun, said.verb, error)
                return None
            except (LookupError, TypeError, ValueError, AttributeError):
                log.exception("%s answered what nobody understands: it misses one", self._sink.name)
                return None
            except Away as error:
                log.info("%s is away, asked again in %.0f s: %s", self._sink.name, wait_s, error)
                await self._clock.sleep(wait_s)
                wait_s = min(AGAIN_MAX_S, 2 * wait_s)

    async def _keep(self, seq: int) -> None:
        async with self._store.write() as uow:
            await uow.set_meta(self._key, str(seq))
        self._passed, self._kept_at = 0, self._clock.monotonic()


def said_in(change: Change) -> Said | None:
    """None for what is no letter about runs and tasks."""
    letter = change.letter
    if letter is None or not str(letter.get("type", "")).startswith(PREFIX):
        return None
    _, noun, verb, _ = str(letter["type"]).split(".")
    if noun not in ("run", "task"):
        return None
    return Said(noun, verb, str(letter["time"]), letter["data"])


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
