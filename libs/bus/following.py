"""Reading a stream in order without taking part in its delivery: a throw-away consumer, made again where it is lost."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from libs.base.clock import Clock
from libs.bus.connection import Connection
from libs.bus.errors import BusError
from libs.bus.handling import as_delivery
from libs.bus.limit import cancelled
from libs.bus.messages import Message
from libs.bus.pulling import PullInbox
from libs.bus.topology import STREAM
from libs.bus.tuning import describe

LOG = logging.getLogger(__name__)
AHEAD = 256
FORGOTTEN_AFTER_S = 60.0
PAUSE_S = 0.2


@dataclass
class Place:
    """Where a reader stands: behind `seq` of the stream's life `identity`, or at `since` while it has read nothing."""

    identity: str = ""
    seq: int | None = None
    since: datetime | None = None

    def enter(self, identity: str, last_seq: int) -> None:
        """Takes notice of the stream's present life; a new one is read from its start."""
        if self.identity and identity != self.identity:
            self.seq = 0
        if self.seq is None and self.since is None:
            self.seq = last_seq
        self.identity = identity

    def config(self, filters: Sequence[str]) -> ConsumerConfig:
        """The consumer that reads on from here."""
        config = ConsumerConfig(
            filter_subjects=list(filters),
            ack_policy=AckPolicy.NONE,
            inactive_threshold=FORGOTTEN_AFTER_S,
            mem_storage=True,
            num_replicas=1,
        )
        if self.seq is None and self.since is not None:
            return config.evolve(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=self.since)
        return config.evolve(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=(self.seq or 0) + 1)


async def follow(
    connection: Connection,
    filters: Sequence[str],
    place: Place,
    *,
    ensure: Callable[[], Awaitable[str]],
    clock: Clock,
) -> AsyncGenerator[Message, None]:
    """Messages from `place` on, for ever. `ensure` sees to the stream and returns its identity."""
    while True:
        try:
            place.enter(await ensure(), await _last_seq(connection))
            consumer = (await connection.js.add_consumer(STREAM, place.config(filters))).name
        except (NatsError, BusError, TimeoutError) as error:
            LOG.debug("cannot follow now: %s", describe(error))
            await clock.sleep(PAUSE_S)
            continue
        async for message in _read(connection, consumer, clock):
            place.seq = message.seq
            yield message


async def _last_seq(connection: Connection) -> int:
    return (await connection.js.stream_info(STREAM)).state.last_seq


async def _read(connection: Connection, consumer: str, clock: Clock) -> AsyncGenerator[Message, None]:
    """What one consumer brings, until it is lost."""
    queue: asyncio.Queue[Msg | None] = asyncio.Queue()
    inbox = PullInbox(
        connection.nc, STREAM, consumer, clock=clock, free=lambda: AHEAD - queue.qsize(), take=queue.put_nowait
    )

    def renew() -> None:
        inbox.lose("the connection was renewed")

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            LOG.debug("reader %s: %s", consumer, task.exception())
        queue.put_nowait(None)

    connection.when_renewed.append(renew)
    task = asyncio.create_task(inbox.run())
    task.add_done_callback(ended)
    try:
        while (msg := await queue.get()) is not None:
            inbox.wake()
            yield as_delivery(msg)
    finally:
        connection.when_renewed.remove(renew)
        await cancelled(task)
        with suppress(NatsError, TimeoutError):  # it is forgotten by itself soon after
            await connection.js.delete_consumer(STREAM, consumer)
