"""The databases that the suites run against."""

from pathlib import Path

import pytest

from libs.testing.store_postgres import Postgres


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    return postgres.emptied_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store/test.db"


@pytest.fixture(params=["sqlite", "postgres"])
def any_url(request: pytest.FixtureRequest) -> str:
    """The same test once for each database."""
    return request.getfixturevalue(f"{request.param}_url")
