"""Discovery, OpenAPI and version documents over HTTP, rendered once from the kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from libs.base import MethodNotAllowed, NotFound
from libs.resources import discovery, openapi
from libs.resources.answers import json_answer
from libs.resources.kinds import Kind, Subresource
from libs.resources.negotiation import wants_aggregated

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Documents:
    """The documents of a set of kinds. A gateway in front of several services merges them."""

    def __init__(self, kinds: Sequence[Kind], subresources: Sequence[Subresource], version: str) -> None:
        self._kinds, self._subresources, self._version = tuple(kinds), tuple(subresources), version
        self._books: dict[str, bytes] = {}

    @property
    def paths(self) -> list[str]:
        """Every path that `answer` answers."""
        prefixes = list(self._by_prefix)
        named = [f"/apis/{group}" for group in discovery.groups(self._kinds) if group]
        books = [f"/openapi/v3/{prefix}" for prefix in prefixes]
        return ["/api", "/apis", "/version", "/openapi/v2", "/openapi/v3", *named, *(f"/{p}" for p in prefixes), *books]

    async def answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{request.method} is not supported on {request.url.path}: read it with GET")
        path = request.scope["path"].removeprefix(request.scope.get("root_path", "")).strip("/")
        if path.startswith("openapi/v3/"):
            return self._book(path.removeprefix("openapi/v3/"))
        if path in ("api", "apis") and wants_aggregated(request.headers.get("accept")):
            told = discovery.aggregated(self._kinds, self._subresources, core=path == "api")
            return json_answer(told, media=AGGREGATED)
        return json_answer(self._document(path))

    def _document(self, path: str) -> Any:
        match path:
            case "api":
                return discovery.api_versions(self._kinds)
            case "apis":
                return discovery.api_group_list(self._kinds)
            case "version":
                return self._version_info()
            case "openapi/v3":
                return self._index()
        if path in self._by_prefix:
            return discovery.api_resource_list(self._by_prefix[path], self._subresources)
        group = discovery.api_group(self._kinds, path.removeprefix("apis/"))
        if group is None:
            raise NotFound(f"the server could not find the requested resource: no document at /{path}")
        return group

    @cached_property
    def _by_prefix(self) -> dict[str, list[Kind]]:
        found: dict[str, list[Kind]] = {}
        for kind in self._kinds:
            found.setdefault(kind.prefix, []).append(kind)
        return found

    def _version_info(self) -> Any:
        major, minor, *_ = self._version.removeprefix("v").split(".")
        return {"major": major, "minor": minor, "gitVersion": f"{self._version}+millstream", "platform": "linux/amd64"}

    def _index(self) -> Any:
        return {"paths": {p: {"serverRelativeURL": f"/openapi/v3/{p}?hash={self._hash(p)}"} for p in self._by_prefix}}

    def _hash(self, prefix: str) -> str:
        return hashlib.sha256(self._text(prefix)).hexdigest()[:32]

    def _text(self, prefix: str) -> bytes:
        if prefix not in self._books:
            self._books[prefix] = orjson.dumps(openapi.document(self._by_prefix[prefix], self._subresources))
        return self._books[prefix]

    def _book(self, prefix: str) -> Response:
        if prefix not in self._by_prefix:
            raise NotFound(f"the server could not find the requested resource: no OpenAPI document for {prefix}")
        return Response(self._text(prefix), media_type="application/json", headers={"ETag": f'"{self._hash(prefix)}"'})
