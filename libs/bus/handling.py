"""From a delivered NATS message to its settlement: ack after the handler, or again later, or the dead-letter stream."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from libs.base.clock import Clock
from libs.bus.api import Deliver
from libs.bus.asking import Asking
from libs.bus.attempt import Failures, attempt
from libs.bus.dead import text_headers
from libs.bus.limit import cancelled
from libs.bus.messages import Delivery
from libs.bus.tuning import CAUSES, Bury, Retry, Tuning, describe
from libs.telemetry import counter

LOG = logging.getLogger(__name__)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SETTLE_S, SETTLE_TRIES = 1.0, 4
BURIED = counter("dead_letters", "Messages given up, by the sort of reason", ("reason",))
RETRIED = counter("bus_retries", "Deliveries whose handler failed and that were put off")
REDELIVERED = counter("bus_redeliveries", "Deliveries that were not the first of their message")

Undertaker = Callable[[Delivery, str], Awaitable[None]]
"""Stores a delivery with the dead letters, for a reason; returns once it is safe there."""


class Handler:
    """Brings messages to one `deliver` function and settles each by what came of it."""

    def __init__(
        self, service: str, deliver: Deliver, bury: Undertaker, asking: Asking, *, clock: Clock, tuning: Tuning
    ) -> None:
        self._service, self._deliver, self._bury, self._asking = service, deliver, bury, asking
        self._clock, self._tuning = clock, tuning
        self._failures = Failures()
        self._in_hand: dict[asyncio.Task[None], Msg] = {}
        for cause in CAUSES:  # from the start, so that the first dead letter is seen as a rise from 0
            BURIED.labels(cause)
        self.when_free: Callable[[], None] = lambda: None

    @property
    def in_hand(self) -> int:
        """How many messages are being handled."""
        return len(self._in_hand)

    def take(self, msg: Msg) -> None:
        """Handles `msg` in a task of its own, so that a slow one stops nobody."""
        task = asyncio.create_task(self._handle(msg))
        self._in_hand[task] = msg
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._in_hand[task]
        if not task.cancelled() and task.exception():
            LOG.warning("a message was not settled and will come again: %s", task.exception())
        self.when_free()

    async def keep_alive(self) -> None:
        """Tells the broker, for ever, that what is in hand is still worked on."""
        while True:
            await self._clock.sleep(self._tuning.ack_wait_s / 3)
            for msg in list(self._in_hand.values()):
                try:
                    await msg.in_progress()
                except NatsError as error:
                    LOG.debug("in_progress was not sent: %s", error)

    async def finish(self, grace_s: float) -> None:
        """Waits for what is in hand, then cancels the rest and gives it back, so that another replica need not wait."""
        if self._in_hand:
            await asyncio.wait(list(self._in_hand), timeout=grace_s)
        unfinished = dict(self._in_hand)
        await asyncio.gather(*map(cancelled, unfinished))
        for task, msg in unfinished.items():
            if task.cancelled():
                with suppress(NatsError):
                    await msg.nak()

    async def _handle(self, msg: Msg) -> None:
        delivery = as_delivery(msg)
        if delivery.attempt > 1:
            REDELIVERED.inc()
        verdict = await attempt(
            self._deliver,
            delivery,
            service=self._service,
            clock=self._clock,
            tuning=self._tuning,
            failures=self._failures,
        )
        if verdict is None:
            await settle(self._asking, msg, Msg.Ack.Ack)
        elif isinstance(verdict, Retry):
            RETRIED.inc()
            await settle(self._asking, msg, _nak(verdict.delay_s))
        else:
            await self._give_up(msg, delivery, verdict)

    async def _give_up(self, msg: Msg, delivery: Delivery, verdict: Bury) -> None:
        try:
            await self._bury(delivery, verdict.reason)
        except Exception as error:  # better once more to the handler than lost
            LOG.warning("dead letter not stored, will try again: %s", describe(error))
            await settle(self._asking, msg, _nak(self._tuning.backoff_max_s / 10))
        else:
            BURIED.labels(verdict.cause).inc()
            LOG.error("%s is a dead letter: %s", delivery.subject, verdict.reason)
            await settle(self._asking, msg, Msg.Ack.Term)


async def settle(asking: Asking, msg: Msg, verb: bytes) -> None:
    """Tells the broker and waits until it knows; a settlement that got lost only means one more delivery."""
    for _ in range(SETTLE_TRIES):
        try:
            await asking.ask(msg.reply, verb, timeout_s=SETTLE_S)
            return
        except NoRespondersError:
            break  # the consumer is gone, and with it what it remembered
        except (NatsError, TimeoutError) as error:
            LOG.debug("%s is not settled yet: %s", msg.subject, describe(error))
    LOG.info("%s was not settled with the broker and may come again", msg.subject)


def as_delivery(msg: Msg) -> Delivery:
    """The message as the bus shows it. Raises nats' NotJSMessageError."""
    meta = msg.metadata
    return Delivery(
        subject=msg.subject,
        headers=text_headers(msg.headers),
        data=msg.data,
        seq=meta.sequence.stream,
        time=_stored_at(msg.reply),
        attempt=meta.num_delivered,
    )


def _stored_at(reply: str) -> datetime:
    """Rounded down to microseconds, so that reading from this time on finds it; nats-py goes by float."""
    tokens = reply.split(".")
    nanos = int(tokens[9 if len(tokens) > 9 else 7])  # ADR-15: domain and account hash come before in the longer form
    return EPOCH + timedelta(microseconds=nanos // 1000)


def _nak(delay_s: float) -> bytes:
    return Msg.Ack.Nak + b" " + json.dumps({"delay": int(delay_s * 1e9)}).encode()
