"""What every store's feed, outbox, inbox and trimming must do; inherit it beside `UnitOfWorkSuite`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from libs.base import Gone
from libs.store import Change, Store, keep_trimmed, trim
from libs.testing.clock import VirtualClock
from libs.testing.store import JOBS, PODS, StoreFixtures, a_letter, an_object, put, rv


async def take(changes: AsyncIterator[Change], n: int) -> list[Change]:
    """The next `n` changes; fails when they do not come."""
    async with asyncio.timeout(30):
        return [await anext(changes) for _ in range(n)]


async def oldest(store: Store) -> int:
    async with store.read() as reader:
        return await reader.oldest_seq()


class FeedSuite(StoreFixtures):
    """The change log as it grows."""

    async def test_a_subscriber_gets_the_past_and_then_what_comes(self, store: Store) -> None:
        await put(store, "a", "b")
        feed = store.feed.subscribe(None, 1)
        assert [c.name for c in await take(feed, 1)] == ["b"]
        await put(store, "c")
        assert [c.name for c in await take(feed, 1)] == ["c"]

    async def test_a_subscriber_of_one_resource_gets_no_other(self, store: Store) -> None:
        feed = store.feed.subscribe(JOBS, 0)
        await put(store, "a")
        await put(store, "j", resource=JOBS)
        async with store.write() as uow:
            uow.say(a_letter("1"), "s")
        await put(store, "k", resource=JOBS)
        assert [c.name for c in await take(feed, 2)] == ["j", "k"]

    async def test_many_subscribers_get_the_same_changes_in_the_same_order(self, store: Store) -> None:
        feeds = [store.feed.subscribe(None, 0) for _ in range(20)]
        readers = [asyncio.create_task(take(feed, 30)) for feed in feeds]
        await asyncio.gather(*(put(store, *(f"{w}-{n}" for n in range(10))) for w in "abc"))
        got = await asyncio.gather(*readers)
        assert all([c.seq for c in changes] == list(range(1, 31)) for changes in got)

    async def test_a_commit_of_another_replica_is_seen_at_the_next_look(
        self, store: Store, replica: Callable[[], Any], clock: VirtualClock
    ) -> None:
        other = await replica()
        feed = store.feed.subscribe(None, 0)
        first = asyncio.create_task(take(feed, 2))
        await put(other, "a", "b")
        for _ in range(200):
            await clock.advance(1.0)
            await asyncio.sleep(0.005)
            if first.done():
                break
        assert [c.name for c in await first] == ["a", "b"]

    async def test_commits_of_two_replicas_reach_a_subscriber_in_seq_order(
        self, store: Store, replica: Callable[[], Any]
    ) -> None:
        other = await replica()
        feed = store.feed.subscribe(None, 0)
        for n in range(5):
            await put(other, f"other-{n}")
            await put(store, f"own-{n}")
        assert [c.seq for c in await take(feed, 10)] == list(range(1, 11))

    async def test_waiting_ends_with_a_commit_or_with_its_time(self, store: Store, clock: VirtualClock) -> None:
        waiting = asyncio.create_task(store.feed.wait_beyond(0, 30))
        await asyncio.sleep(0)
        await put(store, "a")
        assert await waiting == 1
        idle = asyncio.create_task(store.feed.wait_beyond(1, 30))
        await clock.advance(29)
        assert not idle.done()
        await clock.advance(2)
        assert await idle == 1

    async def test_a_future_version_is_gone(self, store: Store) -> None:
        await put(store, "a")
        with pytest.raises(Gone, match="too large resource version: 9"):
            await take(store.feed.subscribe(None, 9), 1)

    async def test_a_list_of_another_replica_can_be_watched_here(
        self, store: Store, replica: Callable[[], Any]
    ) -> None:
        other = await replica()
        (made,) = await put(other, "a")
        feed = store.feed.subscribe(None, rv(made))
        reading = asyncio.create_task(take(feed, 1))
        await asyncio.sleep(0.05)
        await put(store, "b")
        assert [c.name for c in await reading] == ["b"]

    async def test_what_was_trimmed_is_gone_and_the_rest_is_not(self, store: Store) -> None:
        await put(store, *"abcdefgh")
        assert await trim(store, keep_rows=3) == 5
        async with store.read() as reader:
            assert await reader.oldest_seq() == 5
            assert [c.seq for c in await reader.changes_since(5)] == [6, 7, 8]
            with pytest.raises(Gone, match=r"too old resource version: 4 \(5\)"):
                await reader.changes_since(4)
            assert len(await reader.list(PODS)) == 8

    async def test_of_much_only_the_newest_stays_to_be_watched_and_every_letter(self, store: Store) -> None:
        for name in "abcd":
            async with store.write() as uow:
                await uow.insert(PODS, an_object(name, spec="x" * 1000))
        async with store.write() as uow:
            await uow.insert(PODS, an_object("told", spec="x" * 1000))
            uow.say(a_letter("1"), "s")
        await store.outbox.mark_said([5])
        await put(store, "last")
        assert store.feed.written > 5000
        assert await trim(store, keep_size=2500) == 2
        async with store.read() as reader:
            assert [change.seq for change in await reader.changes_since(2)] == [3, 4, 5, 6]
            with pytest.raises(Gone, match=r"too old resource version: 1 \(2\)"):
                await reader.changes_since(1)
        assert await trim(store, keep_size=0) == 2, "all but the letter and the newest"
        assert await store.outbox.forget_said() == 1
        assert rv((await put(store, "more"))[0]) == 7

    async def test_what_is_written_at_a_stretch_is_trimmed_out_of_turn(self, store: Store, clock: VirtualClock) -> None:
        keeping = asyncio.create_task(keep_trimmed(store, 600.0, keep_size=4000))
        await put(store, "few")
        await clock.advance(300)
        assert await oldest(store) == 0
        await put(store, *(f"pod-{number}" for number in range(50)))
        async with asyncio.timeout(5):
            while await oldest(store) == 0:
                await clock.advance(1)
                await asyncio.sleep(0.01)
        assert clock.monotonic() < 600
        keeping.cancel()

    async def test_a_subscriber_from_before_the_trimming_must_list_again(
        self, store: Store, replica: Callable[[], Any]
    ) -> None:
        await put(store, *"abcdef")
        await trim(store, keep_rows=2)
        with pytest.raises(Gone):
            await take((await replica()).feed.subscribe(None, 1), 1)

    async def test_trimming_by_age_keeps_the_newest_row_and_its_version(
        self, store: Store, clock: VirtualClock, replica: Callable[[], Any]
    ) -> None:
        await put(store, "a", "b")
        await clock.advance(8 * 86_400)
        assert await trim(store) == 1
        assert await trim(store) == 0
        await store.close()
        assert rv((await put(await replica(), "c"))[0]) == 3


class OutboxSuite(StoreFixtures):
    """Letters, said and heard."""

    async def test_a_letter_rides_on_the_change_of_its_transaction(self, store: Store) -> None:
        async with store.write() as uow:
            await uow.insert(PODS, an_object("a"))
            uow.say(a_letter("1"), "millstream.x.default")
            uow.say(a_letter("2"), "millstream.y.default")
        first, second = await store.outbox.unsaid()
        assert (first.op, first.name, first.subject, first.letter) == (
            "ADDED", "a", "millstream.x.default", a_letter("1"),
        )  # fmt: skip
        assert (second.op, second.resource, second.namespace, second.body) == ("SAID", "", "default", None)

    async def test_letters_leave_in_the_order_they_were_said(self, store: Store) -> None:
        async with store.write() as uow:
            uow.say(a_letter("1"), "s")
            await uow.insert(PODS, an_object("a"))
            await uow.insert(PODS, an_object("b"))
            uow.say(a_letter("2"), "s")
            uow.say(a_letter("3"), "s")
            uow.say(a_letter("4"), "s")
        assert [(c.letter or {})["id"] for c in await store.outbox.unsaid()] == ["1", "2", "3", "4"]
        assert [c.seq for c in await store.outbox.unsaid(limit=2)] == [1, 2]

    async def test_what_was_said_is_not_said_again(self, store: Store) -> None:
        for id in "123":
            async with store.write() as uow:
                uow.say(a_letter(id), "s")
        await store.outbox.mark_said([1, 3])
        await store.outbox.mark_said([])
        assert [c.seq for c in await store.outbox.unsaid()] == [2]

    async def test_marking_moves_no_version_and_wakes_nobody(self, store: Store) -> None:
        async with store.write() as uow:
            uow.say(a_letter("1"), "s")
        await store.outbox.mark_said([1])
        assert store.feed.head == 1
        async with store.read() as reader:
            assert await reader.last_seq() == 1
            assert (await reader.changes_since(0))[0].said_at is not None

    async def test_after_a_lost_broker_everything_retained_is_unsaid_again(self, store: Store) -> None:
        for id in "1234":
            async with store.write() as uow:
                uow.say(a_letter(id), "s")
        await store.outbox.mark_said([1, 2, 3])
        assert await store.outbox.forget_said(1) == 2
        assert [c.seq for c in await store.outbox.unsaid()] == [2, 3, 4]
        assert await store.outbox.forget_said() == 1

    async def test_forgetting_by_age_leaves_older_letters_said(self, store: Store, clock: VirtualClock) -> None:
        for id in "12":
            async with store.write() as uow:
                uow.say(a_letter(id), "s")
            await store.outbox.mark_said([int(id)])
            await clock.advance(3600)
        assert await store.outbox.forget_said(age=timedelta(minutes=90)) == 1
        assert [c.seq for c in await store.outbox.unsaid()] == [2]

    async def test_unsaid_letters_survive_the_trimming(self, store: Store) -> None:
        for id in "123":
            async with store.write() as uow:
                uow.say(a_letter(id), "s")
        await store.outbox.mark_said([1, 3])
        await put(store, "a")
        assert await trim(store, keep_rows=1) == 2
        assert [c.seq for c in await store.outbox.unsaid()] == [2]

    async def test_a_consumer_takes_an_event_once(self, store: Store) -> None:
        async with store.write() as uow:
            assert await uow.first_time("trainer", "e1")
            assert not await uow.first_time("trainer", "e1")
            assert await uow.first_time("scheduler", "e1")
        async with store.write() as uow:
            assert not await uow.first_time("trainer", "e1")

    async def test_the_inbox_outlives_the_changes_and_is_trimmed_too(self, store: Store, clock: VirtualClock) -> None:
        async with store.write() as uow:
            await uow.first_time("trainer", "e1")
        for days, known in ((10, True), (10, False)):
            await clock.advance(days * 86_400)
            await trim(store)
            async with store.read() as reader:
                assert bool(await reader.rows("SELECT at FROM inbox")) is known
