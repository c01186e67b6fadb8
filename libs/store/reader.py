"""Reading from one consistent snapshot; whoever holds a reader sees no commit that came after its first statement."""

from typing import Any, cast

from sqlmodel.ext.asyncio.session import AsyncSession

from libs.base import Gone
from libs.store import statements as sql
from libs.store.change import Change
from libs.store.codec import decode, is_storable
from libs.store.lines import Line, Rows, Statement

Obj = dict[str, Any]
Objs = list[Obj]
Changes = list[Change]

_NO_LIMIT = 1 << 62


class Reader:
    """One read transaction. Keep it short: an open snapshot keeps SQLite from shrinking its journal."""

    def __init__(self, line: Line, begin: tuple[Statement, ...]) -> None:
        self._line = line
        self._pending: list[Statement] = list(begin)
        self._session: AsyncSession | None = None

    @property
    def session(self) -> AsyncSession:
        """A session in this transaction, for tables of a service's own; it never commits by itself.

        Sees what was written through the unit of work only after `flush`.
        """
        if self._session is None:
            self._session = AsyncSession(bind=self._line.connection, join_transaction_mode="rollback_only")
        return self._session

    async def rows(self, statement: str, *params: Any) -> Rows:
        """Rows of one SQL statement over the store's own tables, with `?1` placeholders."""
        pending, self._pending = self._pending, []
        return await self._line.run([*pending, (statement, params)])

    async def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """The object, or None; `namespace` is empty for cluster-scoped ones."""
        text = await self._body(resource, namespace, name)
        return decode(text) if text is not None else None

    async def list(
        self,
        resource: str,
        *,
        namespace: str | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Objs:
        """Objects ordered by (namespace, name) by code point, beginning behind the key `after`."""
        at_namespace, at_name = after or ("", "")
        most = _NO_LIMIT if limit is None else limit
        if not is_storable(resource, namespace or "", at_namespace, at_name):
            return []
        if namespace is None:
            found = await self.rows(sql.LIST_ALL, resource, at_namespace, at_name, most)
        elif after is not None and at_namespace > namespace:
            return []
        else:
            start = at_name if at_namespace == namespace else ""
            found = await self.rows(sql.LIST_NAMESPACE, resource, namespace, start, most)
        return [decode(body) for (body,) in found]

    async def last_seq(self) -> int:
        """The newest seq of this snapshot: the resourceVersion of a list."""
        return cast(int, (await self.rows(sql.LAST_SEQ))[0][0])

    async def oldest_seq(self) -> int:
        """The smallest `seq` that `changes_since` still answers."""
        found = await self.rows(sql.TRIMMED)
        return int(found[0][0]) if found else 0

    async def changes_since(self, seq: int, *, resource: str | None = None, limit: int = 1000) -> Changes:
        """Up to `limit` changes after `seq`, in order; raises Gone when some were trimmed or none can exist."""
        await self._check_retained(seq)
        if resource is None:
            found = await self.rows(sql.CHANGES_SINCE, seq, limit)
        else:
            found = await self.rows(sql.CHANGES_SINCE_OF, seq, limit, resource)
        return [Change(*row) for row in found]

    async def meta(self, key: str) -> str | None:
        """A small fact that `UnitOfWork.set_meta` wrote."""
        found = await self.rows(sql.GET_META, key)
        return found[0][0] if found else None

    async def _check_retained(self, seq: int) -> None:
        oldest, last = await self.oldest_seq(), await self.last_seq()
        if seq < oldest:
            raise Gone(f"too old resource version: {seq} ({oldest})")
        if seq > last:
            # Only a store that lost its file can be asked for its future; a fresh list puts the client right.
            raise Gone(f"too large resource version: {seq} ({last})")

    async def _body(self, resource: str, namespace: str, name: str) -> str | None:
        if not is_storable(resource, namespace, name):
            return None
        found = await self.rows(sql.GET_OBJECT, resource, namespace, name)
        return found[0][0] if found else None

    async def roll_back(self) -> None:
        """For the store alone: ends the transaction without effect; raises what the driver does when it cannot."""
        self._pending.clear()
        await self._close_session()
        await self._line.roll_back()

    async def _close_session(self) -> None:
        if self._session is not None:
            await self._session.close()
            if self._line.connection.in_transaction():
                await self._line.connection.rollback()
