"""The bus in memory: what libs.bus promises, with dedup and redelivery, on a clock that a test moves."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime

from libs.bus.api import Bus, Deliver, Subscription
from libs.bus.attempt import Failures, attempt
from libs.bus.dead import burial_id, bury, dead_subject, exhume
from libs.bus.errors import BusUnavailable
from libs.bus.messages import DeadLetter, Delivery, Lag, Message, PubAck
from libs.bus.tuning import Retry
from libs.testing.bus_broker import Consumer, MemoryBroker, Stream, matches
from libs.testing.bus_faults import Fault

PAUSE_S = 0.1


class MemorySubscription(Subscription):
    """Takes from one consumer of the broker until stopped or killed."""

    def __init__(self, bus: "MemoryBus", deliver: Deliver, concurrency: int) -> None:
        self._bus, self._deliver, self._concurrency = bus, deliver, concurrency
        self._in_hand: dict[asyncio.Task[None], tuple[Consumer, int]] = {}
        self._failures = Failures()
        self._event = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def stop(self, grace_s: float = 10.0) -> None:
        self._task.cancel()
        if self._in_hand:
            await asyncio.wait(list(self._in_hand), timeout=grace_s)
        await self._leave(self._bus.clock.monotonic())

    async def kill(self) -> None:
        """As by kill -9: what is in hand is neither finished nor given back; the broker finds out by `ack_wait_s`."""
        await self._leave(self._bus.clock.monotonic() + self._bus.broker.tuning.ack_wait_s)

    async def _leave(self, until: float) -> None:
        self._task.cancel()
        tasks = dict(self._in_hand)
        for task, (consumer, seq) in tasks.items():
            task.cancel()
            consumer.abandoned(seq, until)
        await asyncio.gather(self._task, *tasks, return_exceptions=True)
        self._bus.broker.wake()

    async def _run(self) -> None:
        broker = self._bus.broker
        while True:
            due = None
            if broker.up:
                consumer = self._bus.consumer()
                self._take_all(consumer)
                due = consumer.next_due()
            await broker.changed(self._event, due if len(self._in_hand) < self._concurrency else None)

    def _take_all(self, consumer: Consumer) -> None:
        broker = self._bus.broker
        while len(self._in_hand) < self._concurrency:
            delivery = consumer.take(broker.stream, broker.clock.monotonic(), broker.faults)
            if delivery is None:
                return
            task = asyncio.create_task(self._handle(consumer, delivery))
            self._in_hand[task] = (consumer, delivery.seq)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._in_hand[task]
        self._event.set()

    async def _handle(self, consumer: Consumer, delivery: Delivery) -> None:
        broker = self._bus.broker
        verdict = await attempt(
            self._deliver,
            delivery,
            service=self._bus.service,
            clock=broker.clock,
            tuning=broker.tuning,
            failures=self._failures,
        )
        now = broker.clock.monotonic()
        if not broker.up or broker.faults(Fault.ACK_LOST):
            consumer.abandoned(delivery.seq, now + broker.tuning.ack_wait_s)
        elif verdict is None:
            consumer.acked(delivery.seq)
        elif isinstance(verdict, Retry):
            consumer.nacked(delivery.seq, now + verdict.delay_s)
        else:
            self._bus.bury(delivery, verdict.reason)
            consumer.acked(delivery.seq)
        broker.wake()


class MemoryBus(Bus):
    """One service's connection to a :class:`MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, service: str) -> None:
        self.broker, self.service, self.clock = broker, service, broker.clock
        self._identity = ""
        self._filters: Sequence[str] = ()
        self._subscriptions: list[MemorySubscription] = []

    async def ensure(self, manifest_name: str, hears: Sequence[str]) -> None:
        self.service = manifest_name
        self._filters = [f"millstream.{type}.*" for type in hears]
        while not self.broker.up:
            await self.broker.clock.sleep(PAUSE_S)
        self._identity = str(self.broker.life)
        if self._filters:
            self.consumer()

    def consumer(self) -> Consumer:
        """This service's durable consumer, made again if it vanished: the double of the watchdog."""
        self._identity = str(self.broker.life)
        return self.broker.consumer(self.service, self._filters)

    async def publish(self, subject: str, payload: bytes, *, headers: Mapping[str, str], msg_id: str) -> PubAck:
        if not subject.startswith("millstream."):
            raise ValueError(f"subject {subject!r} does not begin with millstream.")
        deadline = self.broker.clock.monotonic() + self.broker.tuning.publish_s
        while (ack := self._try(subject, payload, headers, msg_id)) is None:
            if self.broker.clock.monotonic() >= deadline:
                raise BusUnavailable(f"the broker did not take {subject}")
            await self.broker.clock.sleep(PAUSE_S)
        await asyncio.sleep(0)
        return ack

    async def subscribe(self, deliver: Deliver, *, concurrency: int = 16) -> MemorySubscription:
        if not self._filters:
            raise ValueError(f"{self.service} hears nothing: call ensure with message types first")
        subscription = MemorySubscription(self, deliver, concurrency)
        self._subscriptions.append(subscription)
        return subscription

    async def follow(
        self, filters: Sequence[str], *, after_seq: int | None = None, since: datetime | None = None
    ) -> AsyncGenerator[Message, None]:
        broker, event, life = self.broker, asyncio.Event(), self.broker.life
        seq = after_seq if after_seq is not None else 0 if since else len(broker.stream.messages)
        while True:
            if broker.life != life:
                seq, life = 0, broker.life
            if broker.up and seq < len(broker.stream.messages):
                message = broker.stream.messages[seq]
                seq += 1
                if (since is None or message.time >= since) and any(matches(f, message.subject) for f in filters):
                    yield message
            else:
                await broker.changed(event, None)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        kept = [m for m in self.broker.dead.messages if m.seq not in self.broker.dead.gone]
        return [exhume(message) for message in kept[:limit]]

    async def replay(self, seq: int) -> PubAck:
        letter = self._dead(seq)
        msg_id = f"replay:{self.broker.life}:{seq}"
        ack = await self.publish(letter.subject, letter.data, headers=letter.headers, msg_id=msg_id)
        self.broker.dead.gone.add(seq)
        return ack

    async def discard(self, seq: int) -> None:
        self._dead(seq)
        self.broker.dead.gone.add(seq)

    async def lag(self) -> Lag:
        if not self.broker.up:
            raise BusUnavailable("the broker is away")
        stream = self.broker.stream.messages
        size = sum(len(message.data) for message in stream)
        return Lag(**self._behind(), dead=len(self._own_dead()), stream_messages=len(stream), stream_bytes=size)

    def _behind(self) -> dict[str, int]:
        if not self._filters:
            return {}
        consumer = self.consumer()
        unread = self.broker.stream.messages[consumer.read :]
        pending = sum(1 for m in unread if any(matches(f, m.subject) for f in self._filters))
        unacked = [*consumer.in_hand, *(seq for _, seq in consumer.again)]
        again = sum(1 for seq in unacked if consumer.attempts.get(seq, 0) > 1)
        return {"pending": pending, "unacked": len(unacked), "redelivered": again}

    def _own_dead(self) -> list[Message]:
        dead = self.broker.dead
        own = f"dead.{self.service}.>"
        return [m for m in dead.messages if m.seq not in dead.gone and matches(own, m.subject)]

    def stream_identity(self) -> str:
        return self._identity

    @property
    def connected(self) -> bool:
        return self.broker.up

    async def close(self) -> None:
        for subscription in self._subscriptions:
            await subscription.stop()

    async def kill(self) -> None:
        """As by kill -9 of the service."""
        for subscription in self._subscriptions:
            await subscription.kill()

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Stores a delivery with the dead letters."""
        headers = bury(delivery, reason=reason, handler=self.service, at=self.broker.clock.now())
        msg_id = burial_id(self.service, str(self.broker.life), delivery)
        self._store(self.broker.dead, dead_subject(self.service, delivery.subject), delivery.data, headers, msg_id)

    def _try(self, subject: str, payload: bytes, headers: Mapping[str, str], msg_id: str) -> PubAck | None:
        if not self.broker.up or self.broker.faults(Fault.PUBLISH_LOST):
            return None
        ack = self._store(self.broker.stream, subject, payload, headers, msg_id)
        return None if self.broker.faults(Fault.PUBLISH_UNHEARD) else ack

    def _store(self, stream: Stream, subject: str, payload: bytes, headers: Mapping[str, str], msg_id: str) -> PubAck:
        self._identity = str(self.broker.life)
        window_s = self.broker.tuning.duplicate_window_s
        ack = stream.store(subject, headers, payload, msg_id, self.broker.clock, window_s)
        self.broker.wake()
        return ack

    def _dead(self, seq: int) -> DeadLetter:
        stream = self.broker.dead
        if not 0 < seq <= len(stream.messages) or seq in stream.gone:
            raise KeyError(f"there is no dead letter {seq}")
        return exhume(stream.messages[seq - 1])
