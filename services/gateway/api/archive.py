"""Lets clients read pods that are gone: what the cluster no longer has is asked of the trainer's archive.

The cluster is always asked first, as the user; what it has wins, and what it forbids stays forbidden. The archive then
asks for the user's rights itself.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from libs.base.errors import ApiError, NotFound
from libs.service.asgi import Scope
from libs.service.identity import User
from services.gateway.domain.archived import ARCHIVE, Question, merged, question, table_with
from services.gateway.domain.table import NODE, Table, Target
from services.gateway.ports import Answer, Pairs, Upstreams

log = logging.getLogger(__name__)

JSON: Pairs = ((b"content-type", b"application/json"),)


class Archive:
    """Knows who keeps the archive; without such a service every question is the cluster's alone."""

    def __init__(self, table: Table, upstreams: Upstreams) -> None:
        self._keeper, self._upstreams = _keeper(table), upstreams

    def behind(self, scope: Scope, target: Target) -> Upstreams:
        """The upstreams to put this request to."""
        if self._keeper is None or target.service != NODE:
            return self._upstreams
        asked = question(scope["method"], target.path, scope["query_string"].decode("ascii", "replace"))
        return self._upstreams if asked is None else _Both(self._upstreams, self._keeper, asked)


def _keeper(table: Table) -> str | None:
    try:
        return table.target("GET", ARCHIVE.format(namespace="any")).service
    except NotFound:
        return None


class _Both:
    """Upstreams for one request: the cluster's answer, completed by the archive's."""

    def __init__(self, upstreams: Upstreams, keeper: str, asked: Question) -> None:
        self._upstreams, self._keeper, self._asked = upstreams, keeper, asked

    @asynccontextmanager
    async def ask(
        self,
        service: str,
        method: str,
        target: str,
        headers: Pairs,
        body: bytes | AsyncIterator[bytes] | None,
        user: User | None,
    ) -> AsyncIterator[Answer]:
        sent = _readable(headers) if self._asked.is_list else headers
        async with self._upstreams.ask(service, method, target, sent, body, user) as live:
            if live.status == 404 and not self._asked.is_list:
                told = _Held(live.status, live.headers, await _whole(live))
                async with self._kept(target, user) as kept:
                    yield kept if kept is not None and kept.status == 200 else told
            elif live.status == 200 and self._asked.is_list:
                yield await self._completed(live, target, user)
            else:
                yield live

    async def document(self, service: str, path: str, accept: str, user: User) -> dict[str, Any] | None:
        return await self._upstreams.document(service, path, accept, user)

    @asynccontextmanager
    async def _kept(self, target: str, user: User | None) -> AsyncIterator[Answer | None]:
        """None when the archive does not answer: then only the cluster's word counts."""
        path = self._asked.path + "".join(target.partition("?")[1:])
        asking = self._upstreams.ask(self._keeper, "GET", path, [(b"Accept", b"*/*")], None, user)
        try:
            answer = await asking.__aenter__()
        except ApiError as error:
            log.info("the archive does not answer: %s", error)
            yield None
            return
        try:
            yield answer
        finally:
            await asking.__aexit__(None, None, None)

    async def _completed(self, live: Answer, target: str, user: User | None) -> Answer:
        data = await _whole(live)
        told = _object(data)
        if told is None or (self._asked.plural == "events" and told.get("kind") == "Table"):
            return _Held(live.status, live.headers, data)
        async with self._kept(target, user) as kept:
            found = _object(await _whole(kept)) if kept is not None and kept.status == 200 else None
        items = (found or {}).get("items") or []
        if not items:
            return _Held(live.status, live.headers, data)
        both = table_with(told, items) if told.get("kind") == "Table" else merged(self._asked.plural, told, items)
        media = [(name, value) for name, value in live.headers if name.lower() == b"content-type"]
        return _Held(200, media or JSON, json.dumps(both).encode())


class _Held:
    """An answer that is here already."""

    def __init__(self, status: int, headers: Pairs, body: bytes) -> None:
        self.status, self.headers, self._body = status, headers, body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


def _readable(headers: Pairs) -> Pairs:
    """What the answer may look like so that it can be completed: JSON, not packed."""
    kept = [(name, value) for name, value in headers if name.lower() not in (b"accept", b"accept-encoding")]
    wished = b",".join(value for name, value in headers if name.lower() == b"accept")
    media = [one for one in wished.split(b",") if one and b"protobuf" not in one and b"cbor" not in one]
    return [*kept, (b"Accept", b",".join(media) or b"application/json")]


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


async def _whole(answer: Answer) -> bytes:
    return b"".join([chunk async for chunk in answer.chunks()])
