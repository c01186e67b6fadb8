"""The store on PostgreSQL keeps what every store promises."""

import pytest

from libs.testing.store import UnitOfWorkSuite
from libs.testing.store_feed import FeedSuite, OutboxSuite
from libs.testing.store_leases import LeaseSuite
from libs.testing.store_together import TogetherSuite


class OnPostgreSQL:
    @pytest.fixture
    def store_url(self, postgres_url: str) -> str:
        return postgres_url


class TestUnitOfWork(OnPostgreSQL, UnitOfWorkSuite): ...


class TestTogether(OnPostgreSQL, TogetherSuite): ...


class TestFeed(OnPostgreSQL, FeedSuite): ...


class TestOutbox(OnPostgreSQL, OutboxSuite): ...


class TestLeases(OnPostgreSQL, LeaseSuite): ...
