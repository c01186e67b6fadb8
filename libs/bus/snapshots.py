"""Whole streams out of the broker and back, by the broker's own snapshots: sequences, times and consumers are kept.

The protocol is JetStream's (`$JS.API.STREAM.SNAPSHOT` and `.RESTORE`, ADR-1): an S2-compressed
tar in chunks, in one direction acknowledged by the reader, in the other by the broker. A restored stream has another
`created` time, which is its identity here, and no memory of message ids: who published must not publish again what
it holds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from libs.bus.connection import MSG_ID
from libs.bus.errors import BusError, BusUnavailable
from libs.bus.topology import STREAM
from libs.bus.trust import Trust

CHUNK_BYTES = 64 * 1024
SILENCE_S = 30.0
"""How long the broker may say nothing: it freezes a large stream before the first chunk."""
REACH_S = 10.0
_PAGE = 500


@dataclass(frozen=True)
class Head:
    """What a stream was when its snapshot began; goes back to the broker as it came."""

    config: dict[str, Any]
    state: dict[str, Any]

    @property
    def removed(self) -> int:
        """Messages of its life that it no longer has."""
        return int(self.state["last_seq"]) - int(self.state["messages"])

    def part_of(self, other: Head) -> bool:
        """Whether this can be what a restore of `other` left that broke off: the first message is the very same one."""
        mine, theirs = self.state, other.state
        begun: bool = mine["messages"] == 0 or mine["first_ts"] == theirs["first_ts"]
        return begun and bool(mine["last_seq"] <= theirs["last_seq"] and mine["messages"] <= theirs["messages"])

    def same_as(self, other: Head) -> bool:
        """Whether both hold the same messages; consumers may differ."""
        parts = ("messages", "first_seq", "last_seq", "bytes") if self.state["messages"] else ("messages", "last_seq")
        return all(self.state.get(part) == other.state.get(part) for part in parts)


class Streams:
    """All streams of one account, over a connection that may do everything in it."""

    def __init__(self, nc: Client) -> None:
        self._nc, self._js = nc, nc.jetstream()

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, *, ca_file: str | None = None) -> AsyncIterator[Self]:
        """`ca_file` and tls:// as in libs.bus.connection. Raises BusUnavailable when the broker cannot be reached."""
        failures: list[Exception] = []

        async def on_error(error: Exception) -> None:
            failures.append(error)

        tls = {"tls": Trust(ca_file).context, "tls_handshake_first": url.startswith("tls://")} if ca_file else {}
        try:
            async with asyncio.timeout(REACH_S):
                nc = await nats.connect(
                    url.split(","), name="millstream/backup", allow_reconnect=False, reconnect_time_wait=0.25,
                    error_cb=on_error, **tls,
                )  # fmt: skip
        except (NatsError, OSError, TimeoutError) as error:
            why = failures[-1] if failures else error
            raise BusUnavailable(f"the broker cannot be reached: {why or type(why).__name__}") from error
        try:
            yield cls(nc)
        finally:
            await nc.close()

    async def names(self) -> list[str]:
        return sorted([str(found.config.name) for found in await self._js.streams_info()])

    async def head(self, name: str) -> Head | None:
        """What the stream is now; None when there is none."""
        answer = await self._ask(f"$JS.API.STREAM.INFO.{name}", {}, missing=True)
        return Head(answer["config"], answer["state"]) if "state" in answer else None

    async def identity(self) -> str:
        """That of the platform's stream, as libs.bus tells it; empty when there is no stream."""
        try:
            info = await self._js.stream_info(STREAM)
        except NotFoundError:
            return ""
        return info.created.isoformat() if info.created else ""

    @asynccontextmanager
    async def snapshot(self, name: str) -> AsyncIterator[tuple[Head, AsyncIterator[bytes]]]:
        """The stream as it is at the beginning, and its chunks. Reading to the end raises BusError if some lack."""
        inbox = self._nc.new_inbox()
        chunks: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await self._nc.subscribe(inbox, cb=chunks.put)
        try:
            wish = {"deliver_subject": inbox, "chunk_size": CHUNK_BYTES, "no_consumers": False, "jsck": True}
            answer = await self._ask(f"$JS.API.STREAM.SNAPSHOT.{name}", wish)
            yield Head(answer["config"], answer["state"]), self._chunks(chunks, name)
        finally:
            await subscription.unsubscribe()

    async def _chunks(self, queue: asyncio.Queue[Msg], name: str) -> AsyncIterator[bytes]:
        count = 0
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    msg = await queue.get()
            except TimeoutError:
                raise BusUnavailable(f"the broker stopped sending the stream {name}") from None
            if msg.reply:
                await self._nc.publish(msg.reply, b"")
            if not msg.data:  # the end, or why there is none
                status = (msg.headers or {}).get("Status", "")
                if not count or status not in ("", "204"):
                    why = (msg.headers or {}).get("Description", "")
                    raise BusError(f"the broker gave up the snapshot of {name}: {status} {why}".rstrip())
                return
            count += 1
            yield msg.data

    async def restore(self, name: str, head: Head, chunks: Iterable[bytes], *, replicas: int | None = None) -> Head:
        """Makes the stream from a snapshot; it must not exist. Returns what it is then.

        When this breaks off, a part of the stream may stay: delete it before the next try.
        `replicas` differs from the snapshot's where the new broker has more or fewer servers. Raises BusError.
        """
        config = {**head.config, "num_replicas": replicas} if replicas else head.config
        answer = await self._ask(f"$JS.API.STREAM.RESTORE.{name}", {"config": config, "state": head.state})
        to = answer["deliver_subject"]
        for chunk in chunks:
            _raise_for(await self._send(to, chunk), f"restoring {name}")
        _raise_for(await self._send(to, b""), f"restoring {name}")
        made = await self.head(name)
        if made is None or not made.same_as(head):
            raise BusError(f"the restored stream {name} differs from its backup: {made and made.state} {head.state}")
        return made

    async def delete(self, name: str) -> None:
        await self._js.delete_stream(name)

    async def consumers(self, name: str) -> dict[str, tuple[int, int]]:
        """Durable consumer -> (stream sequence up to which all is acknowledged, how many beyond are in hand)."""
        found = await self._js.consumers_info(name)
        return {
            str(each.name): (each.ack_floor.stream_seq if each.ack_floor else 0, each.num_ack_pending or 0)
            for each in found
            if each.config.durable_name
        }

    async def message_ids(self, name: str) -> set[str]:
        """The ids under which all that the stream holds was published."""
        head = await self.head(name)
        left = int(head.state["messages"]) if head else 0
        if not left:
            return set()
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, headers_only=True, mem_storage=True,
            num_replicas=1, inactive_threshold=60.0,
        )  # fmt: skip
        consumer = (await self._js.add_consumer(name, config)).name
        found: set[str] = set()
        reader = await self._js.pull_subscribe_bind(consumer, name)
        while left > 0:
            batch = await reader.fetch(min(_PAGE, left), timeout=SILENCE_S)
            found.update(str(msg.headers[MSG_ID]) for msg in batch if msg.headers and MSG_ID in msg.headers)
            left -= len(batch)
        await self._js.delete_consumer(name, consumer)
        return found

    async def _ask(self, subject: str, body: dict[str, Any], *, missing: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self._send(subject, json.dumps(body).encode()))
        if missing and (answer.get("error") or {}).get("code") == 404:
            return {}
        _raise_for(json.dumps(answer).encode(), subject.rpartition(".")[2])
        return answer

    async def _send(self, subject: str, data: bytes) -> bytes:
        try:
            return (await self._nc.request(subject, data, timeout=SILENCE_S)).data
        except (NatsError, TimeoutError) as error:
            why = "the broker does not answer; may this user do everything?"
            raise BusUnavailable(f"{subject}: {why} ({type(error).__name__})") from error


def _raise_for(answer: bytes, what: str) -> None:
    """An empty answer is consent."""
    error = json.loads(answer).get("error") if answer else None
    if error:
        raise BusError(f"{what}: {error.get('description') or error}")
