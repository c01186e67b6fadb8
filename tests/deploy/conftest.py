"""The builds of deploy/, made once for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.deploy.builds import Object, build_all


@pytest.fixture(scope="session")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Object] | AssertionError]:
    """Name of a combination -> its objects, or why it could not be built."""
    return build_all(tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="session")
def built(attempts: dict[str, list[Object] | AssertionError]) -> dict[str, list[Object]]:
    """Those that could be built; tests/deploy/test_builds.py says which could not."""
    return {name: objects for name, objects in attempts.items() if not isinstance(objects, AssertionError)}


@pytest.fixture(scope="session")
def production(built: dict[str, list[Object]]) -> list[Object]:
    return built["overlays/production"]
