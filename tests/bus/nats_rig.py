"""A real nats-server and buses on it, torn down at the end of a test."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nats

from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus, Tuning
from libs.testing.bus_rig import QUICK, Rig
from libs.testing.bus_server import NatsServer


class NatsRig(Rig):
    def __init__(self, home: Path, tuning: Tuning = QUICK) -> None:
        self.server = NatsServer(home / "nats")
        self._tuning = tuning
        self._buses: list[Bus] = []

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await asyncio.gather(*(bus.close() for bus in self._buses))
        finally:
            self.server.kill()

    async def connect(self, service: str) -> Bus:
        bus = await Bus.connect(
            self.server.url,
            service=service,
            clock=SystemClock(),
            ids=SystemIds(),
            tuning=self._tuning,
            monitor_url=self.server.monitor_url,
        )
        self._buses.append(bus)
        return bus

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def restart(self) -> None:
        await self.server.restart()

    async def wipe(self) -> None:
        await self.server.wipe()

    async def drop_consumer(self, name: str) -> None:
        await self.jetstream("delete_consumer", "millstream", name)

    async def jetstream(self, call: str, *args: Any, **kwargs: Any) -> Any:
        """One call on a connection of one's own, as an operator would make it."""
        nc = await nats.connect(self.server.url)
        try:
            return await getattr(nc.jetstream(), call)(*args, **kwargs)
        finally:
            await nc.close()
