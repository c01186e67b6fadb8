"""What every store's leases must do; time is the test's, so a takeover takes no waiting."""

import asyncio
from collections.abc import Callable
from typing import Any

from libs.store import Leader, Lease, Store, Term
from libs.testing.clock import VirtualClock
from libs.testing.store import StoreFixtures


async def until(clock: VirtualClock, true: Callable[[], bool], *, step_s: float = 1.0) -> None:
    """Lets time pass, and the database answer, until `true`; fails after 200 steps."""
    for _ in range(200):
        await asyncio.sleep(0.002)
        if true():
            return
        await clock.advance(step_s)
    raise AssertionError("it never became true")


class LeaseSuite(StoreFixtures):
    """Who leads."""

    async def test_a_lease_has_one_holder_who_renews_it(self, store: Store) -> None:
        assert await Lease.acquire(store, "controller", "one", 15) == 1
        assert await Lease.acquire(store, "controller", "two", 15) is None
        assert await Lease.acquire(store, "controller", "one", 15) == 1
        assert await Lease.acquire(store, "other", "two", 15) == 1

    async def test_an_expired_lease_goes_to_the_next_with_a_new_generation(
        self, store: Store, clock: VirtualClock
    ) -> None:
        await Lease.acquire(store, "controller", "one", 15)
        await clock.advance(14.9)
        assert await Lease.acquire(store, "controller", "two", 15) is None
        await clock.advance(0.2)
        assert await Lease.acquire(store, "controller", "two", 15) == 2
        assert await Lease.acquire(store, "controller", "one", 15) is None

    async def test_a_released_lease_is_free_at_once(self, store: Store) -> None:
        await Lease.acquire(store, "controller", "one", 15)
        await Lease.release(store, "controller", "two")
        assert await Lease.acquire(store, "controller", "two", 15) is None
        await Lease.release(store, "controller", "one")
        assert await Lease.acquire(store, "controller", "two", 15) == 2

    async def test_of_many_at_once_one_gets_it(self, store: Store, replica: Callable[[], Any]) -> None:
        other = await replica()
        asked = (Lease.acquire(s, "controller", f"{n}", 15) for n, s in enumerate([store, other] * 5))
        assert sorted(map(bool, await asyncio.gather(*asked))) == [False] * 9 + [True]

    async def test_a_follower_takes_over_after_the_leader_went_silent(
        self, store: Store, replica: Callable[[], Any], clock: VirtualClock
    ) -> None:
        silent = Lease.acquire(await replica(), "controller", "silent", 15)
        assert await silent == 1
        async with Leader(store, "controller", "follower", ttl_s=15) as leader:
            await asyncio.sleep(0.02)
            assert not leader.is_leader
            began = clock.monotonic()
            await until(clock, lambda: leader.is_leader)
            assert 15 <= clock.monotonic() - began <= 22

    async def test_a_leader_that_stops_lets_the_next_one_in(self, store: Store, clock: VirtualClock) -> None:
        async with Leader(store, "controller", "one") as one:
            await until(clock, lambda: one.is_leader)
        assert not one.is_leader
        assert await Lease.acquire(store, "controller", "two", 15) == 2

    async def test_a_leader_knows_that_its_time_is_over_before_another_begins(
        self, store: Store, clock: VirtualClock
    ) -> None:
        async with Leader(store, "controller", "one", ttl_s=15) as leader:
            await until(clock, lambda: leader.is_leader)
            async with store.write():  # Nobody can renew while this is open.
                await clock.advance(15.5)
                assert not leader.is_leader

    async def test_work_ends_in_time_even_while_a_renewal_waits_for_the_database(
        self, store: Store, clock: VirtualClock
    ) -> None:
        async with Leader(store, "controller", "one", ttl_s=15) as leader:
            terms = leader.terms()
            term = await anext(terms)
            async with store.write():
                await clock.advance(14.5)
                assert not term.lost.is_set()
                await clock.advance(1)
                assert term.lost.is_set()
            again: asyncio.Future[Term] = asyncio.ensure_future(anext(terms))
            await until(clock, again.done)
            assert (await again).generation == 1, "nobody else led meanwhile"

    async def test_work_is_cancelled_when_the_lease_is_lost_and_begins_again_when_it_is_won(
        self, store: Store, clock: VirtualClock
    ) -> None:
        began: list[int] = []
        ended: list[int] = []

        async def work(term: Term) -> None:
            began.append(term.generation)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(term.generation)

        async with Leader(store, "controller", "one", ttl_s=15) as leader:
            leading = asyncio.create_task(leader.lead(work))
            await until(clock, lambda: began == [1])
            async with store.write() as uow:  # Another took over while this process slept.
                await uow.rows("UPDATE leases SET holder = 'two', generation = 2")
            await until(clock, lambda: ended == [1])
            await until(clock, lambda: began == [1, 3])
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
