"""A broker in memory: one stream, its dead letters, durable consumers. It has no threads and no time of its own."""

import asyncio
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libs.base.clock import Clock
from libs.bus.messages import Delivery, Message, PubAck
from libs.bus.tuning import Tuning
from libs.testing.bus_faults import Fault, Faults, no_faults

LATE_S = 1.0


def matches(filter: str, subject: str) -> bool:
    """NATS' rule: `*` is one token, `>` at the end one or more."""
    wanted, given = filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))


@dataclass
class Stream:
    """Messages in the order of their arrival; the n-th has seq n."""

    messages: list[Message] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    ids: dict[str, tuple[int, float]] = field(default_factory=dict)

    def store(
        self, subject: str, headers: Mapping[str, str], data: bytes, msg_id: str, clock: Clock, window_s: float
    ) -> PubAck:
        """Appends, unless the id was stored within the window."""
        known = self.ids.get(msg_id)
        if known is not None and clock.monotonic() - known[1] < window_s:
            return PubAck(known[0], duplicate=True)
        seq = len(self.messages) + 1
        self.messages.append(Message(subject, dict(headers), data, seq, clock.now()))
        self.ids[msg_id] = (seq, clock.monotonic())
        return PubAck(seq)


@dataclass
class Consumer:
    """What a durable consumer remembers: how far it read, what is in hand until when, what comes again when."""

    filters: Sequence[str]
    late_s: float = LATE_S
    read: int = 0
    attempts: dict[int, int] = field(default_factory=dict)
    in_hand: dict[int, float] = field(default_factory=dict)
    again: deque[tuple[float, int]] = field(default_factory=deque)

    def take(self, stream: Stream, now: float, faults: Faults) -> Delivery | None:
        """The next message that is due at `now`."""
        self._expire(now)
        seq = self._due(now) or self._fresh(stream, now, faults)
        if seq is None:
            return None
        self.attempts[seq] = self.attempts.get(seq, 0) + 1
        self.in_hand[seq] = math.inf  # its subscription keeps it alive
        if faults(Fault.DELIVERED_TWICE):
            self.again.append((now, seq))
        m = stream.messages[seq - 1]
        return Delivery(m.subject, m.headers, m.data, m.seq, m.time, self.attempts[seq])

    def next_due(self) -> float | None:
        """When something comes again at the earliest."""
        times = [at for at, _ in self.again] + [at for at in self.in_hand.values() if at < math.inf]
        return min(times, default=None)

    def acked(self, seq: int) -> None:
        """It never comes again."""
        self.in_hand.pop(seq, None)
        self.again = deque(entry for entry in self.again if entry[1] != seq)

    def nacked(self, seq: int, at: float) -> None:
        """It comes again at `at`."""
        self.in_hand.pop(seq, None)
        self.again.append((at, seq))

    def abandoned(self, seq: int, until: float) -> None:
        """Nobody works on it any more, but the broker will only know at `until`."""
        if seq in self.in_hand:
            self.in_hand[seq] = until

    def _expire(self, now: float) -> None:
        for seq in [seq for seq, until in self.in_hand.items() if until <= now]:
            self.nacked(seq, now)

    def _due(self, now: float) -> int | None:
        for entry in sorted(self.again):
            if entry[0] <= now:
                self.again.remove(entry)
                return entry[1]
        return None

    def _fresh(self, stream: Stream, now: float, faults: Faults) -> int | None:
        while self.read < len(stream.messages):
            self.read += 1
            if not any(matches(filter, stream.messages[self.read - 1].subject) for filter in self.filters):
                continue
            if not faults(Fault.DELIVERED_LATE):
                return self.read
            self.again.append((now + self.late_s, self.read))
        return None


class MemoryBroker:
    """Shared by the buses of all services of a test or a simulation."""

    def __init__(
        self, clock: Clock, *, tuning: Tuning | None = None, faults: Faults = no_faults, late_s: float = LATE_S
    ) -> None:
        self.clock, self.tuning, self.faults, self.late_s = clock, tuning or Tuning(), faults, late_s
        self.up = True
        self.life = 1
        self.stream, self.dead = Stream(), Stream()
        self._consumers: dict[str, Consumer] = {}
        self._waiting: dict[asyncio.Event, None] = {}

    def stop(self) -> None:
        """The broker is killed: nothing gets in or out, what it stored stays."""
        self.up = False
        self.wake()

    def start(self) -> None:
        """The broker is back."""
        self.up = True
        self.wake()

    def wipe(self) -> None:
        """The broker loses its whole directory: streams, ids, consumers."""
        self.life += 1
        self.stream, self.dead = Stream(), Stream()
        self._consumers.clear()
        self.wake()

    def drop_consumer(self, name: str) -> None:
        """Somebody deletes a consumer under its running subscriber."""
        self._consumers.pop(name, None)
        self.wake()

    def consumer(self, name: str, filters: Sequence[str]) -> Consumer:
        """The durable consumer, made where it is missing; it hears `filters` from now on."""
        found = self._consumers.setdefault(name, Consumer(filters, self.late_s))
        found.filters = filters
        return found

    def wake(self) -> None:
        """Something changed: everyone who waits looks again."""
        for event in list(self._waiting):
            event.set()

    async def changed(self, event: asyncio.Event, due: float | None) -> None:
        """Waits for a change, or until `due` by the clock; `event` is the waiter's own and is cleared."""
        self._waiting[event] = None
        sleeper = None if due is None else asyncio.ensure_future(self._ring(event, due))
        try:
            await event.wait()
        finally:
            event.clear()
            self._waiting.pop(event, None)
            if sleeper:
                sleeper.cancel()

    async def _ring(self, event: asyncio.Event, due: float) -> None:
        await self.clock.sleep(max(0.0, due - self.clock.monotonic()))
        event.set()
