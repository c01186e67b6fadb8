"""A pull inbox: as many messages on their way as there are free hands. It notices by itself when its consumer is gone.

This replaces nats-py's `fetch` and FastStream's pull subscriber, which wait for their slowest message, keep messages
waiting while their ack time runs, and spin for ever once the consumer has vanished (docs/adr/0002-bus.md).
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.base.clock import Clock

EXPIRES_S = 30.0
HEARTBEAT_S = 3.0
SILENCE_S = 2.5 * HEARTBEAT_S
PENDING_HEADER = "Nats-Pending-Messages"
HEARTBEAT, NO_MESSAGES, TIMEOUT = "100", "404", "408"


class ConsumerLost(Exception):
    """The inbox will bring nothing more: the consumer, its stream, or the connection it was opened on is gone."""


class PullInbox:
    """One life of a subscription to a durable consumer; after :class:`ConsumerLost` open another."""

    def __init__(
        self,
        nc: Client,
        stream: str,
        consumer: str,
        *,
        clock: Clock,
        free: Callable[[], int],
        take: Callable[[Msg], None],
    ) -> None:
        self._nc, self._clock, self._free, self._take = nc, clock, free, take
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._requested = 0
        self._wake = asyncio.Event()
        self._heard_at = clock.monotonic()
        self._lost: str | None = None

    def wake(self) -> None:
        """A hand became free."""
        self._wake.set()

    def lose(self, why: str) -> None:
        """Ends this life, for instance because after a reconnect the broker forgot what was asked of it."""
        self._lost = self._lost or why
        self._wake.set()

    async def run(self) -> None:
        """Asks for messages until the consumer is lost (raises :class:`ConsumerLost`) or the task is cancelled."""
        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(inbox, cb=self._on_message)
        try:
            while self._lost is None:
                await self._ask(inbox)
                await self._wait()
            raise ConsumerLost(self._lost)
        finally:
            with suppress(Exception):  # the connection may be gone, and with it the inbox
                await subscription.unsubscribe()

    async def _ask(self, inbox: str) -> None:
        self._wake.clear()
        wanted = self._free() - self._requested
        if wanted <= 0:
            return
        self._requested += wanted
        request = {"batch": wanted, "expires": _nanos(EXPIRES_S), "idle_heartbeat": _nanos(HEARTBEAT_S)}
        await self._nc.publish(self._next, json.dumps(request).encode(), reply=inbox)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(SILENCE_S):
                await self._wake.wait()
        except TimeoutError:
            if self._requested > 0 and self._clock.monotonic() - self._heard_at >= SILENCE_S:
                self.lose("no heartbeat")

    async def _on_message(self, msg: Msg) -> None:
        self._heard_at = self._clock.monotonic()
        if msg.reply.startswith("$JS.ACK."):
            self._requested -= 1
            self._take(msg)
        else:
            self._on_status(msg)

    def _on_status(self, msg: Msg) -> None:
        headers = msg.headers or {}
        status = headers.get("Status", "")
        if status == HEARTBEAT:
            return
        if status in (NO_MESSAGES, TIMEOUT) and headers.get(PENDING_HEADER, "").isdigit():
            self._requested -= int(headers[PENDING_HEADER])
            self._wake.set()
        else:
            self.lose(f"{status} {headers.get('Description', '')}".strip())


def _nanos(seconds: float) -> int:
    return int(seconds * 1e9)
