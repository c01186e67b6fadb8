"""The one place where objects change, for HTTP, commands and reconcilers alike; it must not assume who is asking."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from contracts.envelope import Event, Letter
from libs.base import Clock, Forbidden, Ids
from libs.resources import cascade, listing, writing
from libs.resources.kinds import Kind, Object, Right
from libs.resources.listing import Page
from libs.resources.selectors import EVERYTHING, Selectors
from libs.resources.transaction import Beforehand, Transaction
from libs.resources.watching import Happening, Hub, watch
from libs.resources.writing import Ask
from libs.store import Store, UnitOfWork

Warnings = list[str]
Objects = list[Object]
Batches = AsyncIterator[list[Happening]]

Authorize = Callable[[Any, str, Kind | Right, str, str, str], Awaitable[bool]]
"""Asked as (user, verb, kind, namespace, name, subresource or ""); the user is never None. Answers whether it may be;
may raise Forbidden, or Unavailable when it cannot tell.
"""
Write = Callable[[Transaction, Ask], Awaitable[Object]]


class Resources:
    """Kinds of one store. `user=None` is the service itself, which needs no leave.

    Writes return the object as stored. All raise `ApiError`s: NotFound, AlreadyExists, Conflict, Invalid, BadRequest,
    Gone,
    Forbidden. With `dry_run` they answer the same and store nothing.
    """

    def __init__(
        self,
        store: Store,
        kinds: Sequence[Kind],
        *,
        clock: Clock,
        ids: Ids,
        source: str,
        authorize: Authorize | None = None,
    ) -> None:
        self.store, self.kinds, self.clock, self.ids = store, tuple(kinds), clock, ids
        self.source, self._authorize = source, authorize
        self._unit: UnitOfWork | None = None
        self._cause: Letter | None = None
        self.hub = Hub(store)

    def view(self, uow: UnitOfWork, *, cause: Letter | None = None) -> Resources:
        """The same calls inside an open transaction; events of its changes name `cause` as the letter they follow
        from.
        """
        bound = copy.copy(self)
        bound._unit, bound._cause = uow, cause or self._cause
        return bound

    def kind_of(self, obj: Object) -> Kind | None:
        """The served kind that an object's apiVersion and kind name, if any."""
        return cascade.local_kind(self.kinds, obj)

    async def create(
        self,
        kind: Kind,
        obj: Object,
        *,
        namespace: str | None = None,
        user: Any = None,
        dry_run: bool = False,
        field_validation: str = "Strict",
        manager: str | None = None,
        warnings: Warnings | None = None,
        duplicates: Sequence[str] = (),
        uow: UnitOfWork | None = None,
    ) -> Object:
        """Stores a new object; `generateName` gives it a name. `warnings` collects what field validation warns of."""
        ask = Ask(user, dry_run, field_validation, manager, _or_new(warnings), duplicates, self._none_yet(user))
        space = namespace if namespace is not None else _of(obj, "namespace")
        await self.allow(user, "create", kind, space, _of(obj, "name"))
        return await self._leave_for(
            ask, uow, lambda tx, ask: writing.create(tx, self.kinds, kind, obj, space, ask), kind, _of(obj, "name")
        )

    async def get(self, kind: Kind, namespace: str, name: str, *, part: str = "", user: Any = None) -> Object:
        """The object as it is now, whatever `part` of it is meant; raises NotFound."""
        await self.allow(user, "get", kind, namespace, name, part)
        async with self._reading() as tx:
            return await tx.get(kind, namespace, name)

    async def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object as it is now, or None."""
        async with self._reading() as tx:
            return await tx.find(kind, namespace, name)

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        selectors: Selectors = EVERYTHING,
        limit: int | None = None,
        continue_: str | None = None,
        user: Any = None,
    ) -> Page:
        """Objects in order of (namespace, name); `namespace=None` means all. The page tells its resourceVersion."""
        await self.allow(user, "list", kind, namespace or "", selectors.fields.wants("metadata", "name") or "")
        async with self._reading() as tx:
            return await listing.page(tx.reader, kind, namespace, selectors, limit, continue_)

    async def replace(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        obj: Object,
        *,
        part: str = "",
        user: Any = None,
        dry_run: bool = False,
        field_validation: str = "Strict",
        manager: str | None = None,
        warnings: Warnings | None = None,
        duplicates: Sequence[str] = (),
        uow: UnitOfWork | None = None,
    ) -> Object:
        """PUT: the whole object, or with `part="status"` its status alone. Conflict if its resourceVersion is not
        current.
        """
        ask = Ask(user, dry_run, field_validation, manager, _or_new(warnings), duplicates, self._none_yet(user))
        await self.allow(user, "update", kind, namespace, name, part)
        return await self._leave_for(
            ask, uow, lambda tx, ask: writing.replace(tx, self.kinds, kind, namespace, name, obj, part, ask), kind, name
        )

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        content_type: str = "application/merge-patch+json",
        *,
        part: str = "",
        user: Any = None,
        dry_run: bool = False,
        field_validation: str = "Strict",
        manager: str | None = None,
        warnings: Warnings | None = None,
        duplicates: Sequence[str] = (),
        uow: UnitOfWork | None = None,
    ) -> Object:
        """Merge, JSON or (built-in groups) strategic merge patch."""
        ask = Ask(user, dry_run, field_validation, manager, _or_new(warnings), duplicates, self._none_yet(user))
        await self.allow(user, "patch", kind, namespace, name, part)
        where = (kind, namespace, name)
        return await self._leave_for(
            ask, uow, lambda tx, ask: writing.patch(tx, self.kinds, *where, patch, content_type, part, ask), kind, name
        )

    async def apply(
        self,
        kind: Kind,
        obj: Object,
        *,
        manager: str,
        namespace: str | None = None,
        name: str | None = None,
        force: bool = False,
        part: str = "",
        user: Any = None,
        dry_run: bool = False,
        field_validation: str = "Strict",
        warnings: Warnings | None = None,
        duplicates: Sequence[str] = (),
        uow: UnitOfWork | None = None,
    ) -> Object:
        """Server-side apply: creates or merges, and keeps which manager owns which field. Conflict lists foreign
        fields.
        """
        ask = Ask(user, dry_run, field_validation, manager, _or_new(warnings), duplicates, self._none_yet(user))
        space = namespace if namespace is not None else _of(obj, "namespace")
        called = name or _of(obj, "name")
        await self.allow(user, "patch", kind, space, called, part)
        if self._asks(user) and await self.find(kind, space, called) is None:
            await self.allow(user, "create", kind, space, called, part)
        how = (kind, obj, space, name, force, part)
        return await self._leave_for(ask, uow, lambda tx, ask: writing.apply(tx, self.kinds, *how, ask), kind, called)

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        preconditions: Object | None = None,
        propagation: str = "Background",
        grace_s: int | None = None,
        user: Any = None,
        dry_run: bool = False,
        uow: UnitOfWork | None = None,
    ) -> Object:
        """Deletes, or marks as being deleted while finalizers hold it (then the answer has a deletionTimestamp)."""
        await self.allow(user, "delete", kind, namespace, name)
        async with self._open(uow, dry_run) as tx:
            obj = await tx.get(kind, namespace, name)
            cascade.check_preconditions(kind, obj, preconditions)
            return await cascade.delete(tx, self.kinds, kind, obj, propagation=propagation, grace_s=grace_s)

    async def delete_collection(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        selectors: Selectors = EVERYTHING,
        propagation: str = "Background",
        grace_s: int | None = None,
        user: Any = None,
        dry_run: bool = False,
        uow: UnitOfWork | None = None,
    ) -> Objects:
        """Deletes everything that matches, in one transaction; returns what was there."""
        await self.allow(user, "deletecollection", kind, namespace or "", "")
        async with self._open(uow, dry_run) as tx:
            page = await listing.page(tx.reader, kind, namespace, selectors, None, None)
            for obj in page.items:
                if await tx.find(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]):
                    await cascade.delete(tx, self.kinds, kind, obj, propagation=propagation, grace_s=grace_s)
            return page.items

    async def update_status(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        status: Object,
        *,
        expect_rv: str | None = None,
        events: Sequence[Event] = (),
        uow: UnitOfWork | None = None,
    ) -> Object:
        """Writes the status and says `events` in the same transaction; writes nothing when both say nothing new."""
        async with self._open(uow, False) as tx:
            return await writing.update_status(tx, kind, namespace, name, status, expect_rv, events)

    async def remove_finalizer(
        self, kind: Kind, namespace: str, name: str, finalizer: str, *, uow: UnitOfWork | None = None
    ) -> Object | None:
        """Lets go of an object; the last finalizer of one being deleted removes it. None if it is gone already."""
        async with self._open(uow, False) as tx:
            return await writing.remove_finalizer(tx, self.kinds, kind, namespace, name, finalizer)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        since: str | None = None,
        selectors: Selectors = EVERYTHING,
        bookmarks: bool = False,
        initial: bool | None = None,
        timeout: float | None = None,
        user: Any = None,
    ) -> AsyncIterator[Object]:
        """Changes as `{"type", "object"}`. `since=None` begins with what exists; `initial` marks its end by a bookmark.

        Raises Gone before the first change if `since` was trimmed; later that comes as an ERROR change.
        """
        async for batch in await self.changes(
            kind, namespace, since, selectors, bookmarks, initial, timeout, user=user
        ):
            for happening in batch:
                yield {"type": happening.type, "object": happening.obj}

    async def changes(
        self,
        kind: Kind,
        namespace: str | None,
        since: str | None,
        selectors: Selectors,
        bookmarks: bool,
        initial: bool | None,
        timeout: float | None,
        *,
        user: Any = None,
    ) -> Batches:
        """What `watch` tells, in batches of what is there at once; errors of the request are raised by this call
        itself.
        """
        await self.allow(user, "watch", kind, namespace or "", selectors.fields.wants("metadata", "name") or "")
        return await watch(self.hub, kind, namespace, since, selectors, bookmarks, initial, timeout)

    async def _leave_for(self, ask: Ask, uow: UnitOfWork | None, write: Write, kind: Kind, name: str) -> Object:
        """Writes; where the object needs more rights than leave to write it, or long work, asks for them or does it
        outside of the transaction and writes anew: the rules see what is really stored, whatever changed meanwhile.
        """
        while True:
            try:
                async with self._open(uow, ask.dry_run) as tx:
                    return await write(tx, ask)
            except Beforehand as wanted:
                await wanted.work()
            except writing.Unasked as unasked:
                for right in sorted(unasked.rights):
                    await self._allow_besides(ask.user, right, kind, name)
                ask = replace(ask, granted=(ask.granted or frozenset()) | unasked.rights)

    async def _allow_besides(self, user: Any, right: Right, kind: Kind, name: str) -> None:
        assert self._authorize is not None, "rights are asked for only where there is somebody to ask"
        if await self._authorize(user, right.verb, right, right.namespace, "", ""):
            return
        who = getattr(user, "name", user)
        may = f'User "{who}" cannot {right.verb} resource "{right.plural}" in the namespace "{right.namespace}"'
        details = {"name": name, "group": kind.group, "kind": kind.plural}
        told = f"{kind.resource} {name!r} is forbidden: {right.because} takes that right, and {may}"
        raise Forbidden(told, details=details)

    def _none_yet(self, user: Any) -> frozenset[Right] | None:
        return frozenset() if self._asks(user) else None

    def _asks(self, user: Any) -> bool:
        return user is not None and self._authorize is not None

    async def allow(self, user: Any, verb: str, kind: Kind, namespace: str, name: str, part: str = "") -> None:
        """Raises Forbidden unless `user` may; None (the service itself) always may."""
        if user is None or self._authorize is None or await self._authorize(user, verb, kind, namespace, name, part):
            return
        who, what = getattr(user, "name", user), f"{kind.plural}/{part}" if part else kind.plural
        where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
        told = f'is forbidden: User "{who}" cannot {verb} resource "{what}" in API group "{kind.group}"{where}'
        details = {"name": name, "group": kind.group, "kind": kind.plural}
        raise Forbidden(" ".join((kind.resource, *([f'"{name}"'] if name else []), told)), details=details)

    async def may(self, user: Any, verb: str, kind: Kind, namespace: str, name: str = "") -> bool:
        """Whether :meth:`allow` lets the user."""
        try:
            await self.allow(user, verb, kind, namespace, name)
        except Forbidden:
            return False
        return True

    def drain(self) -> None:
        """Ends every watch, so that a server can stop."""
        self.hub.drain()

    @asynccontextmanager
    async def _open(self, uow: UnitOfWork | None, dry_run: bool) -> AsyncIterator[Transaction]:
        if bound := uow or self._unit:
            yield self._transaction(bound, dry_run)
        elif dry_run:
            async with self.store.read() as reader:
                yield self._transaction(reader, True)
        else:
            async with self.store.write() as unit:
                yield self._transaction(unit, False)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Transaction]:
        async with self._open(None, True) as tx:
            yield tx

    def _transaction(self, reader: Any, dry_run: bool) -> Transaction:
        return Transaction(reader, self.clock, self.ids, self.source, dry_run, self._cause)


def _or_new(warnings: Warnings | None) -> list[str]:
    return [] if warnings is None else warnings


def _of(obj: Any, field: str) -> str:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    value = metadata.get(field) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) else ""
