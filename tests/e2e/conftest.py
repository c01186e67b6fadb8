"""One platform a test module: these tests kill parts of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platform import Platform, started


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with started(tmp_path_factory.mktemp("home")) as running:
        yield running
