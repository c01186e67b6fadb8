"""What the bus's conformance suite needs of an implementation, and small helpers to write its stories with."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

from libs.bus import Bus, Delivery, Tuning

T = TypeVar("T")

QUICK = Tuning(
    max_attempts=3,
    max_unfinished=6,
    backoff_first_s=0.02,
    backoff_max_s=0.1,
    ack_wait_s=1.0,
    publish_s=8.0,
    watch_s=0.3,
)
PATIENCE_S = 30.0
STEP_S = 0.02
APPLY, CREATED = "letters.letter.apply.v1", "letters.letter.created.v1"


class Rig(ABC):
    """One broker and whoever speaks with it."""

    @abstractmethod
    async def connect(self, service: str) -> Bus:
        """A new bus of `service`, with the tuning :data:`QUICK`."""

    @abstractmethod
    async def wait(self, seconds: float) -> None:
        """Lets time pass."""

    @abstractmethod
    async def restart(self) -> None:
        """The broker is killed and comes back."""

    @abstractmethod
    async def wipe(self) -> None:
        """The broker is killed, loses its directory and comes back."""

    @abstractmethod
    async def drop_consumer(self, name: str) -> None:
        """Somebody deletes a durable consumer."""

    async def until(self, holds: Callable[[], bool]) -> None:
        """Lets time pass until `holds()`; fails the test if it never does."""
        for _ in range(int(PATIENCE_S / STEP_S)):
            if holds():
                return
            await self.wait(STEP_S)
        raise AssertionError("it did not happen in time")

    async def done(self, work: Awaitable[T]) -> T:
        """The result of `work`, with time passing meanwhile."""
        task = asyncio.ensure_future(work)
        await self.until(task.done)
        return await task


class Listener:
    """A handler that remembers what it was brought and fails as it is told."""

    def __init__(self, act: Callable[[Delivery], Awaitable[None]] | None = None) -> None:
        self.deliveries: list[Delivery] = []
        self._act = act

    async def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self._act:
            await self._act(delivery)

    @property
    def heard(self) -> list[bytes]:
        """The bodies brought, in order, repetitions included."""
        return [delivery.data for delivery in self.deliveries]

    def count(self, body: bytes) -> int:
        """How often `body` was brought."""
        return self.heard.count(body)


async def listen(
    rig: Rig, service: str, *types: str, act: Callable[[Delivery], Awaitable[None]] | None = None
) -> Listener:
    """A new replica of `service` that hears `types`."""
    bus = await rig.connect(service)
    await bus.ensure(service, types)
    listener = Listener(act)
    await bus.subscribe(listener)
    return listener


def subject(type: str, namespace: str = "default") -> str:
    """Where a type is said."""
    return f"millstream.{type}.{namespace}"


def answer_to(command_id: str, **attributes: str) -> bytes:
    """The body of a letter that was caused by `command_id`."""
    return json.dumps({"causationid": command_id, **attributes}).encode()
