"""One delivery brought to a handler, and what is to become of it: the same for NATS and for its double."""

import logging

from libs.base.clock import Clock
from libs.bus.api import Deliver
from libs.bus.errors import NotNow
from libs.bus.limit import time_limit
from libs.bus.messages import Delivery
from libs.bus.tuning import Bury, Retry, Tuning, describe, is_killer, judge

LOG = logging.getLogger(__name__)


async def attempt(
    deliver: Deliver, delivery: Delivery, *, service: str, clock: Clock, tuning: Tuning
) -> Retry | Bury | None:
    """None when the handler is done with it and the message can be acknowledged."""
    if is_killer(delivery.attempt, tuning):
        return Bury(f"no handler lived to tell of it in {delivery.attempt - 1} deliveries")
    try:
        await _deliver(deliver, delivery, clock, tuning)
    except Exception as error:
        verdict = judge(error, attempt=delivery.attempt, key=f"{service}:{delivery.seq}", tuning=tuning)
        LOG.info("%s, delivery %d: %s -> %s", delivery.subject, delivery.attempt, describe(error), verdict)
        return verdict
    return None


async def _deliver(deliver: Deliver, delivery: Delivery, clock: Clock, tuning: Tuning) -> None:
    while True:
        try:
            async with time_limit(clock, tuning.handling_s):
                return await deliver(delivery)
        except NotNow as wait:
            await clock.sleep(wait.delay_s)
