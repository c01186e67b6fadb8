"""List and watch that survives: re-lists when its place is gone, dials again when the server went; knows no kind."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from libs.base.clock import Clock
from libs.base.errors import ApiError, Unavailable, error_from_status
from libs.cluster.connection import Connection, Query

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

WATCH_S = 290
"""How long one watch request lasts; the API server's own default is 5 to 10 minutes."""
SILENCE_S = WATCH_S + 30
FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.05, 10.0, 5.0
LONGEST_ASKED_S = 60.0
"""A server may ask for a longer pause than ours, but not for ever."""

Object = dict[str, Any]
Event = tuple[str, Object]


class Listing(NamedTuple):
    """What a list call returned and the resourceVersion it is true at."""

    items: list[Object]
    version: str


class Seen:
    """What the watcher's reader has been told: enough to tell the difference after a re-list."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Object] = {}

    def differences(self, items: list[Object]) -> Iterator[Event]:
        gone = dict(self._known)
        for item in items:
            before = gone.pop(_key(item), None)
            if before is None or _version(before) != _version(item):
                self.note(kind := "MODIFIED" if before else "ADDED", item)
                yield kind, item
        for stub in gone.values():
            self.note("DELETED", stub)
            yield "DELETED", stub

    def note(self, kind: str, obj: Object) -> None:
        if kind == "DELETED":
            self._known.pop(_key(obj), None)
        else:
            metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
            self._known[_key(obj)] = {
                "apiVersion": obj.get("apiVersion"),
                "kind": obj.get("kind"),
                "metadata": metadata,
            }


async def watch_forever(
    wire: Connection, path: str, labels: str | None, relist: Callable[[], Awaitable[Listing]], clock: Clock
) -> AsyncIterator[Event]:
    """See Cluster.watch."""
    seen, version, synced, pause = Seen(), "", False, FIRST_PAUSE_S
    while True:
        started, asked_s = clock.monotonic(), 0.0
        try:
            if not version:
                listing = await relist()
                for event in seen.differences(listing.items):
                    yield event
                version = listing.version
                if not synced:
                    synced = True
                    yield "SYNCED", {}
            started = clock.monotonic()
            async for kind, obj in _watch_once(wire, path, labels, version):
                version = _version(obj)
                if kind != "BOOKMARK":
                    seen.note(kind, obj)
                    yield kind, obj
        except ApiError as error:
            log.info("watch of %s starts again: %s", path, error)
            # Who is only asked to come later keeps its place: listing all again is what a busy server can least bear.
            version = version if _is_throttled(error) else ""
            asked_s = min(float(error.retry_after_s or 0), LONGEST_ASKED_S)
        # A server that ends every watch at once must not make us spin.
        pause = FIRST_PAUSE_S if clock.monotonic() - started > STEADY_S else min(pause * 2, LONGEST_PAUSE_S)
        await clock.sleep(max(pause, asked_s))


def _is_throttled(error: ApiError) -> bool:
    return error.code == 429 or (error.code == 503 and error.retry_after_s is not None)


async def _watch_once(wire: Connection, path: str, labels: str | None, version: str) -> AsyncIterator[Event]:
    query: Query = {
        "watch": True,
        "allowWatchBookmarks": True,
        "resourceVersion": version,
        "labelSelector": labels,
        "timeoutSeconds": WATCH_S,
    }
    async with wire.stream("GET", path, query, idle_s=SILENCE_S) as answer:
        async for line in lines(answer):
            kind, obj = _event(line)
            if kind == "ERROR":
                raise error_from_status(obj)
            yield kind, obj


def _event(line: bytes) -> Event:
    try:
        event = orjson.loads(line)
        return event["type"], event["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"the cluster sent no watch event but {line[:80]!r}") from error


async def lines(answer: "aiohttp.ClientResponse") -> AsyncIterator[bytes]:
    """Whole lines without their ends, however long (aiohttp's own reader refuses those beyond its buffer)."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))
