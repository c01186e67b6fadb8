"""The double with faults: whatever goes wrong between a service and its broker, and each seed the same way."""

import asyncio

import pytest

from libs.bus import BusUnavailable, Delivery
from libs.testing.bus import MemoryBus
from libs.testing.bus_broker import MemoryBroker, matches
from libs.testing.bus_faults import Fault, SeededFaults
from libs.testing.bus_rig import APPLY, QUICK, Listener, subject
from libs.testing.clock import VirtualClock

ROUGH = {
    Fault.PUBLISH_LOST: 0.2,
    Fault.PUBLISH_UNHEARD: 0.2,
    Fault.ACK_LOST: 0.2,
    Fault.DELIVERED_TWICE: 0.2,
    Fault.DELIVERED_LATE: 0.2,
}


async def night(seed: int) -> list[tuple[bytes, int, float]]:
    """Fifty messages on a rough night: what was brought, at which attempt, and when."""
    clock = VirtualClock()
    broker = MemoryBroker(clock, tuning=QUICK, faults=SeededFaults(seed, ROUGH))
    story: list[tuple[bytes, int, float]] = []

    async def remember(delivery: Delivery) -> None:
        await clock.sleep(0.01)
        story.append((delivery.data, delivery.attempt, clock.monotonic()))

    bus = MemoryBus(broker, "hearer")
    await bus.ensure("hearer", [APPLY])
    await bus.subscribe(remember)

    async def speak() -> None:
        for n in range(50):
            await bus.publish(subject(APPLY), f"{n}".encode(), headers={}, msg_id=f"{n}")

    speaking = asyncio.ensure_future(speak())
    await clock.advance(60)
    await speaking
    await bus.close()
    return story


async def test_on_a_rough_night_every_message_is_brought_and_some_twice_and_late() -> None:
    story = await night(seed=7)
    heard = [body for body, _, _ in story]
    first = list(dict.fromkeys(heard))
    assert set(heard) == {f"{n}".encode() for n in range(50)}
    assert len(heard) > 60, "lost acks and double deliveries show"
    assert first != sorted(first, key=int), "late deliveries show"


async def test_the_same_seed_is_the_same_night_and_another_seed_another() -> None:
    assert await night(seed=7) == await night(seed=7)
    assert await night(seed=7) != await night(seed=8)


@pytest.mark.parametrize(("fault", "stored"), [(Fault.PUBLISH_LOST, 0), (Fault.PUBLISH_UNHEARD, 1)])
async def test_a_publish_that_got_no_ack_raises_and_may_or_may_not_be_stored(fault: Fault, stored: int) -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock, tuning=QUICK, faults=SeededFaults(1, {fault: 1.0}))
    publishing = asyncio.ensure_future(
        MemoryBus(broker, "speaker").publish(subject(APPLY), b"a", headers={}, msg_id="1")
    )
    await clock.advance(2 * QUICK.publish_s)
    with pytest.raises(BusUnavailable):
        await publishing
    assert len(broker.stream.messages) == stored


async def test_a_killed_service_gets_its_message_again_only_after_the_ack_wait() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock, tuning=QUICK)
    stuck, after = Listener(lambda _: asyncio.Event().wait()), Listener()  # type: ignore[arg-type,return-value]
    victim, heir = MemoryBus(broker, "hearer"), MemoryBus(broker, "hearer")
    await victim.ensure("hearer", [APPLY])
    await heir.ensure("hearer", [APPLY])
    await victim.subscribe(stuck)
    await victim.publish(subject(APPLY), b"a", headers={}, msg_id="1")
    await clock.advance(0.1)
    await victim.kill()
    await heir.subscribe(after)
    await clock.advance(QUICK.ack_wait_s * 0.9)
    assert (stuck.heard, after.heard) == ([b"a"], [])
    await clock.advance(QUICK.ack_wait_s * 0.2)
    assert after.heard == [b"a"]


async def test_an_id_is_forgotten_after_the_duplicate_window() -> None:
    clock = VirtualClock()
    bus = MemoryBus(MemoryBroker(clock, tuning=QUICK), "speaker")
    first = await bus.publish(subject(APPLY), b"a", headers={}, msg_id="1")
    await clock.advance(QUICK.duplicate_window_s - 1)
    assert (await bus.publish(subject(APPLY), b"a", headers={}, msg_id="1")).seq == first.seq
    await clock.advance(2)
    assert (await bus.publish(subject(APPLY), b"a", headers={}, msg_id="1")).seq == first.seq + 1


@pytest.mark.parametrize(
    ("filter", "subject", "hit"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        ("*.b.>", "a.b.c", True),
        ("*.b.>", "a.c.c", False),
    ],
)
def test_subjects_match_as_in_nats(filter: str, subject: str, hit: bool) -> None:
    assert matches(filter, subject) is hit


async def test_sleepers_wake_in_order_of_their_time() -> None:
    clock, woken = VirtualClock(), []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    tasks = [asyncio.ensure_future(sleep(seconds)) for seconds in (3.0, 1.0, 2.0)]
    await clock.advance(2.5)
    assert woken == [(1.0, 1.0), (2.0, 2.0)]
    assert (clock.monotonic(), clock.next_at()) == (2.5, 3.0)
    await clock.advance(1)
    await asyncio.gather(*tasks)
    assert woken[-1] == (3.0, 3.0)
