"""One write transaction: objects, their changes and their letters become visible together or not at all."""

from collections.abc import Mapping
from typing import Any

from libs.base import AlreadyExists, BadRequest, Clock, Conflict, NotFound, rfc3339_micro
from libs.store import statements as sql
from libs.store.change import ADDED, DELETED, MODIFIED, SAID, Change
from libs.store.codec import decode, encode, is_storable
from libs.store.lines import Line, Statement
from libs.store.reader import Obj, Reader

Key = tuple[str, str, str]


class UnitOfWork(Reader):
    """The only writer of its database while it is open, in every process: do no slow work inside."""

    def __init__(self, line: Line, begin: tuple[Statement, ...], clock: Clock) -> None:
        super().__init__(line, begin)
        self._clock = clock
        self._seq = 0
        self._at = ""
        self._known: dict[Key, str | None] = {}
        self._versions: dict[Key, str] = {}
        self._changes: list[Change] = []
        self._lettered = 0
        self.committed = False

    async def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        obj = await super().get(resource, namespace, name)
        if obj is not None:
            self._versions[resource, namespace, name] = obj["metadata"].get("resourceVersion") or ""
        return obj

    async def insert(self, resource: str, obj: Obj) -> Obj:
        """Writes a new object and its ADDED change; returns it with its resourceVersion. Raises AlreadyExists."""
        key = _key(resource, obj)
        sealed, text, seq = self._seal(obj)
        uid = str(obj["metadata"].get("uid", ""))
        if not await self.rows(sql.INSERT_OBJECT, *key, uid, seq, text):
            raise AlreadyExists.about(resource, key[2])
        self._record(ADDED, key, text, None)
        return sealed

    async def update(self, resource: str, obj: Obj) -> Obj:
        """Replaces an object and writes its MODIFIED change; returns it with its new resourceVersion.

        Raises NotFound, and Conflict when `metadata.resourceVersion` is given and is not the present one.
        """
        key = _key(resource, obj)
        prev = await self._present(key)
        expected = obj["metadata"].get("resourceVersion")
        if expected and expected != (self._versions.get(key) or decode(prev)["metadata"]["resourceVersion"]):
            raise Conflict.about(resource, key[2])
        sealed, text, seq = self._seal(obj)
        self._pending.append((sql.UPDATE_OBJECT, (*key, str(obj["metadata"].get("uid", "")), seq, text)))
        self._record(MODIFIED, key, text, prev)
        return sealed

    async def delete(self, resource: str, namespace: str, name: str, *, final: Obj | None = None) -> Obj:
        """Removes an object and writes its DELETED change, with `final` or what was stored. Raises NotFound."""
        key = (resource, namespace, name)
        prev = await self._present(key)
        sealed, text, _ = self._seal(final if final is not None else decode(prev))
        self._pending.append((sql.DELETE_OBJECT, key))
        self._record(DELETED, key, text, prev)
        self._known[key] = None
        return sealed

    def say(self, letter: Mapping[str, Any], subject: str) -> None:
        """Puts a letter (a CloudEvent as JSON) into the outbox; it is said once, and only if, this transaction commits.

        Letters keep their order. A letter rides on a change row of this transaction where one is free.
        """
        text = encode(letter)
        if self._lettered < len(self._changes):
            row = self._changes[self._lettered]
            self._changes[self._lettered] = row._replace(subject=subject, letter_json=text)
        else:
            namespace = str(letter.get("namespace") or "")
            seq = self._next_seq()
            self._changes.append(Change(seq, self._at, SAID, "", namespace, "", None, None, subject, text, None))
        self._lettered += 1

    async def first_time(self, consumer: str, event_id: str) -> bool:
        """Notes that `consumer` acts on the event in this transaction; False if it already has."""
        return bool(await self.rows(sql.FIRST_TIME, consumer, event_id, self._at))

    async def set_meta(self, key: str, value: str) -> None:
        """Keeps a small fact about the store beside its objects."""
        await self.later(sql.SET_META, key, value)

    async def flush(self) -> None:
        """Sends what is waiting, so that `session` sees it."""
        pending, self._pending = self._pending, []
        if pending:
            await self._line.run(pending)

    async def later(self, statement: str, *params: Any) -> None:
        """A statement over the store's own tables that is sent with the next one, or with the commit."""
        self._pending.append((statement, params))

    async def last_seq(self) -> int:
        """The newest seq, this transaction's own included."""
        return self._seq

    async def changes_since(self, seq: int, *, resource: str | None = None, limit: int = 1000) -> list[Change]:
        found = await super().changes_since(seq, resource=resource, limit=limit)
        own = [row for row in self._changes if row.seq > seq and resource in (None, row.resource)]
        return [*found, *own][:limit]

    async def begin(self) -> None:
        """For the store alone: takes the turn of the one writer."""
        self._seq = await super().last_seq()
        self._at = rfc3339_micro(self._clock.now())

    async def commit(self) -> list[Change]:
        """For the store alone: ends the transaction well and returns its changes in order."""
        await self._settle_session()
        await self._line.run([*self._pending, *self._rows(), ("COMMIT", ())])
        self.committed = True
        await self._close_session()
        return self._changes

    async def _settle_session(self) -> None:
        """What the session holds back is sent."""
        if self._session is not None:
            await self._session.flush()

    def _rows(self) -> list[Statement]:
        return [(sql.INSERT_CHANGE, tuple(change)) for change in self._changes]

    async def _body(self, resource: str, namespace: str, name: str) -> str | None:
        # Nobody else can write while this transaction is open, so what was read once stays true.
        key = (resource, namespace, name)
        if key not in self._known:
            self._known[key] = await super()._body(*key)
        return self._known[key]

    async def _present(self, key: Key) -> str:
        text = await self._body(*key)
        if text is None:
            raise NotFound.about(key[0], key[2])
        return text

    def _seal(self, obj: Obj) -> tuple[Obj, str, int]:
        """A copy that carries the next seq as its resourceVersion, its text, and that seq (taken only by `_record`)."""
        seq = self._seq + 1
        sealed = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(seq)}}
        return sealed, encode(sealed), seq

    def _record(self, op: str, key: Key, text: str, prev: str | None) -> None:
        self._changes.append(Change(self._next_seq(), self._at, op, *key, text, prev, None, None, None))
        self._known[key] = text
        self._versions.pop(key, None)

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq


def _key(resource: str, obj: Obj) -> Key:
    metadata = obj["metadata"]
    key = (resource, metadata.get("namespace") or "", metadata["name"])
    if not is_storable(*key):
        raise BadRequest(f"metadata.name: {key[2]!r} holds characters that no name may have")
    return key
