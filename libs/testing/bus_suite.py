"""What every bus must do, as tests to inherit with a fixture `rig`. It proves the double equal to the real one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from libs.bus import Delivery, Message, NoAnswer, NotNow, Poison
from libs.testing.bus_rig import APPLY, CREATED, QUICK, STEP_S, Listener, Rig, answer_to, listen, subject


async def _refuse(delivery: Delivery) -> None:
    raise ValueError("no such runtime: ünknown")


class BusSuite:
    """Publishing, delivery, retries, dead letters, requests, reading along."""

    async def test_what_is_said_is_heard_with_its_headers(self, rig: Rig) -> None:
        listener = await listen(rig, "hearer", APPLY)
        speaker = await rig.connect("speaker")
        await speaker.publish(
            subject(APPLY), b"\x00\xff", headers={"content-type": "a/b", "traceparent": "00-1"}, msg_id="1"
        )
        await rig.until(lambda: listener.heard == [b"\x00\xff"])
        delivery = listener.deliveries[0]
        assert delivery.subject == subject(APPLY)
        assert delivery.attempt == 1
        assert delivery.headers["content-type"] == "a/b"
        assert delivery.headers["traceparent"] == "00-1"

    async def test_an_id_that_is_said_twice_is_heard_once(self, rig: Rig) -> None:
        listener = await listen(rig, "hearer", APPLY)
        speaker = await rig.connect("speaker")
        first = await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
        again = await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
        await speaker.publish(subject(APPLY), b"b", headers={}, msg_id="2")
        await rig.until(lambda: b"b" in listener.heard)
        assert not first.duplicate
        assert again.duplicate
        assert again.seq == first.seq
        assert listener.count(b"a") == 1

    async def test_only_the_types_of_the_manifest_are_heard(self, rig: Rig) -> None:
        listener = await listen(rig, "hearer", CREATED)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"unheard", headers={}, msg_id="1")
        await speaker.publish(subject(CREATED, "other"), b"heard", headers={}, msg_id="2")
        await rig.until(lambda: bool(listener.heard))
        assert listener.heard == [b"heard"]

    async def test_what_was_said_before_the_first_subscription_is_heard(self, rig: Rig) -> None:
        speaker = await rig.connect("speaker")
        await speaker.ensure("speaker", [])
        await speaker.publish(subject(APPLY), b"early", headers={}, msg_id="1")
        listener = await listen(rig, "hearer", APPLY)
        await rig.until(lambda: listener.heard == [b"early"])

    async def test_two_services_hear_everything_and_two_replicas_share_it(self, rig: Rig) -> None:
        one, two = await listen(rig, "shared", APPLY), await listen(rig, "shared", APPLY)
        other = await listen(rig, "other", APPLY)
        speaker = await rig.connect("speaker")
        said = [f"{n}".encode() for n in range(20)]
        for body in said:
            await speaker.publish(subject(APPLY), body, headers={}, msg_id=body.decode())
        await rig.until(lambda: len(other.heard) == len(one.heard) + len(two.heard) == len(said))
        assert sorted(one.heard + two.heard) == sorted(other.heard) == sorted(said)

    async def test_a_message_that_failed_comes_again_and_counts_its_attempts(self, rig: Rig) -> None:
        async def fail_twice(delivery: Delivery) -> None:
            if delivery.attempt < 3:
                raise ConnectionError("not yet")

        listener = await listen(rig, "hearer", APPLY, act=fail_twice)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
        await rig.until(lambda: len(listener.heard) == 3)
        await rig.wait(0.3)
        assert [delivery.attempt for delivery in listener.deliveries] == [1, 2, 3]
        assert await speaker.dead_letters() == []

    async def test_a_message_that_always_fails_becomes_a_dead_letter_that_tells_why(self, rig: Rig) -> None:
        listener = await listen(rig, "hearer", APPLY, act=_refuse)
        speaker = await rig.connect("speaker")
        ack = await speaker.publish(subject(APPLY), b"bad", headers={"content-type": "a/b"}, msg_id="1")
        await self._buried(rig, 1)
        (letter,) = await speaker.dead_letters()
        assert letter.reason == "ValueError: no such runtime: ünknown"
        assert letter.handler == "hearer"
        assert letter.attempts == QUICK.max_attempts == len(listener.heard)
        assert (letter.subject, letter.data, letter.original_seq) == (subject(APPLY), b"bad", ack.seq)
        assert letter.headers["content-type"] == "a/b"

    async def test_poison_becomes_a_dead_letter_at_once(self, rig: Rig) -> None:
        async def choke(delivery: Delivery) -> None:
            raise Poison("data.name: Field required")

        listener = await listen(rig, "hearer", APPLY, act=choke)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"bad", headers={}, msg_id="1")
        await self._buried(rig, 1)
        (letter,) = await speaker.dead_letters()
        assert (letter.reason, letter.attempts) == ("data.name: Field required", 1)
        assert len(listener.heard) == 1

    async def test_a_replayed_dead_letter_is_heard_again_and_is_dead_no_more(self, rig: Rig) -> None:
        mended = asyncio.Event()

        async def mend(delivery: Delivery) -> None:
            if not mended.is_set():
                raise Poison("not mended")

        listener = await listen(rig, "hearer", APPLY, act=mend)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"a", headers={"x": "y"}, msg_id="1")
        await self._buried(rig, 1)
        mended.set()
        (letter,) = await speaker.dead_letters()
        await speaker.replay(letter.seq)
        await rig.until(lambda: listener.count(b"a") == 2)
        assert listener.deliveries[1].headers["x"] == "y"
        assert await speaker.dead_letters() == []
        with pytest.raises(KeyError):
            await speaker.replay(letter.seq)

    async def test_a_discarded_dead_letter_is_gone_and_its_neighbours_stay(self, rig: Rig) -> None:
        await listen(rig, "hearer", APPLY, act=_refuse)
        speaker = await rig.connect("speaker")
        for n in range(3):
            await speaker.publish(subject(APPLY), f"{n}".encode(), headers={}, msg_id=f"{n}")
        await self._buried(rig, 3)
        first, second, third = await speaker.dead_letters()
        assert [letter.seq for letter in await speaker.dead_letters(limit=2)] == [first.seq, second.seq]
        await speaker.discard(second.seq)
        assert [letter.seq for letter in await speaker.dead_letters()] == [first.seq, third.seq]
        with pytest.raises(KeyError):
            await speaker.discard(second.seq)

    async def test_a_service_tells_how_far_it_is_behind(self, rig: Rig) -> None:
        hold = asyncio.Event()

        async def work(delivery: Delivery) -> None:
            if delivery.data == b"bad":
                raise Poison("garbled")
            await hold.wait()

        hearer = await rig.connect("hearer")
        await hearer.ensure("hearer", [APPLY])
        listener = Listener(work)
        await hearer.subscribe(listener, concurrency=2)
        speaker = await rig.connect("speaker")
        await speaker.ensure("speaker", [])
        for number, body in enumerate([b"bad", b"1", b"2", b"3"]):
            await speaker.publish(subject(APPLY), body, headers={}, msg_id=str(number))

        async def behind() -> tuple[int, int, int, int]:
            lag = await rig.done(hearer.lag())
            return lag.pending, lag.unacked, lag.dead, lag.stream_messages

        async def settled(wanted: tuple[int, int, int, int]) -> None:
            for _ in range(500):
                if await behind() == wanted:
                    return
                await rig.wait(STEP_S)
            raise AssertionError(f"{await behind()} never became {wanted}")

        await settled((1, 2, 1, 4))
        assert (await rig.done(speaker.lag())).dead == 0, "dead letters are counted where they died"
        assert (await rig.done(speaker.lag())).replicas_missing == 0
        hold.set()
        await settled((0, 0, 1, 4))

    async def test_a_slow_message_holds_nobody_up_and_is_not_given_away(self, rig: Rig) -> None:
        finish = asyncio.Event()

        async def dawdle(delivery: Delivery) -> None:
            if delivery.data == b"slow":
                await finish.wait()

        listener = await listen(rig, "hearer", APPLY, act=dawdle)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"slow", headers={}, msg_id="slow")
        for n in range(40):
            await speaker.publish(subject(APPLY), b"quick", headers={}, msg_id=f"{n}")
        await rig.until(lambda: listener.count(b"quick") == 40)
        await rig.wait(2 * QUICK.ack_wait_s)
        finish.set()
        await rig.wait(0.1)
        assert listener.count(b"slow") == 1

    async def test_no_more_are_in_hand_than_agreed(self, rig: Rig) -> None:
        finish, busy = asyncio.Event(), Listener(lambda _: _wait_for(finish))
        bus = await rig.connect("hearer")
        await bus.ensure("hearer", [APPLY])
        await bus.subscribe(busy, concurrency=3)
        for n in range(10):
            await bus.publish(subject(APPLY), b"", headers={}, msg_id=f"{n}")
        await rig.until(lambda: len(busy.heard) == 3)
        await rig.wait(0.2)
        assert len(busy.heard) == 3
        finish.set()
        await rig.until(lambda: len(busy.heard) == 10)

    async def test_a_service_that_cannot_work_now_is_not_held_against_the_message(self, rig: Rig) -> None:
        tries: list[int] = []

        async def away(delivery: Delivery) -> None:
            tries.append(delivery.attempt)
            if len(tries) <= 2 * QUICK.max_attempts:
                raise NotNow(0.01)

        await listen(rig, "hearer", APPLY, act=away)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"a", headers={}, msg_id="1")
        await rig.until(lambda: len(tries) == 2 * QUICK.max_attempts + 1)
        assert set(tries) == {1}
        assert await speaker.dead_letters() == []

    async def test_what_a_stopped_replica_leaves_unfinished_comes_to_another(self, rig: Rig) -> None:
        bus = await rig.connect("hearer")
        await bus.ensure("hearer", [APPLY])
        stuck = Listener(lambda _: _wait_for(asyncio.Event()))
        subscription = await bus.subscribe(stuck)
        await bus.publish(subject(APPLY), b"a", headers={}, msg_id="1")
        await rig.until(lambda: len(stuck.heard) == 1)
        await rig.done(subscription.stop(grace_s=0.0))
        other = await listen(rig, "hearer", APPLY)
        await rig.until(lambda: other.heard == [b"a"])
        assert other.deliveries[0].attempt == 2

    async def test_a_request_is_answered_by_the_fact_it_caused(self, rig: Rig) -> None:
        owner, client = await rig.connect("owner"), await rig.connect("client")

        async def serve(delivery: Delivery) -> None:
            facts = {"created": "c", "applied": "a", "rejected": "r"}
            await owner.publish(
                subject("letters.letter.created.v1"), answer_to("7"), headers={}, msg_id=facts["created"]
            )
            await owner.publish(
                subject("letters.letter.rejected.v1"), answer_to("8"), headers={}, msg_id=facts["rejected"]
            )
            await owner.publish(
                subject("letters.letter.applied.v1"), answer_to("7", uid="u"), headers={}, msg_id=facts["applied"]
            )

        await owner.ensure("owner", [APPLY])
        await owner.subscribe(serve)
        for _ in range(2):  # the second time the answer is there already
            answer = await rig.done(client.request(subject(APPLY), b"{}", headers={}, msg_id="7", timeout_s=5))
            assert answer.subject == subject("letters.letter.applied.v1")
            assert answer.data == answer_to("7", uid="u")

    async def test_a_request_that_nobody_hears_says_so(self, rig: Rig) -> None:
        client = await rig.connect("client")
        with pytest.raises(NoAnswer, match="is its service running"):
            await rig.done(client.request(subject(APPLY), b"{}", headers={}, msg_id="7", timeout_s=0.2))

    async def test_reading_along_from_a_place_brings_everything_after_it_in_order(self, rig: Rig) -> None:
        bus = await rig.connect("speaker")
        acks = [await bus.publish(subject(APPLY), f"{n}".encode(), headers={}, msg_id=f"{n}") for n in range(5)]
        seen: list[bytes] = []

        async def read() -> None:
            async with aclosing(bus.follow(["millstream.>"], after_seq=acks[1].seq)) as messages:
                async for message in messages:
                    seen.append(message.data)

        reader = asyncio.ensure_future(read())
        await rig.until(lambda: len(seen) == 3)
        await bus.publish(subject(CREATED), b"5", headers={}, msg_id="5")
        await rig.until(lambda: len(seen) == 4)
        reader.cancel()
        assert seen == [b"2", b"3", b"4", b"5"]

    async def test_a_tail_since_a_time_leaves_out_what_was_before_and_what_does_not_match(self, rig: Rig) -> None:
        bus = await rig.connect("speaker")
        await bus.publish(subject(APPLY), b"old", headers={}, msg_id="1")
        await rig.wait(0.1)
        await bus.publish(subject(CREATED), b"other", headers={}, msg_id="2")
        ack = await bus.publish(subject(APPLY), b"new", headers={}, msg_id="3")
        since = (await self._first(rig, bus.follow(["millstream.>"], after_seq=ack.seq - 1))).time
        assert (await self._first(rig, bus.tail("letters.letter.apply.v1.*", since))).data == b"new"

    async def test_a_subject_that_is_not_the_platforms_is_refused(self, rig: Rig) -> None:
        bus = await rig.connect("speaker")
        with pytest.raises(ValueError, match="does not begin with millstream"):
            await bus.publish("elsewhere.a", b"", headers={}, msg_id="1")

    async def _first(self, rig: Rig, messages: AsyncGenerator[Message, None]) -> Message:
        async def read() -> Message:
            async with aclosing(messages):
                return await anext(messages)

        return await rig.done(read())

    async def _buried(self, rig: Rig, count: int) -> None:
        bus = await rig.connect("undertaker")
        for _ in range(200):
            if len(await bus.dead_letters()) >= count:
                return
            await rig.wait(0.05)
        raise AssertionError("no dead letter came")


class BusRecoverySuite:
    """The broker restarts, forgets a consumer, loses everything: the bus goes on by itself."""

    async def test_a_restarted_broker_costs_time_and_nothing_else(self, rig: Rig) -> None:
        listener = await listen(rig, "hearer", APPLY)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"before", headers={}, msg_id="1")
        await rig.restart()
        await rig.done(speaker.publish(subject(APPLY), b"after", headers={}, msg_id="2"))
        await rig.until(lambda: {b"before", b"after"} <= set(listener.heard))

    async def test_a_consumer_that_vanished_is_made_again(self, rig: Rig) -> None:
        listener = await listen(rig, "hearer", APPLY)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"before", headers={}, msg_id="1")
        await rig.until(lambda: listener.count(b"before") == 1)
        await rig.drop_consumer("hearer")
        await speaker.publish(subject(APPLY), b"after", headers={}, msg_id="2")
        await rig.until(lambda: b"after" in listener.heard)

    async def test_a_wiped_broker_is_noticed_and_heard_again(self, rig: Rig) -> None:
        listener = await listen(rig, "hearer", APPLY)
        speaker = await rig.connect("speaker")
        await speaker.publish(subject(APPLY), b"before", headers={}, msg_id="1")
        await rig.until(lambda: listener.count(b"before") == 1)
        first_life = speaker.stream_identity() or (await _identity(rig))
        await rig.wipe()
        again = await rig.done(speaker.publish(subject(APPLY), b"before", headers={}, msg_id="1"))
        await rig.until(lambda: listener.count(b"before") == 2)
        assert not again.duplicate
        assert await _identity(rig) != first_life

    async def test_a_reader_of_a_wiped_stream_goes_on_from_its_new_start(self, rig: Rig) -> None:
        bus = await rig.connect("speaker")
        await bus.ensure("speaker", [])
        for n in range(3):
            await bus.publish(subject(APPLY), b"old", headers={}, msg_id=f"{n}")
        seen: list[bytes] = []

        async def read() -> None:
            async with aclosing(bus.follow(["millstream.>"], after_seq=0)) as messages:
                async for message in messages:
                    seen.append(message.data)

        reader = asyncio.ensure_future(read())
        await rig.until(lambda: len(seen) == 3)
        await rig.wipe()
        await rig.done(bus.publish(subject(APPLY), b"new", headers={}, msg_id="9"))
        await rig.until(lambda: b"new" in seen)
        reader.cancel()
        assert seen == [b"old"] * 3 + [b"new"]


async def _identity(rig: Rig) -> str:
    bus = await rig.connect("looker")
    await rig.done(bus.ensure("looker", []))
    return bus.stream_identity()


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()
