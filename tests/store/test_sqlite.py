"""The store on SQLite keeps what every store promises."""

import pytest

from libs.testing.store import UnitOfWorkSuite
from libs.testing.store_feed import FeedSuite, OutboxSuite
from libs.testing.store_leases import LeaseSuite
from libs.testing.store_together import TogetherSuite


class OnSQLite:
    @pytest.fixture
    def store_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestUnitOfWork(OnSQLite, UnitOfWorkSuite): ...


class TestTogether(OnSQLite, TogetherSuite): ...


class TestFeed(OnSQLite, FeedSuite): ...


class TestOutbox(OnSQLite, OutboxSuite): ...


class TestLeases(OnSQLite, LeaseSuite): ...
