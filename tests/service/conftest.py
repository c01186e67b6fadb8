"""A broker for the tests of the shell."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.testing.bus_server import NatsServer


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A real one, which a test may kill and start again."""
    server = NatsServer(tmp_path / "nats", sync_always=False)
    await server.start()
    yield server
    server.kill()
