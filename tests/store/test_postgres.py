"""The store on PostgreSQL keeps what every store promises."""

import pytest

from libs.testing.store import UnitOfWorkSuite
from libs.testing.store_feed import FeedSuite, OutboxSuite
from libs.testing.store_leases import LeaseSuite


class OnPostgreSQL:
    @pytest.fixture
    def store_url(self, postgres_url: str) -> str:
        return postgres_url


class TestUnitOfWork(OnPostgreSQL, UnitOfWorkSuite): ...


class TestFeed(OnPostgreSQL, FeedSuite): ...


class TestOutbox(OnPostgreSQL, OutboxSuite): ...


class TestLeases(OnPostgreSQL, LeaseSuite): ...
