"""Hostile traffic on the live broker: repeated, late, shuffled, misplaced, broken and huge messages change no state,
what nobody can act on is with the dead letters with its reason, and a good command is handled at once afterwards."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import Counter
from typing import Any

import pytest
from millstream.client import Client
from nats.aio.client import Client as Nats

from tests.e2e import broker, flow
from tests.platform import Platform, until

SEED = 7
MODEL = "hostile"
NAMES = [f"calm-{i}" for i in range(5)]
APPLY = "millstream.training.trainjob.apply.v1.default"
SUCCEEDED = "millstream.training.trainjob.succeeded.v1.default"
ADMITTED = "millstream.scheduling.workload.admitted.v1.default"
REGISTERED = "millstream.registry.modelversion.created.v1.default"
HEARERS = {
    APPLY: {"trainer"},
    ADMITTED: {"trainer", "serving", "pipelines"},
    SUCCEEDED: {"scheduler", "registry", "pipelines", "tuner"},
    REGISTERED: {"serving", "trainer", "pipelines"},
}
MIB = 1 << 20
CLOUDEVENT = {"content-type": "application/cloudevents+json"}


def command(name: str, **changes: Any) -> dict[str, Any]:
    """A sound command of another system to run a small job."""
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "stranger",
        "type": "training.trainjob.apply.v1",
        "namespace": "default",
        "datacontenttype": "application/json",
        "data": {"namespace": "default", "manifest": flow.small_job(name, MODEL)},
        **changes,
    }


def broken(told: list[broker.Raw]) -> dict[str, tuple[str, bytes, dict[str, str]]]:
    """Name -> subject, body, headers of messages that no hearer can act on."""
    good = next(raw for raw in told if raw.subject == SUCCEEDED)
    whole, other = good.data, json.dumps(command("never")).encode()
    cases: dict[str, tuple[str, bytes, dict[str, str]]] = {
        f"{what} on {subject}": (subject, body, CLOUDEVENT)
        for subject in HEARERS
        for what, body in {
            "cut short": whole[: len(whole) // 2],
            "nothing": b"",
            "no object": b"[1, 2]",
            "no text": b"\xff\xfe\x00",
            "too deep": b"[" * 100_000,
            "no CloudEvent": b'{"hello": "world"}',
            "huge": b"x" * (7 * MIB),
        }.items()
    }
    cases["a command on the subject of a fact"] = (SUCCEEDED, other, CLOUDEVENT)
    cases["a fact on the subject of a command"] = (APPLY, whole, CLOUDEVENT)
    cases["another namespace"] = (SUCCEEDED.replace("default", "elsewhere"), whole, CLOUDEVENT)
    cases["binary mode, half"] = (
        ADMITTED,
        b"{",
        {"ce-specversion": "1.0", "ce-type": "scheduling.workload.admitted.v1"},
    )
    cases["a fact without its fields"] = (ADMITTED, json.dumps({**good.letter, "id": "half", "data": {},
        "type": "scheduling.workload.admitted.v1"}).encode(), CLOUDEVENT)  # fmt: skip
    return cases


async def shout(connection: Nats, messages: list[tuple[str, bytes, dict[str, str]]]) -> None:
    """Publishes without message ids, so that the broker drops nothing."""
    js = connection.jetstream()
    for subject, body, headers in messages:
        await js.publish(subject, body, headers={k: v for k, v in headers.items() if not k.startswith("Nats-")})


async def rain(platform: Platform) -> Counter[tuple[str, str]]:
    """All of it; answers how often each (subject, hearer) must be found dead."""
    chance = random.Random(SEED)
    async with broker.connected(platform) as connection:
        told = [raw for raw in await broker.everything(connection) if raw.subject.startswith("millstream.")]
        again = [(raw.subject, raw.data, dict(raw.headers)) for raw in told for _ in range(2)]
        chance.shuffle(again)
        sound = next(raw.letter for raw in told if raw.subject == SUCCEEDED)
        unknown = {**sound, "id": str(uuid.uuid4()), "type": "training.trainjob.exploded.v1"}
        more = {**sound, "newattribute": "x", "data": {**sound["data"], "from_the_future": {"a": [1]}}}
        harmless = [
            ("millstream.training.trainjob.exploded.v1.default", json.dumps(unknown).encode(), CLOUDEVENT),
            (SUCCEEDED, json.dumps(more).encode(), CLOUDEVENT),
            ("millstream.nobody.hears.this", b"garbage", {}),
        ]
        wrong = broken(told)
        everything = [*again, *harmless, *wrong.values()]
        chance.shuffle(everything)
        await shout(connection, everything)
        await _settled(connection)
    return Counter(
        (subject, hearer)
        for subject, _, _ in wrong.values()
        for hearer in HEARERS[subject.replace("elsewhere", "default")]
    )


async def _settled(connection: Nats, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while any((left := await broker.pending(connection, tuple(set().union(*HEARERS.values())))).values()):
        assert time.monotonic() < end, f"consumers are stuck: {left}"
        await asyncio.sleep(0.2)


async def asked(platform: Platform, letter: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The answer to a command and how long it took, in seconds."""
    async with broker.connected(platform) as connection:
        heard = await connection.subscribe("millstream.>")
        began = time.monotonic()
        await connection.jetstream().publish(APPLY, json.dumps(letter).encode(), headers=CLOUDEVENT)
        async with asyncio.timeout(30):
            async for message in heard.messages:
                found = broker.Raw(message.subject, {}, message.data).letter
                if found.get("causationid") == letter["id"] and found["type"].endswith(("applied.v1", "rejected.v1")):
                    return found, time.monotonic() - began
    raise AssertionError("no answer")


def _state(client: Client) -> dict[str, Any]:
    return {
        job["metadata"]["name"]: (job["metadata"]["uid"], job["metadata"]["generation"], job["status"]["conditions"])
        for job in client.list("trainjobs")
        if job["metadata"]["name"] in NAMES
    }


@pytest.mark.timeout(240)
def test_hostile_messages_change_nothing_and_hold_up_no_one(platform: Platform) -> None:
    with Client.from_home(platform.home) as client:
        uids = {flow.insist(client, flow.small_job(name, MODEL)) for name in NAMES}
        flow.wait_all_over(client, NAMES, 120)
        until(lambda: len(flow.insist_versions(client, MODEL)) == 5, 30, "five versions")
        before, recorded = _state(client), flow.versions(client, MODEL)
        expected = asyncio.run(rain(platform))

        assert _state(client) == before
        assert flow.versions(client, MODEL) == recorded
        succeeded = flow.counted(flow.change_log(platform, "trainer"), "training.trainjob.succeeded.v1")
        assert {uid: n for uid, n in succeeded.items() if uid in uids} == dict.fromkeys(uids, 1)

        buried = broker.dead(platform)
        found = Counter(
            (raw.headers["Millstream-Dead-Subject"], raw.headers["Millstream-Dead-Handler"]) for raw in buried
        )
        assert found == expected
        assert all(raw.headers["Millstream-Dead-Reason"] for raw in buried)

        answer, took_s = asyncio.run(asked(platform, command("after-the-rain")))
        assert answer["type"] == "training.trainjob.applied.v1" and took_s < 15, (answer, took_s)
        assert flow.wait_all_over(client, ["after-the-rain"], 60)["after-the-rain"] == "Complete"


@pytest.mark.timeout(120)
def test_a_huge_command_is_answered_and_one_with_nonsense_is_rejected_by_name(platform: Platform) -> None:
    nonsense = command("nonsense")
    nonsense["data"]["manifest"]["spec"]["trainer"]["numNodes"] = "many"
    answer, _ = asyncio.run(asked(platform, nonsense))
    assert answer["type"] == "training.trainjob.rejected.v1"
    assert "numNodes" in json.dumps(answer["data"]["status"])

    huge = command("huge")
    huge["data"]["manifest"]["metadata"]["annotations"]["note"] = "x" * (5 * MIB)
    answer, _ = asyncio.run(asked(platform, huge))
    assert answer["type"] in ("training.trainjob.applied.v1", "training.trainjob.rejected.v1")
    answer, took_s = asyncio.run(asked(platform, command("small-again")))
    assert answer["type"] == "training.trainjob.applied.v1" and took_s < 15
