"""What writers may expect who share a transaction: an error is one's own, the commit everybody's; to be inherited."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from sqlalchemy import text

from libs.base import AlreadyExists
from libs.store import FellApart, Store, UnitOfWork
from libs.store.store import COMMITTED
from libs.testing.store import PODS, StoreFixtures, a_letter, an_object, put, rv

Work = Callable[[UnitOfWork], Awaitable[None]]
TABLES = (
    "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
    "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
)


def inserts(name: str) -> Work:
    """Writes one object and says one letter."""

    async def work(uow: UnitOfWork) -> None:
        await uow.insert(PODS, an_object(name))
        uow.say(a_letter(f"letter-{name}"), f"millstream.test.{name}")

    return work


def fails(name: str) -> Work:
    """Writes as much, and then goes wrong."""

    async def work(uow: UnitOfWork) -> None:
        await inserts(name)(uow)
        raise ValueError(name)

    return work


def sql(statement: str) -> Work:
    """One statement over a table of the service's own."""

    async def work(uow: UnitOfWork) -> None:
        await uow.session.exec(text(statement))  # type: ignore[call-overload]

    return work


async def one(store: Store, work: Work) -> BaseException | None:
    try:
        async with store.write_together() as uow:
            await work(uow)
    except (Exception, asyncio.CancelledError) as error:
        return error
    return None


async def crowd(store: Store, *works: Work) -> Sequence[BaseException | None]:
    """Lets them come while another writes, so that they are together; returns what each raised."""
    async with store.write():
        tasks = [asyncio.create_task(one(store, work)) for work in works]
        await asyncio.sleep(0.01)
    return await asyncio.gather(*tasks)


async def names(store: Store) -> list[str]:
    async with store.read() as reader:
        return [each["metadata"]["name"] for each in await reader.list(PODS)]


def commits() -> float:
    """How many there were in this process."""
    return next(s.value for m in COMMITTED.real.collect() for s in m.samples if s.name.endswith("_count"))


class TogetherSuite(StoreFixtures):
    """Store.write_together."""

    async def test_who_comes_while_another_writes_shares_the_next_commit(self, store: Store) -> None:
        before = commits()
        assert await crowd(store, *map(inserts, "abcde")) == [None] * 5
        assert commits() - before == 2
        async with store.read() as reader:
            changes = await reader.changes_since(0)
        assert [(c.seq, c.name, c.letter and c.letter["id"]) for c in changes] == [
            (seq, name, f"letter-{name}") for seq, name in enumerate("abcde", 1)
        ]

    async def test_who_is_alone_is_committed_at_once(self, store: Store) -> None:
        for name in "ab":
            before = commits()
            assert await one(store, inserts(name)) is None
            assert commits() - before == 1
        assert await names(store) == ["a", "b"]

    @pytest.mark.parametrize("bad", [0, 1, 4], ids=["first", "second", "last"])
    async def test_an_error_takes_back_its_own_work_and_no_other(self, store: Store, bad: int) -> None:
        works = [fails(name) if at == bad else inserts(name) for at, name in enumerate("abcde")]
        raised = await crowd(store, *works)
        assert [type(error) for error in raised] == [ValueError if at == bad else type(None) for at in range(5)]
        assert await names(store) == [name for at, name in enumerate("abcde") if at != bad]
        assert [row.seq for row in await store.outbox.unsaid()] == [1, 2, 3, 4]

    async def test_each_sees_what_those_before_it_did(self, store: Store) -> None:
        raised = await crowd(store, inserts("a"), inserts("a"), inserts("b"))
        assert isinstance(raised[1], AlreadyExists)
        assert await names(store) == ["a", "b"]

    async def test_the_feed_hears_of_them_in_their_order(self, store: Store) -> None:
        await crowd(store, inserts("a"), fails("x"), inserts("b"))
        (more,) = await put(store, "c")
        heard = []
        async for change in store.feed.subscribe(PODS, 0):
            heard.append((change.seq, change.name))
            if change.seq == rv(more):
                break
        assert heard == [(1, "a"), (2, "b"), (3, "c")]

    async def test_a_failing_session_takes_back_its_own_work_and_no_other(self, store: Store) -> None:
        for table in TABLES:
            assert await one(store, sql(table)) is None
        parent = "INSERT INTO parents VALUES ({})".format
        raised = await crowd(store, *(sql(parent(n)) for n in (1, 2, 2, 3)), inserts("a"))
        assert [error is None for error in raised] == [True, True, False, True, True]
        async with store.read() as reader:
            await reader.last_seq()
            assert [row[0] for row in await reader.session.exec(text("SELECT id FROM parents"))] == [1, 2, 3]  # type: ignore[call-overload]
        assert await names(store) == ["a"]

    async def test_a_commit_that_fails_is_told_to_all_and_each_can_do_it_again_alone(self, store: Store) -> None:
        for table in TABLES:
            assert await one(store, sql(table)) is None
        orphan = sql("INSERT INTO children VALUES (1, 7)")
        raised = await crowd(store, inserts("a"), orphan, inserts("b"))
        assert [type(error) for error in raised] == [FellApart] * 3
        assert await names(store) == []
        alone = await one(store, orphan)
        assert alone is not None and not isinstance(alone, FellApart)
        assert await crowd(store, inserts("a"), inserts("b")) == [None, None]

    async def test_one_that_is_cancelled_in_its_turn_leaves_the_others_whole(self, store: Store) -> None:
        async def cancels_itself(uow: UnitOfWork) -> None:
            await uow.insert(PODS, an_object("x"))
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(60)

        raised = await crowd(store, inserts("a"), cancels_itself, inserts("b"))
        assert isinstance(raised[1], asyncio.CancelledError)
        assert await names(store) == ["a", "b"]

    async def test_one_that_gives_up_waiting_is_passed_over(self, store: Store) -> None:
        async with store.write():
            tasks = [asyncio.create_task(one(store, inserts(name))) for name in "abc"]
            await asyncio.sleep(0.01)
            tasks[1].cancel()
        await asyncio.gather(*tasks)
        assert await names(store) == ["a", "c"]

    async def test_a_second_unit_of_work_in_the_same_task_is_refused(self, store: Store) -> None:
        async def nests(uow: UnitOfWork) -> None:
            async with store.write():
                raise AssertionError("two at once")

        raised = await crowd(store, inserts("a"), nests)
        assert isinstance(raised[1], RuntimeError) and "pass it on" in str(raised[1])
        async with store.write():
            with pytest.raises(RuntimeError, match="pass it on"):
                async with store.write_together():
                    raise AssertionError("two at once")
