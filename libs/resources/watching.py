"""Watches: one reader of the change log per process fans every change out to all watchers; idle, it costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from libs.base import BadRequest, Cause, Gone, Invalid
from libs.resources.kinds import Kind, Object
from libs.resources.listing import FIRST_VERSION
from libs.resources.selectors import Selectors
from libs.store import Change, Store

BOOKMARK_EVERY_S = 60.0
INITIAL_END = "k8s.io/initial-events-end"
_WAITING_MAX = 20_000
_REPLAY_CHUNK = 500
_LATEST_MAX, _LATEST_CHARACTERS = 64, 32_768
_FELL_BEHIND = "too old resource version: the watch fell behind the changes, list again and watch from there"


@dataclass
class Shared:
    """One change as all watchers see it: decoded and rendered at most once, whoever asks first."""

    change: Change
    earlier: Shared | None = None
    """The change of the same object before this one, where it is known; let go of with the next."""

    @cached_property
    def body(self) -> Object:
        return self.change.body or {}

    @cached_property
    def prev(self) -> Object | None:
        if self.earlier is not None and self.earlier.change.body_json == self.change.prev_json:
            return self.earlier.body
        return self.change.prev

    @cached_property
    def lines(self) -> dict[str, bytes]:
        return {}

    def line(self, type: str) -> bytes:
        """The change as a line of a watch; the stored text is copied, never parsed."""
        if type not in self.lines:
            self.lines[type] = b'{"type":"%b","object":%b}\n' % (
                type.encode(),
                (self.change.body_json or "{}").encode(),
            )
        return self.lines[type]


@dataclass(frozen=True)
class Happening:
    """One event of one watch; `shared` is the change behind it, absent for bookmarks, errors and what already
    existed.
    """

    type: str
    known: Object | None = None
    shared: Shared | None = None

    @property
    def obj(self) -> Object:
        return self.shared.body if self.shared is not None else self.known or {}

    def line(self) -> bytes:
        if self.shared is not None:
            return self.shared.line(self.type)
        return orjson.dumps({"type": self.type, "object": self.known}) + b"\n"


@dataclass(eq=False)
class Watcher:
    """What waits for one watch. `lagging` means that it was too slow and lost changes: it must start again. It is left
    asleep over changes that it does not `want`; until it says which, it gets all."""

    want: Callable[[Shared], bool] | None = None
    waiting: deque[Shared] = field(default_factory=deque)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    lagging: bool = False
    over: bool = False

    def put(self, shared: Shared) -> None:
        if self.want is not None and not self.want(shared):
            return
        if len(self.waiting) >= _WAITING_MAX:
            self.lagging = True
            self.waiting.clear()
        self.waiting.append(shared)
        self.awake.set()

    def end(self) -> None:
        self.over = True
        self.awake.set()


class Hub:
    """The one reader of the change log. It runs while somebody watches; `position` is the last seq that it
    passed on.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.position = 0
        # In the order of their coming, so that who wakes first is no choice of the machine's.
        self._watchers: dict[str, dict[Watcher, None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._drained = False
        self._joining = asyncio.Lock()
        self._latest: dict[tuple[str, str, str], Shared] = {}

    async def join(self, resource: str) -> Watcher:
        """A watcher that gets every change of `resource` behind the present `position`."""
        watcher = Watcher()
        if self._drained:
            watcher.end()
        self._watchers.setdefault(resource, {})[watcher] = None
        async with self._joining:  # whoever joins reads the state only after the hub knows where it began
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run(await self._start()), name="watch-hub")
        return watcher

    async def _start(self) -> int:
        async with self.store.read() as reader:
            self.position = await reader.last_seq()
        return self.position

    def leave(self, resource: str, watcher: Watcher) -> None:
        self._watchers.get(resource, {}).pop(watcher, None)
        if not any(self._watchers.values()) and self._task is not None:
            self._task.cancel()
            self._task = None

    def drain(self) -> None:
        """Ends all watches, now and from now on."""
        self._drained = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.end()

    async def _run(self, since: int) -> None:
        try:
            async for change in self.store.feed.subscribe(None, since):
                self._pass_on(change)
        finally:
            self._lose_everybody()

    def _pass_on(self, change: Change) -> None:
        self.position = change.seq
        watchers = self._watchers.get(change.resource)
        if watchers and change.body_json is not None:
            shared = self._shared(change)
            for watcher in watchers:
                watcher.put(shared)

    def _shared(self, change: Change) -> Shared:
        """What an object was before is most often what it became by the change before: it is decoded already."""
        place = (change.resource, change.namespace, change.name)
        if earlier := self._latest.pop(place, None):
            earlier.earlier = None
        shared = Shared(change, earlier)
        if change.op != "DELETED" and len(change.body_json or "") <= _LATEST_CHARACTERS:
            self._latest[place] = shared
            if len(self._latest) > _LATEST_MAX:
                del self._latest[next(iter(self._latest))]
        return shared

    def _lose_everybody(self) -> None:
        """The feed ended under us: every watcher must list again, none may wait for ever."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.lagging = True
                watcher.awake.set()


async def watch(
    hub: Hub,
    kind: Kind,
    namespace: str | None,
    since: str | None,
    selectors: Selectors,
    bookmarks: bool,
    initial: bool | None,
    timeout: float | None,
) -> AsyncIterator[list[Happening]]:
    """Batches of events. Raises BadRequest or Gone at once; the iterator itself raises nothing but its task's end."""
    version = _version(since)
    watcher = await hub.join(kind.resource)
    try:
        begin, position = await _beginning(hub, kind, namespace, version, selectors, bool(initial))
    except BaseException:
        hub.leave(kind.resource, watcher)
        raise
    view = _View(kind, namespace if kind.namespaced else None, selectors, position)
    watcher.want = view.concerns
    return _stream(hub, watcher, view, begin, bookmarks, timeout)


def _version(since: str | None) -> int | None:
    if not since or since == "0":
        return None
    if not since.isascii() or not since.isdigit() or len(since) > 18:
        raise BadRequest(f"resourceVersion: {since!r} is not one that this server gave: it must be a number")
    # Version 1 may be that of an empty list, before the first change: tell that one, at worst for a second time.
    return int(since) if int(since) > FIRST_VERSION else 0


def check_initial(initial: bool | None, match: str | None, bookmarks: bool) -> None:
    """Raises Invalid for combinations of `sendInitialEvents` that Kubernetes refuses too."""
    if initial is None and match and match != "NotOlderThan":
        told = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise Invalid(causes=[Cause("resourceVersionMatch", told, "FieldValueForbidden")])
    if initial is not None and match != "NotOlderThan":
        told = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise Invalid(causes=[Cause("resourceVersionMatch", told, "FieldValueForbidden")])
    if initial and not bookmarks:
        told = "Forbidden: sendInitialEvents requires setting allowWatchBookmarks to true"
        raise Invalid(causes=[Cause("sendInitialEvents", told, "FieldValueForbidden")])


async def _beginning(
    hub: Hub, kind: Kind, namespace: str | None, version: int | None, selectors: Selectors, initial: bool
) -> tuple[list[Happening], int]:
    """The first batch and the seq behind which the live changes continue."""
    async with hub.store.read() as reader:
        if version is not None and not initial:
            return await _replay(reader, kind, namespace, version, selectors)
        last = await reader.last_seq()
        items = await reader.list(kind.resource, namespace=namespace if kind.namespaced else None)
    begin = [Happening("ADDED", obj) for obj in items if selectors.matches(obj)]
    if initial:
        begin.append(_bookmark(kind, max(last, FIRST_VERSION), {INITIAL_END: "true"}))
    return begin, last


async def _replay(
    reader: Any, kind: Kind, namespace: str | None, version: int, selectors: Selectors
) -> tuple[list[Happening], int]:
    view, begin = _View(kind, namespace if kind.namespaced else None, selectors, version), []
    while changes := await reader.changes_since(view.position, resource=kind.resource, limit=_REPLAY_CHUNK):
        begin += [h for change in changes if (h := view.see(Shared(change)))]
    return begin, view.position


@dataclass
class _View:
    """What one watch sees of the changes: its namespace, its selectors, nothing twice."""

    kind: Kind
    namespace: str | None
    selectors: Selectors
    position: int

    def see(self, shared: Shared) -> Happening | None:
        change = shared.change
        if change.seq <= self.position:
            return None
        self.position = change.seq
        type = self._type(shared)
        return Happening(type, shared=shared) if type else None

    def concerns(self, shared: Shared) -> bool:
        return self._type(shared) is not None

    def _type(self, shared: Shared) -> str | None:
        if self.namespace and shared.change.namespace != self.namespace:
            return None
        return shared.change.op if not self.selectors else self._selected(shared)

    def _selected(self, shared: Shared) -> str | None:
        """An object that begins to match is ADDED, one that ceases to is DELETED."""
        now, before = (
            self.selectors.matches(shared.body),
            shared.prev is not None and self.selectors.matches(shared.prev),
        )
        match shared.change.op:
            case "DELETED":
                return "DELETED" if now or before else None
            case "ADDED":
                return "ADDED" if now else None
        return ("MODIFIED" if before else "ADDED") if now else "DELETED" if before else None


async def _stream(
    hub: Hub, watcher: Watcher, view: _View, begin: list[Happening], bookmarks: bool, timeout: float | None
) -> AsyncIterator[list[Happening]]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout if timeout else None
    try:
        if begin:
            yield begin
        while not watcher.over:
            if batch := _drain(watcher, view):
                yield batch
            elif watcher.lagging:
                yield [Happening("ERROR", Gone(_FELL_BEHIND).status())]
                return
            elif not await _wait(watcher, loop, deadline):
                if deadline is not None and loop.time() >= deadline:
                    return
                if bookmarks and not watcher.waiting:
                    yield [_bookmark(view.kind, max(view.position, hub.position, FIRST_VERSION), {})]
    finally:
        hub.leave(view.kind.resource, watcher)


def _drain(watcher: Watcher, view: _View) -> list[Happening]:
    watcher.awake.clear()
    batch: list[Happening] = []
    while watcher.waiting and not watcher.lagging:
        if happening := view.see(watcher.waiting.popleft()):
            batch.append(happening)
    return batch


async def _wait(watcher: Watcher, loop: asyncio.AbstractEventLoop, deadline: float | None) -> bool:
    """Waits for something to happen; False if it is time for a bookmark or for the end."""
    if watcher.awake.is_set():
        return True
    left = BOOKMARK_EVERY_S if deadline is None else max(0.0, min(BOOKMARK_EVERY_S, deadline - loop.time()))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(left):
            return await watcher.awake.wait()
    return False


def _bookmark(kind: Kind, version: int, annotations: Object) -> Happening:
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return Happening("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})
