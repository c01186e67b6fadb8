"""A subscription that outlives its consumer: inbox after inbox, the consumer made again where it vanished."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from libs.base.clock import Clock
from libs.bus.api import Subscription
from libs.bus.connection import Connection
from libs.bus.handling import Handler
from libs.bus.limit import cancelled
from libs.bus.pulling import ConsumerLost, PullInbox
from libs.bus.topology import STREAM
from libs.bus.tuning import describe

LOG = logging.getLogger(__name__)
PAUSE_FIRST_S, PAUSE_MAX_S = 0.05, 2.0


class NatsSubscription(Subscription):
    """Pulls for one :class:`Handler` until stopped."""

    def __init__(
        self,
        connection: Connection,
        consumer: str,
        handler: Handler,
        *,
        ensure: Callable[[], Awaitable[None]],
        concurrency: int,
        clock: Clock,
    ) -> None:
        self._connection, self._consumer, self._handler = connection, consumer, handler
        self._ensure, self._concurrency, self._clock = ensure, concurrency, clock
        self._inbox: PullInbox | None = None
        handler.when_free = self._wake
        connection.when_renewed.append(self._renew)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(handler.keep_alive())]

    async def stop(self, grace_s: float = 10.0) -> None:
        if self._renew in self._connection.when_renewed:
            self._connection.when_renewed.remove(self._renew)
        pulling, keeping_alive = self._tasks
        await cancelled(pulling)
        await self._handler.finish(grace_s)
        await cancelled(keeping_alive)

    def lose(self, why: str) -> None:
        """Makes the subscription begin anew: what it hears or where it pulls from has changed."""
        if self._inbox:
            self._inbox.lose(why)

    def _wake(self) -> None:
        if self._inbox:
            self._inbox.wake()

    def _renew(self) -> None:
        self.lose("the connection was renewed")

    async def _run(self) -> None:
        pause = PAUSE_FIRST_S
        while True:
            began = self._clock.monotonic()
            try:
                await self._ensure()
                await self._pull()
            except ConsumerLost as lost:
                LOG.info("consumer %s: %s; subscribing again", self._consumer, lost)
            except Exception as error:  # the broker is away or restarting: there is nothing to do but to try again
                LOG.info("consumer %s: %s; trying again", self._consumer, describe(error))
            pause = PAUSE_FIRST_S if self._clock.monotonic() - began > PAUSE_MAX_S else min(2 * pause, PAUSE_MAX_S)
            await self._clock.sleep(pause)

    async def _pull(self) -> None:
        self._inbox = PullInbox(
            self._connection.nc,
            STREAM,
            self._consumer,
            clock=self._clock,
            free=lambda: self._concurrency - self._handler.in_hand,
            take=self._handler.take,
        )
        try:
            await self._inbox.run()
        finally:
            self._inbox = None
