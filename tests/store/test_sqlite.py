"""The store on SQLite keeps what every store promises."""

import asyncio

import pytest

from libs.store import Store
from libs.testing.store import StoreFixtures, UnitOfWorkSuite
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


SLOW = (
    "INSERT INTO meta (key, value) WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count"
    " WHERE n < 300000) SELECT 'slow', MAX(n) FROM count"
)


class TestBrief(OnSQLite, StoreFixtures):
    """Brief statements run at once, without the connection's thread."""

    async def test_they_come_after_what_a_cancelled_task_has_left_in_the_thread(self, store: Store) -> None:
        async with store.write() as uow:
            slow = asyncio.create_task(uow.rows(SLOW))
            await asyncio.sleep(0)
            slow.cancel()
            assert await uow.meta("slow") == "300000"

    async def test_they_are_taken_back_with_their_transaction(self, store: Store) -> None:
        with pytest.raises(ValueError, match="no"):
            async with store.write() as uow:
                await uow.set_meta("key", "value")
                assert await uow.meta("key") == "value"
                raise ValueError("no")
        async with store.read() as reader:
            assert await reader.meta("key") is None
