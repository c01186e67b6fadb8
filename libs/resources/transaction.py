"""One open transaction of the store as the resource machinery sees it; a rehearsal (dry run) never writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from contracts.envelope import Event, Letter, letter_for, subject_for
from libs.base import Clock, Ids, NotFound
from libs.resources.kinds import Kind, Object, Op
from libs.store import Reader, UnitOfWork
from libs.telemetry import inject

# The store has no index of owners: the text of the objects is searched inside the database. `replace` is the fastest
# search that both databases have and that is exact (LIKE takes four times as long on SQLite, which folds case). Events
# are left out, by ranges of the key: they are many, nobody owns them, and they go by their age.
_MENTIONS = "(?2 = '' OR namespace = ?2) AND replace(body, ?1, '') <> body"
_MENTIONING = " UNION ALL ".join(
    f"SELECT resource, namespace, name, body FROM objects WHERE resource {beside} 'events' AND {_MENTIONS}"
    for beside in "<>"
)

DELETED_BY = "millstream.dev/deleted-by-command"
"""Annotation that remembers, until finalizers let an object go, which command its deleted event answers."""


class Beforehand(Exception):  # no error: the caller does the work and tries again
    """A kind's `keep` wants work done that takes too long for a transaction, for which all other writers would wait.
    Nothing has been written; afterwards the write is tried anew."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        super().__init__(work)
        self.work = work


@dataclass(frozen=True)
class Transaction:
    """Reads and writes of one transaction. `source` is `millstream/<service>`, `cause` the letter that is being
    handled.
    """

    reader: Reader
    clock: Clock
    ids: Ids
    source: str
    dry_run: bool
    cause: Letter | None = None

    @property
    def now(self) -> datetime:
        return self.clock.now()

    async def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return await self.reader.get(kind.resource, namespace if kind.namespaced else "", name)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        found = await self.find(kind, namespace, name)
        if found is None:
            raise NotFound.about(kind.resource, name)
        return found

    async def owned_by(self, uid: str, namespace: str | None) -> list[tuple[str, Object]]:
        """(resource, object) of all objects whose ownerReferences name `uid`, in `namespace` or anywhere."""
        found = await self.reader.rows(_MENTIONING, f'"uid":"{uid}"', namespace or "")
        objects = [(str(resource), orjson.loads(body)) for resource, _, _, body in sorted(found, key=_place)]
        return [
            (r, o) for r, o in objects if any(ref["uid"] == uid for ref in o["metadata"].get("ownerReferences") or ())
        ]

    async def insert(self, kind: Kind, obj: Object) -> Object:
        obj = await kind.keep(self, "ADDED", obj, None) if kind.keep else obj
        stored = obj if self.dry_run else await self._unit.insert(kind.resource, obj)
        self._tell(kind, "ADDED", stored, None)
        return stored

    async def update(self, kind: Kind, obj: Object, old: Object) -> Object:
        obj = await kind.keep(self, "MODIFIED", obj, old) if kind.keep else obj
        stored = obj if self.dry_run else await self._unit.update(kind.resource, obj)
        self._tell(kind, "MODIFIED", stored, old)
        return stored

    async def remove(self, kind: Kind, obj: Object) -> None:
        metadata = obj["metadata"]
        if kind.keep:
            await kind.keep(self, "DELETED", obj, obj)
        if not self.dry_run:
            await self._unit.delete(kind.resource, metadata.get("namespace", ""), metadata["name"], final=obj)
        self._tell(kind, "DELETED", obj, obj)

    def say(self, events: Iterable[Event], *, answered: str | None = None) -> None:
        """Says events with this transaction: they are published once it is committed, and not otherwise.

        `answered` is the id of an earlier letter that they answer, when none is being handled now.
        """
        if self.dry_run:
            return
        trace = inject().get("traceparent")
        for event in events:
            letter = letter_for(
                event, id=self.ids.event(), source=self.source, now=self.now, causation=self.cause, traceparent=trace
            )
            if answered and self.cause is None:
                letter = letter.model_copy(update={"causationid": answered, "correlationid": answered})
            self._unit.say(letter.to_dict(), subject_for(letter.type, letter.namespace))

    def _tell(self, kind: Kind, op: Op, obj: Object, old: Object | None) -> None:
        notes = obj["metadata"].get("annotations") or {}
        self.say(kind.events(op, obj, old), answered=notes.get(DELETED_BY) if op == "DELETED" else None)

    @property
    def _unit(self) -> UnitOfWork:
        assert isinstance(self.reader, UnitOfWork), "writes need a unit of work"
        return self.reader


def _place(row: Sequence[object]) -> tuple[str, str, str]:
    resource, namespace, name, _ = row
    return str(resource), str(namespace), str(name)
