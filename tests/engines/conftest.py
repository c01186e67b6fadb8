"""One node and one PostgreSQL for all tests of a module; each test has a namespace of its own in the one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from libs.testing.store_postgres import Postgres
from tests.engines.ground import Ground, running_node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with running_node(tmp_path_factory.mktemp("node")) as known:
        yield known


@pytest.fixture
def ground(node: tuple[str, str], postgres: Postgres, request: pytest.FixtureRequest) -> Ground:
    return Ground(*node, postgres)
