"""Time as an argument: the one place that reads the machine's clock; nothing may assume that seconds are real."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What a room may ask of time. A simulation answers with its own."""

    def now(self) -> datetime:
        """Wall-clock time, always aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns no sooner than `seconds` later by `monotonic`."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def rfc3339(t: datetime) -> str:
    """`2026-11-22T10:00:00Z`: the form of Kubernetes' `Time`, whole seconds."""
    return t.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(t: datetime) -> str:
    """`2026-11-22T10:00:00.000000Z`: the form of Kubernetes' `MicroTime`; texts sort as the times do."""
    return t.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> datetime:
    """Reads both forms back, and any other offset; raises ValueError for a time without one."""
    t = datetime.fromisoformat(text)
    if t.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: end it with Z or an offset such as +01:00")
    return t.astimezone(UTC)


def milliseconds(t: datetime) -> int:
    """Since the epoch, as rows of the stores have times."""
    return int(t.timestamp() * 1000)


def from_milliseconds(ms: int) -> datetime:
    """In UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


LONGEST_S = 10**9


def span(seconds: float) -> timedelta:
    """So many seconds, at most thirty years of them: people write what no calendar can add, and mean "for ever"."""
    return timedelta(seconds=max(-LONGEST_S, min(seconds, LONGEST_S)))
