"""The home's broker as a stranger uses it: raw NATS, none of our code between; and what its streams hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import nats
from nats.aio.client import Client as Nats
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tests.platform import Platform


@dataclass(frozen=True)
class Raw:
    """One message as it lies in a stream."""

    subject: str
    headers: Mapping[str, str]
    data: bytes

    @property
    def letter(self) -> dict[str, Any]:
        """The CloudEvent in it; empty for what is none."""
        try:
            found = json.loads(self.data)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


@asynccontextmanager
async def connected(platform: Platform) -> AsyncIterator[Nats]:
    connection = await nats.connect(platform.env["NATS_URL"], max_reconnect_attempts=20, reconnect_time_wait=0.2)
    try:
        yield connection
    finally:
        await connection.close()


BATCH, BATCH_S = 25, 30.0
"""A dozen letters of 7 MiB may be among them, on a machine that does other things as well."""


async def everything(connection: Nats, stream: str = "millstream") -> list[Raw]:
    """All that the stream holds now, oldest first."""
    js = connection.jetstream()
    left = (await js.stream_info(stream)).state.messages
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, mem_storage=True)
    consumer = (await js.add_consumer(stream, config)).name
    found: list[Raw] = []
    reader = await js.pull_subscribe_bind(consumer, stream)
    while len(found) < left:
        batch = await reader.fetch(min(BATCH, left - len(found)), timeout=BATCH_S)
        found += [Raw(m.subject, {k: str(v) for k, v in (m.headers or {}).items()}, m.data) for m in batch]
    await js.delete_consumer(stream, consumer)
    return found


def letters(platform: Platform) -> list[dict[str, Any]]:
    """All letters in the stream."""

    async def read() -> list[dict[str, Any]]:
        async with connected(platform) as connection:
            return [raw.letter for raw in await everything(connection) if raw.letter]

    return asyncio.run(read())


def dead(platform: Platform) -> list[Raw]:
    """All dead letters."""

    async def read() -> list[Raw]:
        async with connected(platform) as connection:
            return await everything(connection, "millstream-dead")

    return asyncio.run(read())


async def pending(connection: Nats, consumers: tuple[str, ...]) -> dict[str, int]:
    """How many messages each service has still to settle."""
    js = connection.jetstream()
    left = {}
    for name in consumers:
        try:
            info = await js.consumer_info("millstream", name)
        except NatsTimeoutError:
            left[name] = -1
            continue
        left[name] = (info.num_pending or 0) + (info.num_ack_pending or 0)
    return left
