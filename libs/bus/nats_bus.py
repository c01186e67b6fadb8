"""The bus on NATS JetStream; it assumes that streams, consumers and the broker itself may vanish at any moment."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Self

from nats.js.errors import NotFoundError

from libs.base.clock import Clock
from libs.base.ids import Ids
from libs.bus import durability
from libs.bus.api import Bus, Deliver
from libs.bus.connection import MSG_ID, Connection, StreamMissing
from libs.bus.consuming import NatsSubscription
from libs.bus.dead import burial_id, bury, dead_subject, exhume, text_headers
from libs.bus.errors import BusUnavailable
from libs.bus.following import Place, follow
from libs.bus.handling import Handler
from libs.bus.lag import lag_of
from libs.bus.limit import cancelled
from libs.bus.messages import DeadLetter, Delivery, Lag, Message, PubAck
from libs.bus.topology import DEAD, STREAM, consumer_config, ensure_consumer, ensure_streams
from libs.bus.tuning import Tuning, describe
from libs.telemetry import SHORT_S, counter, histogram, inject

LOG = logging.getLogger(__name__)
TRY_S = 1.0
PAUSE_S = 0.1
DEAF_ROUNDS = 2
"""So many looks without an answer, one after the other, and the connection itself is doubted."""
PUBLISHED = histogram("bus_publish_seconds", "Time until the broker acknowledged a message", (), SHORT_S)
UNPUBLISHED = counter(
    "bus_publish_failures", "Messages that the broker did not take in time; the outbox says them again"
)


class NatsBus(Bus):
    """See :class:`libs.bus.Bus`."""

    def __init__(self, connection: Connection, *, service: str, clock: Clock, ids: Ids, tuning: Tuning) -> None:
        self._connection, self._service = connection, service
        self.clock, self._ids, self._tuning = clock, ids, tuning
        self._identity = ""
        self._hears: Sequence[str] = ()
        self._consumer = service
        self._subscriptions: list[NatsSubscription] = []
        self._watchdog: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        service: str,
        clock: Clock,
        ids: Ids,
        tuning: Tuning,
        monitor_url: str | None,
        ca_file: str | None = None,
    ) -> Self:
        """Connects, however long it takes, and checks the broker's durability."""
        connection = Connection(url, f"millstream/{service}", ca_file)
        await connection.open()
        await durability.check(monitor_url, tuning, ca_file)
        return cls(connection, service=service, clock=clock, ids=ids, tuning=tuning)

    async def ensure(self, manifest_name: str, hears: Sequence[str]) -> None:
        self._consumer, self._hears = manifest_name, tuple(hears)
        while True:
            try:
                await self._look_after()
                break
            except Exception as error:  # the broker may still be starting; a service does not start without it
                LOG.warning("streams and consumers are not there yet: %s", describe(error))
                await self.clock.sleep(PAUSE_S)
        self._watchdog = self._watchdog or asyncio.create_task(self._watch())

    async def publish(self, subject: str, payload: bytes, *, headers: Mapping[str, str], msg_id: str) -> PubAck:
        if not subject.startswith(f"{STREAM}."):
            raise ValueError(f"subject {subject!r} does not begin with {STREAM}.")
        began = self.clock.monotonic()
        try:
            ack = await self._publish(STREAM, subject, payload, {**inject(), **headers, MSG_ID: msg_id})
        except BusUnavailable:
            UNPUBLISHED.inc()
            raise
        PUBLISHED.observe(self.clock.monotonic() - began)
        return ack

    async def subscribe(self, deliver: Deliver, *, concurrency: int = 16) -> NatsSubscription:
        if not self._hears:
            raise ValueError(f"{self._service} hears nothing: call ensure with message types first")
        asking = self._connection.asking
        handler = Handler(self._consumer, deliver, self._bury, asking, clock=self.clock, tuning=self._tuning)
        subscription = NatsSubscription(
            self._connection,
            self._consumer,
            handler,
            ensure=self._look_after,
            concurrency=concurrency,
            clock=self.clock,
        )
        self._subscriptions.append(subscription)
        return subscription

    async def follow(
        self, filters: Sequence[str], *, after_seq: int | None = None, since: datetime | None = None
    ) -> AsyncGenerator[Message, None]:
        place = Place(self._identity if after_seq is not None else "", after_seq, since)
        async for message in follow(self._connection, filters, place, ensure=self._ensure_streams, clock=self.clock):
            yield message

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        seq = 1
        while len(found) < limit and (letter := await self._next_dead(seq)) is not None:
            found.append(letter)
            seq = letter.seq + 1
        return found

    async def replay(self, seq: int) -> PubAck:
        letter = await self._dead(seq)
        headers = {**letter.headers, MSG_ID: f"replay:{seq}:{letter.at.isoformat()}"}
        ack = await self._publish(STREAM, letter.subject, letter.data, headers)
        await self._connection.js.delete_msg(DEAD, seq)
        return ack

    async def discard(self, seq: int) -> None:
        await self._dead(seq)
        await self._connection.js.delete_msg(DEAD, seq)

    async def lag(self) -> Lag:
        try:
            return await lag_of(self._connection.js, self._consumer, hears=bool(self._hears))
        except Exception as error:  # whatever a broker that restarts makes nats-py raise
            raise BusUnavailable(f"the broker does not tell of its streams: {describe(error)}") from error

    def stream_identity(self) -> str:
        return self._identity

    @property
    def connected(self) -> bool:
        return self._connection.connected

    async def close(self) -> None:
        if self._watchdog:
            await cancelled(self._watchdog)
        await asyncio.gather(*(subscription.stop() for subscription in self._subscriptions))
        await self._connection.close()

    async def _publish(self, stream: str, subject: str, payload: bytes, headers: Mapping[str, str]) -> PubAck:
        deadline = self.clock.monotonic() + self._tuning.publish_s
        while True:
            try:
                return await self._connection.publish(stream, subject, payload, headers, timeout_s=TRY_S)
            except BusUnavailable as error:
                if self.clock.monotonic() >= deadline:
                    raise
                await self._mend(error)

    async def _mend(self, error: BusUnavailable) -> None:
        """What can be done before the next try: a missing stream is made, anything else needs time."""
        try:
            if isinstance(error, StreamMissing):
                await self._ensure_streams()
        except Exception as failure:
            LOG.debug("streams not made: %s", describe(failure))
        await self.clock.sleep(PAUSE_S)

    async def _ensure_streams(self) -> str:
        self._identity = await ensure_streams(self._connection.js, self._tuning)
        return self._identity

    async def _look_after(self) -> None:
        await self._ensure_streams()
        if self._hears:
            config = consumer_config(self._consumer, self._hears, self._tuning)
            await ensure_consumer(self._connection.js, config)

    async def _watch(self) -> None:
        deaf_rounds = 0
        while True:
            await self.clock.sleep(self._tuning.watch_s)
            try:
                await self._look_after()
                deaf_rounds = 0
            except Exception as error:  # away or restarting: the next round finds it
                LOG.debug("streams and consumers not looked after: %s", describe(error))
                deaf_rounds += 1
            if deaf_rounds >= DEAF_ROUNDS:
                await self._connection.revive()
                deaf_rounds = 0

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        headers = bury(delivery, reason=reason, handler=self._consumer, at=self.clock.now())
        headers[MSG_ID] = burial_id(self._consumer, self._identity, delivery)
        await self._publish(DEAD, dead_subject(self._consumer, delivery.subject), delivery.data, headers)

    async def _dead(self, seq: int) -> DeadLetter:
        letter = await self._next_dead(seq)
        if letter is None or letter.seq != seq:
            raise KeyError(f"there is no dead letter {seq}")
        return letter

    async def _next_dead(self, seq: int) -> DeadLetter | None:
        try:
            raw = await self._connection.js.get_msg(DEAD, seq=seq, subject="dead.>", next=True)
        except NotFoundError:
            return None
        assert raw.subject is not None and raw.seq is not None and raw.time is not None
        return exhume(Message(raw.subject, text_headers(raw.headers), raw.data or b"", raw.seq, raw.time))
