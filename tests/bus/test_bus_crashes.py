"""What only a real broker can do to a bus: die mid-message, come late, lose streams, be set up by someone else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import nats
import pytest

from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus, BusError, BusUnavailable, Delivery, Poison
from libs.testing.bus_rig import APPLY, CREATED, QUICK, Listener, listen, subject
from tests.bus.nats_rig import NatsRig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[NatsRig]:
    async with NatsRig(tmp_path) as rig:
        yield rig


async def test_a_service_may_start_before_its_broker(tmp_path: Path) -> None:
    rig = NatsRig(tmp_path)
    connecting = asyncio.ensure_future(listen(rig, "hearer", APPLY))
    await asyncio.sleep(0.5)
    assert not connecting.done()
    async with rig:
        listener = await connecting
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
        await rig.until(lambda: listener.heard == [b"a"])


async def test_nothing_is_lost_while_the_broker_dies_again_and_again(rig: NatsRig) -> None:
    listener = await listen(rig, "hearer", APPLY)
    speaker = await rig.connect("speaker")
    said = [f"{n}".encode() for n in range(60)]

    async def speak() -> None:
        for body in said:
            with suppress(BusUnavailable):
                await speaker.publish(subject(APPLY), body, headers={}, msg_id=body.decode())
            await asyncio.sleep(0.02)

    speaking = asyncio.ensure_future(speak())
    for _ in range(3):
        await asyncio.sleep(0.25)
        await rig.restart()
    await speaking
    await rig.until(lambda: set(listener.heard) == set(said))


async def test_a_broker_that_dies_during_a_handler_learns_afterwards_that_it_is_done(rig: NatsRig) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def work(delivery: Delivery) -> None:
        started.set()
        await finish.wait()

    listener = await listen(rig, "hearer", APPLY, act=work)
    speaker = await rig.connect("speaker")
    await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
    await started.wait()
    rig.server.kill()
    finish.set()
    await asyncio.sleep(0.3)
    await rig.server.start()
    await asyncio.sleep(2.5 * QUICK.ack_wait_s)
    info = await rig.jetstream("consumer_info", "millstream", "hearer")
    assert (info.num_ack_pending, info.num_pending) == (0, 0)
    assert listener.count(b"a") <= 2, "at most the one redelivery that the ack wait allows"


HEADERS = [
    pytest.param(b"NATS/1.0\r\nx: \xff\xfe\r\n\r\n", id="no text"),
    pytest.param("NATS/1.0\r\nx: ünï\r\n\r\n".encode(), id="no ascii"),
    pytest.param(b"NATS/1.0\r\nnonsense\r\n\r\n", id="no colon"),
    pytest.param(b"NATS/1.0\r\nx:" + b"y" * 9000 + b"\r\n\r\n", id="long"),
    pytest.param(b"NATS/1.0\r\nx: 1\r\nx: 2\r\n: \r\n\r\n", id="twice and nameless"),
    pytest.param(b"NATS/1.0 100\r\nStatus: 409\r\n\r\n", id="a status"),
]


@pytest.mark.parametrize("head", HEADERS)
async def test_a_message_with_garbled_headers_is_buried_and_holds_nobody_up(rig: NatsRig, head: bytes) -> None:
    async def choke(delivery: Delivery) -> None:
        if delivery.data == b"garbled":
            raise Poison("garbled")

    listener = await listen(rig, "hearer", APPLY, act=choke)
    speaker = await rig.connect("speaker")
    _, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
    size = f"{len(head)} {len(head) + 7}"
    writer.write(b'CONNECT {"headers":true,"verbose":false}\r\n')
    writer.write(f"HPUB {subject(APPLY)} {size}\r\n".encode() + head + b"garbled\r\nPING\r\n")
    await writer.drain()
    for _ in range(600):
        if letters := await speaker.dead_letters():
            break
        await asyncio.sleep(0.05)
    writer.close()
    assert letters[0].data == b"garbled"
    await speaker.publish(subject(APPLY), b"sound", headers={}, msg_id="1")
    await rig.until(lambda: b"sound" in listener.heard)
    await speaker.replay(letters[0].seq)
    await rig.until(lambda: listener.count(b"garbled") >= 2)


async def test_a_deleted_stream_is_made_again_under_a_running_subscriber(rig: NatsRig) -> None:
    listener = await listen(rig, "hearer", APPLY)
    speaker = await rig.connect("speaker")
    await speaker.publish(subject(APPLY), b"before", headers={}, msg_id="1")
    await rig.until(lambda: listener.count(b"before") == 1)
    await rig.jetstream("delete_stream", "millstream")
    await speaker.publish(subject(APPLY), b"after", headers={}, msg_id="2")
    await rig.until(lambda: listener.count(b"after") == 1)


async def test_a_stream_that_someone_else_set_up_is_left_as_it_is(rig: NatsRig) -> None:
    await rig.jetstream("add_stream", name="millstream", subjects=["millstream.>"], max_age=60, description="ours")
    listener = await listen(rig, "hearer", APPLY)
    await (await rig.connect("speaker")).publish(subject(APPLY), b"a", headers={}, msg_id="1")
    await rig.until(lambda: listener.heard == [b"a"])
    config = (await rig.jetstream("stream_info", "millstream")).config
    assert (config.max_age, config.description) == (60, "ours")


async def test_a_new_type_in_the_manifest_is_heard_by_the_consumer_that_is_there(rig: NatsRig) -> None:
    first = await rig.connect("hearer")
    await first.ensure("hearer", [APPLY])
    listener = await listen(rig, "hearer", APPLY, CREATED)
    await first.publish(subject(CREATED), b"new", headers={}, msg_id="1")
    await first.publish(subject(APPLY), b"old", headers={}, msg_id="2")
    await rig.until(lambda: sorted(listener.heard) == [b"new", b"old"])


async def test_the_consumer_is_named_by_the_manifest_and_set_up_as_promised(rig: NatsRig) -> None:
    await listen(rig, "hearer", APPLY, CREATED)
    config = (await rig.jetstream("consumer_info", "millstream", "hearer")).config
    assert sorted(config.filter_subjects) == [f"millstream.{APPLY}.*", f"millstream.{CREATED}.*"]
    assert (config.ack_policy, config.ack_wait, config.max_deliver) == ("explicit", QUICK.ack_wait_s, -1)
    assert config.max_ack_pending == QUICK.max_ack_pending
    assert not config.inactive_threshold


async def test_a_message_that_kills_every_process_is_buried_in_the_end(rig: NatsRig) -> None:
    victim = await rig.connect("hearer")
    await victim.ensure("hearer", [APPLY])
    await victim.publish(subject(APPLY), b"killer", headers={}, msg_id="1")
    nc = await nats.connect(rig.server.url)
    pull = await nc.jetstream().pull_subscribe_bind(consumer="hearer", stream="millstream")
    for _ in range(QUICK.max_unfinished):
        (message,) = await pull.fetch(1, timeout=30)
        await message.nak()  # stands for a process that was handed the message and died
    await nc.close()
    listener = Listener()
    await victim.subscribe(listener)
    for _ in range(600):
        if letters := await victim.dead_letters():
            break
        await asyncio.sleep(0.05)
    assert letters[0].reason == f"no handler lived to tell of it in {QUICK.max_unfinished} deliveries"
    assert listener.heard == []


async def test_a_message_that_is_too_large_is_refused_at_once(rig: NatsRig) -> None:
    speaker = await rig.connect("speaker")
    with pytest.raises(BusError, match="more than the broker takes") as refusal:
        await speaker.publish(subject(APPLY), b"x" * 2_000_000, headers={}, msg_id="1")
    assert not isinstance(refusal.value, BusUnavailable)


async def test_a_broker_that_stays_away_is_told_as_such(tmp_path: Path) -> None:
    async with NatsRig(tmp_path, replace(QUICK, publish_s=0.3)) as rig:
        speaker = await rig.connect("speaker")
        rig.server.kill()
        await asyncio.sleep(0.05)
        with pytest.raises(BusUnavailable):
            await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
        assert not speaker.connected


async def test_a_handler_that_never_returns_is_cancelled_and_counted(tmp_path: Path) -> None:
    async with NatsRig(tmp_path, replace(QUICK, handling_s=0.1)) as rig:

        async def hang(delivery: Delivery) -> None:
            await asyncio.Event().wait()

        await listen(rig, "hearer", APPLY, act=hang)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
        for _ in range(600):
            if letters := await speaker.dead_letters():
                break
            await asyncio.sleep(0.05)
        assert (letters[0].reason, letters[0].attempts) == ("TimeoutError", QUICK.max_attempts)


async def test_a_bus_that_was_closed_leaves_no_task_behind(rig: NatsRig) -> None:
    before = asyncio.all_tasks()
    bus = await Bus.connect(rig.server.url, service="t", clock=SystemClock(), ids=SystemIds(), tuning=QUICK)
    await bus.ensure("t", [APPLY])
    await bus.subscribe(Listener())
    await bus.close()
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before


async def _numb(rig: NatsRig, *tasks: str) -> None:
    """Ends tasks of the client below the last bus, as an error does that it does not expect."""
    nc = rig._buses[-1]._connection.nc  # type: ignore[attr-defined]
    for name in tasks:
        getattr(nc, name).cancel()
    await asyncio.sleep(0)


async def test_a_connection_that_only_seems_alive_is_replaced(rig: NatsRig) -> None:
    listener = await listen(rig, "hearer", APPLY)
    await _numb(rig, "_reading_task", "_ping_interval_task")
    await rig.restart()
    speaker = await rig.connect("speaker")
    await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
    await rig.until(lambda: listener.heard == [b"a"])


async def test_a_client_that_stopped_trying_is_made_to_try_again(rig: NatsRig) -> None:
    listener = await listen(rig, "hearer", APPLY)
    rig.server.kill()
    await asyncio.sleep(0.5)
    await _numb(rig, "_reconnection_task")
    await rig.server.start()
    speaker = await rig.connect("speaker")
    await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
    await rig.until(lambda: listener.heard == [b"a"])
