"""One delivery brought to a handler, and what is to become of it: the same for NATS and for its double."""

import logging
from datetime import datetime

from libs.base.clock import Clock
from libs.bus.api import Deliver
from libs.bus.errors import NotNow
from libs.bus.limit import time_limit
from libs.bus.messages import Delivery
from libs.bus.tuning import Bury, Retry, Tuning, describe, is_killer, judge

LOG = logging.getLogger(__name__)
REMEMBERED = 10_000


class Failures:
    """How often this process's handler failed on each message. Deliveries that ended with their process, or whose
    acknowledgement was lost, are not the message's fault: a letter that came ten times may never have failed before."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, datetime], int] = {}

    def another(self, delivery: Delivery) -> int:
        """Notes one more and returns their number."""
        count = self._counts.pop(_key(delivery), 0) + 1
        self._counts[_key(delivery)] = count
        if len(self._counts) > REMEMBERED:
            del self._counts[next(iter(self._counts))]
        return count

    def forget(self, delivery: Delivery) -> None:
        self._counts.pop(_key(delivery), None)


async def attempt(
    deliver: Deliver, delivery: Delivery, *, service: str, clock: Clock, tuning: Tuning, failures: Failures
) -> Retry | Bury | None:
    """None when the handler is done with it and the message can be acknowledged."""
    if is_killer(delivery.attempt, tuning):
        return Bury(f"no handler lived to tell of it in {delivery.attempt - 1} deliveries", "killer")
    try:
        await _deliver(deliver, delivery, clock, tuning)
    except Exception as error:
        failed = failures.another(delivery)
        verdict = judge(error, attempt=failed, key=f"{service}:{delivery.seq}", tuning=tuning)
        if isinstance(verdict, Bury):
            failures.forget(delivery)
        LOG.info("%s, delivery %d: %s -> %s", delivery.subject, delivery.attempt, describe(error), verdict)
        return verdict
    failures.forget(delivery)
    return None


def _key(delivery: Delivery) -> tuple[int, datetime]:
    """The time tells a message from that of the same number in a stream that was lost."""
    return delivery.seq, delivery.time


async def _deliver(deliver: Deliver, delivery: Delivery, clock: Clock, tuning: Tuning) -> None:
    while True:
        try:
            async with time_limit(clock, tuning.handling_s):
                return await deliver(delivery)
        except NotNow as wait:
            await clock.sleep(wait.delay_s)
