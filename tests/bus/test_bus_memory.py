"""The bus in memory passes what the real one passes, and does so on simulated time alone."""

import pytest

from libs.bus import Bus
from libs.testing.bus import MemoryBus
from libs.testing.bus_broker import MemoryBroker
from libs.testing.bus_rig import QUICK, Rig
from libs.testing.bus_suite import BusRecoverySuite, BusSuite
from libs.testing.clock import VirtualClock


class MemoryRig(Rig):
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.broker = MemoryBroker(self.clock, tuning=QUICK)

    async def connect(self, service: str) -> Bus:
        return MemoryBus(self.broker, service)

    async def wait(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def restart(self) -> None:
        self.broker.stop()
        await self.wait(0.05)
        self.broker.start()

    async def wipe(self) -> None:
        self.broker.stop()
        await self.wait(0.05)
        self.broker.wipe()
        self.broker.start()

    async def drop_consumer(self, name: str) -> None:
        self.broker.drop_consumer(name)


@pytest.fixture
def rig() -> Rig:
    return MemoryRig()


class TestMemoryBus(BusSuite):
    pass


class TestMemoryBusRecovery(BusRecoverySuite):
    pass
