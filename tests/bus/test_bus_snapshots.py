"""A stream goes out of one broker and into another with its sequences, its gaps and what its consumers have settled."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from libs.base import SystemClock, SystemIds
from libs.bus import Bus, BusError, BusUnavailable, snapshots
from libs.bus.snapshots import Head, Streams
from libs.testing.bus_server import NatsServer

TYPE = "training.trainjob.created.v1"
SUBJECT = f"millstream.{TYPE}.team"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[NatsServer, NatsServer]]:
    both = NatsServer(tmp_path / "old", sync_always=False), NatsServer(tmp_path / "new", sync_always=False)
    for each in both:
        await each.start()
    yield both
    for each in both:
        each.kill()


async def speak(url: str, count: int) -> None:
    """`count` letters, one of them deleted; the consumer `trainer` has settled all of the first ten but the fifth."""
    clock = SystemClock()
    bus = await Bus.connect(url, service="trainer", clock=clock, ids=SystemIds(clock))
    await bus.ensure("trainer", [TYPE])
    for number in range(count):
        await bus.publish(SUBJECT, b"x" * 2000 + str(number).encode(), headers={}, msg_id=f"letter-{number}")
    await bus.close()
    async with Streams.connect(url) as streams:
        js = streams._js
        await js.delete_msg("millstream", 20)
        reader = await js.pull_subscribe_bind("trainer", "millstream")
        for number, msg in enumerate(await reader.fetch(10), 1):
            if number != 5:
                await msg.ack_sync()


async def taken(url: str) -> tuple[Head, list[bytes]]:
    async with Streams.connect(url) as streams, streams.snapshot("millstream") as (head, chunks):
        return head, [chunk async for chunk in chunks]


async def test_a_stream_comes_back_whole(servers: tuple[NatsServer, NatsServer]) -> None:
    old, new = servers
    await speak(old.url, 3000)
    head, chunks = await taken(old.url)
    assert (head.state["messages"], head.state["last_seq"], head.removed) == (2999, 3000, 1)
    async with Streams.connect(old.url) as before, Streams.connect(new.url) as after:
        made = await after.restore("millstream", head, chunks)
        assert made.same_as(head)
        assert await after.consumers("millstream") == await before.consumers("millstream") == {"trainer": (4, 1)}
        for seq in (1, 19, 21, 3000):
            one, other = await before._js.get_msg("millstream", seq), await after._js.get_msg("millstream", seq)
            assert (one.subject, one.data, one.headers, one.time) == (
                other.subject,
                other.data,
                other.headers,
                other.time,
            )
        assert await after.message_ids("millstream") == {f"letter-{n}" for n in range(3000) if n != 19}
        reader = await after._js.pull_subscribe_bind("trainer", "millstream")
        first = await reader.fetch(1, timeout=30)
        assert first[0].metadata.sequence.stream in (5, 11), "either what was in hand, or the next that nobody had"


async def test_a_snapshot_is_of_its_beginning_whatever_is_said_meanwhile(
    servers: tuple[NatsServer, NatsServer],
) -> None:
    old, new = servers
    await speak(old.url, 2000)
    async with Streams.connect(old.url) as streams, streams.snapshot("millstream") as (head, chunks):
        for number in range(50):
            await streams._js.publish(SUBJECT, str(number).encode())
        kept = [chunk async for chunk in chunks]
    async with Streams.connect(new.url) as streams:
        assert (await streams.restore("millstream", head, kept)).state["last_seq"] == 2000


async def test_a_stream_that_is_there_is_not_restored_over(servers: tuple[NatsServer, NatsServer]) -> None:
    old, _ = servers
    await speak(old.url, 30)
    head, chunks = await taken(old.url)
    async with Streams.connect(old.url) as streams:
        with pytest.raises(BusError, match="stream name already in use"):
            await streams.restore("millstream", head, chunks)
        assert (await streams.head("millstream") or head).same_as(head)


async def test_a_restore_that_broke_off_can_be_done_again(servers: tuple[NatsServer, NatsServer]) -> None:
    old, new = servers
    await speak(old.url, 3000)
    head, chunks = await taken(old.url)
    whole = b"".join(chunks)
    halves = [whole[: len(whole) // 2], whole[len(whole) // 2 :]]

    def broken_off() -> Iterator[bytes]:
        yield halves[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with Streams.connect(new.url) as streams:
            await streams.restore("millstream", head, broken_off())
    async with Streams.connect(new.url) as streams:
        if (left := await streams.head("millstream")) is not None:
            assert left.part_of(head) and not left.same_as(head)
            await streams.delete("millstream")
        assert (await streams.restore("millstream", head, halves)).same_as(head)


async def test_garbage_is_refused_and_leaves_nothing(servers: tuple[NatsServer, NatsServer]) -> None:
    old, new = servers
    await speak(old.url, 100)
    head, chunks = await taken(old.url)
    async with Streams.connect(new.url) as streams:
        with pytest.raises(BusError, match="restoring millstream"):
            await streams.restore("millstream", head, [bytes(len(chunks[0]))])
        assert await streams.head("millstream") is None


async def test_a_broker_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "REACH_S", 1.0)
    with pytest.raises(BusUnavailable, match="the broker cannot be reached"):
        async with Streams.connect("nats://127.0.0.1:9"):
            pass


async def test_a_consumer_of_another_kind_is_kept_too(servers: tuple[NatsServer, NatsServer]) -> None:
    old, new = servers
    await speak(old.url, 30)
    async with Streams.connect(old.url) as streams:
        config = ConsumerConfig(durable_name="other", ack_policy=AckPolicy.ALL, filter_subjects=["millstream.>"])
        await streams._js.add_consumer("millstream", config)
    head, chunks = await taken(old.url)
    async with Streams.connect(new.url) as streams:
        await streams.restore("millstream", head, chunks)
        assert await streams.consumers("millstream") == {"other": (0, 0), "trainer": (4, 1)}
