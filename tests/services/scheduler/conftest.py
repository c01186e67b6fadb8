"""A running scheduler with room for two cores in the default queue."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.scheduler.rig import Rig, running


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(tmp_path) as made:
        yield made
