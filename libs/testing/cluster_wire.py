"""The wire between libs.cluster.Cluster and a cluster in memory, with its delays, silences and broken watches."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from libs.base import ApiError, Gone, Unavailable
from libs.cluster import Cluster
from libs.cluster.client import APPLY
from libs.cluster.connection import Connection, Query
from libs.testing.cluster import Address, Happening, MemoryCluster, Object, Place, place_of
from libs.testing.loop import Life

Moment = Callable[[str], Awaitable[None]]
"""Awaited with "asked" before and "done" after every call; may take its time, or raise Unavailable."""


async def no_trouble(moment: str) -> None:
    """A wire without faults; a call still takes a turn of the loop."""
    await asyncio.sleep(0)


def connect(cluster: MemoryCluster, *, life: Life | None = None, trouble: Moment = no_trouble) -> Cluster:
    """The real client over a wire in memory. Nothing of a killed `life` gets through any more."""
    wire: Any = MemoryWire(cluster, life or Life("test"), trouble)
    return Cluster(wire, cluster.clock)


class MemoryWire(Connection):
    """One client's connection."""

    def __init__(self, cluster: MemoryCluster, life: Life, trouble: Moment) -> None:
        self._cluster, self._life, self._trouble = cluster, life, trouble

    async def close(self) -> None:
        """Nothing is held."""

    async def call(
        self, method: str, path: str, query: Query | None = None, body: Any = None, *, media: str = "application/json"
    ) -> Object:
        await self._moment("asked")
        try:
            return answer(self._cluster, method, place_of(path), query or {}, body, media)
        finally:
            await self._moment("done")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: Query | None = None, body: Any = None, **_: Any
    ) -> AsyncIterator[Any]:
        await self._moment("asked")
        place = place_of(path)
        if place.subresource == "log":
            self._cluster.get(_address(place))
            yield _Text(f"the last words of {place.name}\n")
            return
        watch = _Watch(self._cluster, place, query or {}, self._trouble)
        self._cluster.on_change.append(watch.note)
        try:
            yield watch
        finally:
            self._cluster.on_change.remove(watch.note)

    async def _moment(self, moment: str) -> None:
        await self._trouble(moment)
        if self._life.dead:
            raise Unavailable("this process was killed")


def answer(
    cluster: MemoryCluster, method: str, place: Place, query: Mapping[str, Any], body: Any, media: str
) -> Object:
    """What the API server says to one request; raises ApiError."""
    at = _address(place)
    match method:
        case "GET" if place.name:
            return cluster.get(at)
        case "GET":
            chosen = (query.get("labelSelector"), query.get("fieldSelector"))
            items = cluster.list(place.group, place.plural, place.namespace, *chosen)
            bare = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
            return {"kind": "List", "metadata": {"resourceVersion": str(cluster.version)}, "items": bare}
        case "POST":
            return cluster.create(at._replace(name=body["metadata"]["name"]), body)
        case "PUT":
            return cluster.replace(at, body)
        case "PATCH" if media == APPLY:
            return cluster.apply(at, body)
        case "PATCH":
            return cluster.patch(at, body, status=place.subresource == "status")
        case "DELETE":
            return cluster.delete(at, propagation=(body or {}).get("propagationPolicy", "Background"))
    raise ApiError(f"{method} is not known here")


def _address(place: Place) -> Address:
    return Address(place.group, place.plural, place.namespace, place.name)


class _Text:
    def __init__(self, text: str) -> None:
        self.content, self._text = self, text

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self._text.encode()


class _Watch:
    """One watch request: lines of JSON until its time is over, its place is forgotten or the wire breaks."""

    def __init__(self, cluster: MemoryCluster, place: Place, query: Mapping[str, Any], trouble: Moment) -> None:
        self.content = self
        self._cluster, self._place, self._labels = cluster, place, query.get("labelSelector")
        self._at = int(query.get("resourceVersion") or 0)
        self._until = cluster.clock.monotonic() + float(query.get("timeoutSeconds") or 300)
        self._trouble, self._news = trouble, asyncio.Event()

    def note(self, happening: Happening) -> None:
        if (happening.address.group, happening.address.plural) == (self._place.group, self._place.plural):
            self._news.set()

    async def iter_any(self) -> AsyncIterator[bytes]:
        while (left := self._until - self._cluster.clock.monotonic()) > 0:
            if self._at < self._cluster.forgotten:
                yield _line("ERROR", Gone(f"too old resource version: {self._at}").status())
                return
            self._news.clear()
            told = self._cluster.since(self._at, self._place, self._labels)
            self._at = self._cluster.version
            for type, obj in told:
                yield _line(type, obj)
            await self._trouble("watching")
            await self._wait(left)

    async def _wait(self, seconds: float) -> None:
        nap = asyncio.ensure_future(self._cluster.clock.sleep(seconds))
        nap.add_done_callback(self._rung)
        try:
            await self._news.wait()
        finally:
            nap.cancel()

    def _rung(self, nap: "asyncio.Future[None]") -> None:
        if not nap.cancelled():
            self._news.set()


def _line(type: str, obj: Object) -> bytes:
    return json.dumps({"type": type, "object": obj}).encode() + b"\n"
