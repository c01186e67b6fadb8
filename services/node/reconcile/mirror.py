"""The node's objects in memory, kept by the change feed: what hosts files, proxies and wake-ups are made from.

It may lag a commit behind; whoever decides something that must not happen twice reads the store in a transaction.
"""

from collections.abc import Callable, Iterable

from libs.resources.kinds import Kind, Object
from libs.store import Store

Listener = Callable[[str, Object | None, Object | None], None]
"""(resource, object now or None, object before or None)"""


class Mirror:
    """`load` once, then `run` for ever."""

    def __init__(self, store: Store, kinds: Iterable[Kind]) -> None:
        self._store = store
        self._kinds = tuple(kinds)
        self._objects: dict[str, dict[tuple[str, str], Object]] = {k.resource: {} for k in self._kinds}
        self._listeners: list[Listener] = []
        self._seen = 0

    def listen(self, listener: Listener) -> None:
        """`listener` is called for every later change, in order; it must be quick."""
        self._listeners.append(listener)

    async def load(self) -> None:
        """Reads everything as of one moment."""
        async with self._store.read() as reader:
            self._seen = await reader.last_seq()
            for kind in self._kinds:
                for obj in await reader.list(kind.resource):
                    self._objects[kind.resource][_key(obj)] = obj

    def announce(self) -> None:
        """Tells the listeners of everything there is, as if it were new."""
        for resource, known in self._objects.items():
            for obj in list(known.values()):
                self._tell(resource, obj, None)

    async def run(self) -> None:
        """Follows the feed until cancelled."""
        async for change in self._store.feed.subscribe(None, self._seen):
            self._seen = change.seq
            body = change.body if change.resource in self._objects else None  # it is decoded at each asking
            if body is None:
                continue
            known, key = self._objects[change.resource], _key(body)
            before = known.get(key)
            if change.op == "DELETED":
                known.pop(key, None)
                self._tell(change.resource, None, before or body)
            else:
                known[key] = body
                self._tell(change.resource, body, before)

    def all(self, kind: Kind) -> list[Object]:
        """Every object of a kind."""
        return list(self._objects[kind.resource].values())

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object."""
        return self._objects[kind.resource].get((namespace, name))

    def _tell(self, resource: str, now: Object | None, before: Object | None) -> None:
        for listener in self._listeners:
            listener(resource, now, before)


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
