"""What describes all services at once: /api, /apis, group lists and OpenAPI; one that is down is left out."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from libs.base.clock import Clock
from libs.base.errors import NotFound, Unavailable
from libs.service.asgi import Scope, Send, header, send_json
from libs.service.identity import User
from services.gateway.domain import merging
from services.gateway.domain.table import NODE, Table, check_path
from services.gateway.ports import Upstreams

log = logging.getLogger(__name__)

Document = dict[str, Any]
JSON = "application/json"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
OURSELVES = User("millstream:gateway", ("system:authenticated",))
"""Discovery is the same for everybody, so the gateway asks for itself and keeps the answer for all. It may see no more
than anybody: what comes back goes to whoever asks.
"""
MOST_KEPT = 4096
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")
"""Paths of documents; anything else (an escape that was escaped, a question mark) would lead on to other paths."""


@dataclass
class _Kept:
    document: Document | None
    at: float


class Discovery:
    """Asks all services at once, keeps their documents for `ttl_s`, and the last good one of a service that is away."""

    def __init__(self, table: Table, upstreams: Upstreams, clock: Clock, *, has_node: bool, ttl_s: float) -> None:
        self._table, self._upstreams, self._clock = table, upstreams, clock
        self._has_node, self._ttl_s = has_node, ttl_s
        self._kept: dict[tuple[str, str, str], _Kept] = {}
        self._asking: dict[tuple[str, str, str], asyncio.Task[Document | None]] = {}

    def answers(self, path: str) -> bool:
        """Whether `path` is one of the documents that several services have a part in."""
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            return len(parts) == 1 or (len(parts) == 2 and parts[1] == "v1")
        if parts[0] == "apis":
            return len(parts) <= 3
        return parts[:2] == ["openapi", "v3"]

    async def answer(self, scope: Scope, send: Send) -> None:
        """Raises NotFound for a group that nobody serves, and BadRequest as `check_path` does."""
        path = scope["path"].rstrip("/")
        check_path(path)
        if not _PLAIN.fullmatch(path):
            raise NotFound(f"the server could not find the requested resource: {path}")
        accept = header(scope, b"accept") or ""
        if path in ("/api", "/apis") and "as=APIGroupDiscoveryList" in accept and ";v=v2;" in accept + ";":
            return await self._send(scope, send, await self._aggregated(path), AGGREGATED)
        await self._send(scope, send, await self._document(path, scope), JSON)

    async def _document(self, path: str, scope: Scope) -> Document:
        match path.strip("/").split("/"):
            case ["api"]:
                return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
            case ["apis"]:
                return await self._groups()
            case ["apis", name]:
                return _found(merging.group(await self._groups(), name), path)
            case ["api", "v1"] | ["apis", _, _]:
                return await self._resources(path)
            case ["openapi", "v3"]:
                return await self._openapi_index()
            case _:
                return await self._openapi(path, scope)

    async def _groups(self) -> Document:
        return merging.groups(await self._all(self._everyone(), "/apis", JSON))

    async def _aggregated(self, path: str) -> Document:
        return merging.aggregated(await self._all(self._everyone(), path, AGGREGATED))

    async def _resources(self, path: str) -> Document:
        lists = await self._all(self._owners(path), path, JSON)
        return (
            merging.resources(lists, path.removeprefix("/apis/").removeprefix("/api/")) if lists else _found(None, path)
        )

    async def _openapi_index(self) -> Document:
        everyone = self._everyone()
        answers = await asyncio.gather(*(self._ask(service, "/openapi/v3", JSON) for service in everyone))
        return merging.openapi_index({name: each for name, each in zip(everyone, answers, strict=True) if each})

    async def _openapi(self, path: str, scope: Scope) -> Document:
        owners = self._owners(path.removeprefix("/openapi/v3"))
        return _found(merging.openapi(await self._all(owners, path, JSON)), path)

    def _everyone(self) -> list[str]:
        return [*([NODE] if self._has_node else []), *self._table.services_with_kinds()]

    def _owners(self, path: str) -> list[str]:
        """Who has a part in `/apis/<group>/<version>`; the node where the group is its own or nobody's."""
        parts = path.strip("/").split("/")
        found = list(self._table.owners.get((parts[1], parts[2]), [])) if len(parts) == 3 else []
        nobodys = len(parts) < 2 or parts[1] not in self._table.groups
        return found or ([NODE] if self._has_node and nobodys else [])

    async def _all(self, services: Sequence[str], path: str, accept: str) -> list[Document]:
        answers = await asyncio.gather(*(self._ask(service, path, accept) for service in services))
        return [each for each in answers if each is not None]

    async def _ask(self, service: str, path: str, accept: str) -> Document | None:
        key = (service, path, accept)
        kept = self._kept.get(key)
        if kept and self._clock.monotonic() - kept.at < self._ttl_s:
            return kept.document
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._fetch(key))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _fetch(self, key: tuple[str, str, str]) -> Document | None:
        service, path, accept = key
        old = self._kept.get(key)
        try:
            document = await self._upstreams.document(service, path, accept, OURSELVES)
        except Unavailable as error:
            log.warning("%s of %s: %s", path, service, error)
            document = old.document if old else None
        self._kept.pop(key, None)
        self._kept[key] = _Kept(document, self._clock.monotonic())
        while len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return document

    async def _send(self, scope: Scope, send: Send, document: Document, media: str) -> None:
        body = json.dumps(document, separators=(",", ":")).encode()
        tag = b'"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"'
        if header(scope, b"if-none-match") == tag.decode():
            return await _not_modified(send, tag)
        # A client that names the hash of a document in its URL may keep it: another hash is another URL.
        hashed = any(name == "hash" for name, _ in parse_qsl(scope["query_string"].decode("latin-1")))
        caching = b"public, max-age=60" if hashed else b"no-cache, private"
        headers = [(b"etag", tag), (b"cache-control", caching), (b"vary", b"Accept")]
        await send_json(send, 200, body, headers=headers, media=media)


async def _not_modified(send: Send, tag: bytes) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", tag)]})
    await send({"type": "http.response.body", "body": b""})


def _found(document: Document | None, path: str) -> Document:
    if document is None:
        raise NotFound(f"the server could not find the requested resource: {path}")
    return document
