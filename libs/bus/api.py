"""The bus as the rest of the platform sees it. It assumes no broker: NATS fulfils it, and a double in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime

from libs.base.clock import Clock
from libs.base.ids import Ids
from libs.bus.answers import answer_filters, answers
from libs.bus.errors import BusError, BusUnavailable, NoAnswer, NotNow, Poison, Unsafe
from libs.bus.limit import time_limit
from libs.bus.messages import DeadLetter, Delivery, Lag, Message, PubAck
from libs.bus.tuning import Tuning

__all__ = [
    "Bus",
    "BusError",
    "BusUnavailable",
    "DeadLetter",
    "Deliver",
    "Delivery",
    "Lag",
    "Message",
    "NoAnswer",
    "NotNow",
    "Poison",
    "PubAck",
    "Subscription",
    "Unsafe",
]

Deliver = Callable[[Delivery], Awaitable[None]]
"""Returns: the message is acknowledged. Raises :class:`Poison`: it becomes a dead letter. Raises :class:`NotNow`: it is
tried again in place, uncounted. Raises anything else: it comes again with back-off, and after `Tuning.max_attempts`
deliveries it becomes a dead letter."""


class Subscription(ABC):
    """A running subscription."""

    @abstractmethod
    async def stop(self, grace_s: float = 10.0) -> None:
        """Takes no more messages, waits `grace_s` for those in hand; what is unfinished then comes again elsewhere."""


class Bus(ABC):
    """One service's connection. Publishing is deduplicated by message id; delivery is at least once."""

    clock: Clock

    @staticmethod
    async def connect(
        url: str,
        *,
        service: str,
        clock: Clock,
        ids: Ids,
        tuning: Tuning | None = None,
        monitor_url: str | None = None,
        ca_file: str | None = None,
    ) -> Bus:
        """Connects to NATS at `url` and keeps trying for ever, now and after every loss.

        `monitor_url` is the broker's monitoring address, such as http://127.0.0.1:8222; with it the durability of the
        broker is verified, see `Tuning.durability`. `ca_file` (PEM) holds the authorities that the broker and an https
        monitoring address must be signed by; several servers of one cluster are a list with commas. Raises
        :class:`Unsafe`.
        """
        from libs.bus.nats_bus import NatsBus  # its imports take a second: only who connects pays

        return await NatsBus.open(
            url,
            service=service,
            clock=clock,
            ids=ids,
            tuning=tuning or Tuning(),
            monitor_url=monitor_url,
            ca_file=ca_file,
        )

    @abstractmethod
    async def ensure(self, manifest_name: str, hears: Sequence[str]) -> None:
        """Makes the streams and this service's durable consumer, and keeps them made from now on.

        `hears` are message types. What is there already with other settings is left as it is, but for the types heard.
        """

    @abstractmethod
    async def publish(self, subject: str, payload: bytes, *, headers: Mapping[str, str], msg_id: str) -> PubAck:
        """Stores the message, once in the duplicate window. Raises :class:`BusUnavailable`, BusError if too large."""

    @abstractmethod
    async def subscribe(self, deliver: Deliver, *, concurrency: int = 16) -> Subscription:
        """Brings every heard message to `deliver`, `concurrency` at a time, in no promised order, from now on."""

    @abstractmethod
    def follow(
        self, filters: Sequence[str], *, after_seq: int | None = None, since: datetime | None = None
    ) -> AsyncGenerator[Message, None]:
        """Messages on subjects that match a filter, in order, for ever: those stored after `after_seq` or from `since`
        on, or with neither only new ones. Touches no one's delivery. A wiped stream is followed from its start."""

    @abstractmethod
    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The oldest `limit` dead letters of all services."""

    @abstractmethod
    async def replay(self, seq: int) -> PubAck:
        """Says the original of dead letter `seq` again, to all who hear it, and discards it. Raises KeyError."""

    @abstractmethod
    async def discard(self, seq: int) -> None:
        """Forgets dead letter `seq`. Raises KeyError."""

    @abstractmethod
    async def lag(self) -> Lag:
        """How far this service is behind. Raises :class:`BusUnavailable`."""

    @abstractmethod
    def stream_identity(self) -> str:
        """Names the stream's life, as last looked up ("" before): it changes when the broker lost its directory."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether the broker can be spoken to now."""

    @abstractmethod
    async def close(self) -> None:
        """Stops all subscriptions and leaves the broker."""

    def tail(self, filter: str = ">", since: datetime | None = None) -> AsyncGenerator[Message, None]:
        """All messages whose subject matches `millstream.<filter>`, from `since` or from now on."""
        return self.follow([filter if filter.startswith("millstream.") else f"millstream.{filter}"], since=since)

    async def request(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str], msg_id: str, timeout_s: float
    ) -> Message:
        """Says a command and waits for its answer: the applied, rejected or deleted fact whose causationid is `msg_id`.

        Asking again with the same id finds the answer that was given already. Raises :class:`BusUnavailable`,
        :class:`NoAnswer`.
        """
        ack = await self.publish(subject, payload, headers=headers, msg_id=msg_id)
        try:
            replies = self.follow(answer_filters(subject), after_seq=ack.seq)
            async with time_limit(self.clock, timeout_s), aclosing(replies) as found:
                async for message in found:
                    if answers(message, msg_id):
                        return message
        except TimeoutError:
            pass
        raise NoAnswer(f"nobody answered {subject} within {timeout_s:g} s; is its service running?")
