"""The bus on a real nats-server passes the suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.testing.bus_rig import Rig
from libs.testing.bus_suite import BusRecoverySuite, BusSuite
from tests.bus.nats_rig import NatsRig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with NatsRig(tmp_path) as rig:
        yield rig


class TestNatsBus(BusSuite):
    pass


class TestNatsBusRecovery(BusRecoverySuite):
    pass
