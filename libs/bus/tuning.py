"""The numbers of delivery, and what follows from an attempt that failed: pure, the same for NATS and for its double."""

import zlib
from dataclasses import dataclass, field
from typing import Literal

from libs.bus.errors import Poison

CAUSES = ("malformed", "invalid", "poison", "failed", "killer")
"""The sorts of reason for which a message is given up: no letter, no valid object, refused by its handler, failed too
often, or delivered too often without any result."""


@dataclass(frozen=True)
class Tuning:
    """How patient the bus is. All times in seconds."""

    max_attempts: int = 10
    """Failures in one process after which a message becomes a dead letter."""
    max_unfinished: int = 40
    """Deliveries after which a message whose handler never even failed (it kills its process) becomes one."""
    backoff_first_s: float = 0.2
    backoff_max_s: float = 60.0
    ack_wait_s: float = 5.0
    """A delivery of which nothing is heard for so long is given to another replica, or to this one's next life. What is
    in hand is told of three times as often, so it bounds the wait after kill -9, not the time of a handler."""
    handling_s: float = 300.0
    """A handler that takes longer is cancelled and counted as failed."""
    max_ack_pending: int = 1000
    publish_s: float = 5.0
    """How long `publish` tries before it raises."""
    watch_s: float = 5.0
    """How often streams and consumers are looked after."""
    retain_s: float = 14 * 86400.0
    duplicate_window_s: float = 600.0
    replicas: int = 1
    durability: Literal["ignore", "warn", "refuse"] = "warn"
    """What to do at start-up about a broker that acknowledges before its disk has the message, or does not tell."""


@dataclass(frozen=True)
class Retry:
    """Bring the message again in `delay_s` seconds."""

    delay_s: float


@dataclass(frozen=True)
class Bury:
    """Put the message with the dead letters, for `reason`; `cause` is the sort of reason, one of `CAUSES`."""

    reason: str
    cause: str = field(default="failed", compare=False)


def judge(error: BaseException, *, attempt: int, key: str, tuning: Tuning) -> Retry | Bury:
    """What becomes of a delivery whose handler raised `error`, for the `attempt`-th time in this process. `key` spreads
    the retries of different messages."""
    if isinstance(error, Poison):
        return Bury(error.reason, error.cause)
    reason = describe(error)
    return Bury(reason) if attempt >= tuning.max_attempts else Retry(backoff(attempt, key, tuning))


def is_killer(attempt: int, tuning: Tuning) -> bool:
    """Whether so many deliveries went without any result that the message must be what ends its handlers."""
    return attempt > tuning.max_unfinished


def backoff(attempt: int, key: str, tuning: Tuning) -> float:
    """Seconds before attempt + 1: doubling, capped, times a jitter in [0.5, 1) that the key decides, not chance."""
    ceiling = min(tuning.backoff_max_s, tuning.backoff_first_s * 2.0 ** min(attempt - 1, 30))
    return ceiling * (0.5 + zlib.crc32(f"{key}:{attempt}".encode()) / 2**33)


def describe(error: BaseException) -> str:
    """One line for people: the error's class and text."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
