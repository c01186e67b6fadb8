"""Says on the bus what transactions have promised in the outbox; assumes that consumers drop what they have seen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from libs import telemetry
from libs.base.clock import Clock
from libs.bus import Bus, BusError, BusUnavailable
from libs.service.app import FaultPoint, no_fault
from libs.store import Change, Store

log = logging.getLogger(__name__)

BATCH = 256
LOOK_S = 1.0
"""How often it asks whether the broker lost its stream."""
SWEEP_S = 5.0
"""How often it looks, unwoken, for what a crash or a replica that stopped has left unsaid."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
UNSAYABLE = telemetry.counter("letters_unsayable", "Letters that the broker will never take")
IDENTITY_KEY = "bus/stream"
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}


class Relay:
    """Publishes unsaid rows in the order of their commits, many in flight at once, and marks those acknowledged.

    A crash between ack and mark says a letter again: the broker drops it by its id, or the consumers' inboxes do. When
    the broker lost its directory, all that the change log retains is said again.
    """

    def __init__(self, bus: Bus, store: Store, clock: Clock, *, fault: FaultPoint = no_fault) -> None:
        self._bus, self._store, self._clock, self._fault = bus, store, clock, fault
        self._seen, self._swept_at = 0, float("-inf")

    async def run(self) -> None:
        """For ever; waits out a broker that does not answer. Wakes at once on a commit of this process."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._mind_the_stream()
                await self._wait_and_say()
                pause = FIRST_PAUSE_S
            except BusError as error:
                log.warning("the outbox waits for the broker: %s", error)
                self._swept_at = float("-inf")
                await self._clock.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)

    async def flush(self) -> int:
        """Says all that is unsaid now; returns how many letters. Raises BusError."""
        said = 0
        while batch := await self._say_batch():
            said += batch
        return said

    async def _wait_and_say(self) -> None:
        if self._clock.monotonic() - self._swept_at < SWEEP_S:
            # The position is taken before the look, so a commit in between wakes the next round at once.
            before, self._seen = self._seen, await self._store.feed.wait_beyond(self._seen, LOOK_S)
            if self._seen <= before:
                return
        self._swept_at = self._clock.monotonic()
        await self.flush()

    async def _say_batch(self) -> int:
        rows = await self._store.outbox.unsaid(BATCH)
        if not rows:
            return 0
        await self._fault("publishing")
        results = await asyncio.gather(*map(self._publish, rows), return_exceptions=True)
        await self._fault("published")
        settled = [row.seq for row, result in zip(rows, results, strict=True) if _is_settled(row, result)]
        if settled:
            await self._store.outbox.mark_said(settled)
            await self._fault("marked")
        _raise_first(result for result in results if not _is_unsayable(result))
        return len(rows)

    async def _publish(self, row: Change) -> None:
        letter, text = row.letter, row.letter_json
        assert letter is not None and text is not None and row.subject is not None, "the outbox holds letters only"
        headers = {**STRUCTURED, "traceparent": letter["traceparent"]} if letter.get("traceparent") else STRUCTURED
        await self._bus.publish(row.subject, text.encode(), headers=headers, msg_id=str(letter["id"]))

    async def _mind_the_stream(self) -> None:
        """A stream of another identity than the one we spoke to remembers nothing: all that is retained is unsaid."""
        identity = self._bus.stream_identity()
        if not identity or identity == self._identity:
            return
        async with self._store.read() as reader:
            known = await reader.meta(IDENTITY_KEY)
        if known not in (None, identity):
            log.warning("the broker lost its directory: saying again what the change log retains")
            await self._store.outbox.forget_said()
            self._swept_at = float("-inf")
        if known != identity:
            async with self._store.write() as uow:
                await uow.set_meta(IDENTITY_KEY, identity)
        self._identity = identity

    _identity = ""


def _is_unsayable(result: object) -> bool:
    """Whether the broker will never take the letter, for instance because it is too large."""
    return isinstance(result, BusError) and not isinstance(result, BusUnavailable)


def _is_settled(row: Change, result: object) -> bool:
    """Acknowledged, or never to be: waiting for that would hold up every letter behind it. The change log keeps it."""
    if not _is_unsayable(result):
        return not isinstance(result, BaseException)
    assert row.letter is not None
    log.error("letter %s (%s) can never be said: %s", row.letter["id"], row.letter.get("type"), result)
    UNSAYABLE.inc()
    return True


def _raise_first(results: Iterable[object]) -> None:
    for result in results:
        if isinstance(result, BaseException):
            raise result
