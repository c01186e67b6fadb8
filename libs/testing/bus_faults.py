"""What may go wrong between a service and its broker, drawn from a seed so that a bad night can be had again."""

import random
from collections.abc import Callable, Mapping
from enum import StrEnum


class Fault(StrEnum):
    """A moment at which the double can fail."""

    PUBLISH_LOST = "publish lost"  # never stored, no ack
    PUBLISH_UNHEARD = "publish unheard"  # stored, but the ack did not come back
    ACK_LOST = "ack lost"  # handled, but the broker does not know: the message comes again
    DELIVERED_TWICE = "delivered twice"  # a second delivery while the first is still in hand
    DELIVERED_LATE = "delivered late"  # overtaken by what was said after it


Faults = Callable[[Fault], bool]
"""Asked at each such moment: does it go wrong this time?"""


def no_faults(fault: Fault) -> bool:
    """All goes well."""
    return False


class SeededFaults:
    """Each fault at its own rate (0..1), from one seed."""

    def __init__(self, seed: int, rates: Mapping[Fault, float]) -> None:
        self._rng = random.Random(seed)
        self._rates = dict(rates)

    def __call__(self, fault: Fault) -> bool:
        return self._rng.random() < self._rates.get(fault, 0.0)
