"""The routes of the resource API as one plain ASGI endpoint; every answer that is not a success is a
`Status` object.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from libs.base import ApiError, BadRequest, Internal, MethodNotAllowed, NotFound
from libs.resources import documents, objects
from libs.resources.answers import failure
from libs.resources.kinds import Kind, Subresource
from libs.resources.objects import Target
from libs.resources.resources import Resources
from libs.telemetry import name_route

_log = logging.getLogger(__name__)


def routes(
    resources: Resources,
    kinds: Sequence[Kind] | None = None,
    *,
    extra_subresources: Sequence[Subresource] = (),
    version: str = "v1.34.0",
) -> Router:
    """A Starlette router with the kinds' objects, discovery, OpenAPI and `/version`; what it does not know is a 404
    Status.

    It only claims the group versions that it serves, so `router.routes` can be added to other routes in any order.
    """
    api = Api(resources, kinds or resources.kinds, extra_subresources)
    books = documents.Documents(api.kinds, extra_subresources, version)
    served: list[BaseRoute] = [Route(path, _Guarded(books.answer)) for path in books.paths]
    for prefix in dict.fromkeys(kind.prefix for kind in api.kinds):
        served.append(Route(f"/{prefix}/{{rest:path}}", _Guarded(api.answer)))
    return Router(routes=served, default=unknown_route)


async def unknown_route(scope: Scope, receive: Receive, send: Send) -> None:
    """A 404 Status as an ASGI app: the last resort of a service's routes."""
    if scope["type"] != "http":
        return
    error = NotFound(f"the server could not find the requested resource: nothing is served at {scope['path']!r}")
    await failure(error)(scope, receive, send)


class _Guarded:
    """An endpoint whose errors become Status answers; a class, so that Starlette leaves the method to it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        if response is not None:
            await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response | None:
        try:
            response: Response = await self._answer(request)
            return response
        except ApiError as error:
            return failure(error)
        except ClientDisconnect:
            return None
        except RecursionError:
            return failure(BadRequest("the body nests too deep"))
        except Exception:
            _log.exception("%s %s failed", request.method, request.url.path)
            return failure(Internal("an error on the server prevented the request from succeeding; see its log"))


class Api:
    """Finds the object, collection or subresource that a path names, and the action that its method means."""

    def __init__(self, resources: Resources, kinds: Sequence[Kind], subresources: Sequence[Subresource]) -> None:
        self.resources, self.kinds = resources, tuple(kinds)
        self._kinds = {(k.prefix, k.plural): k for k in self.kinds}
        self._parts = {(s.kind, s.name): s for s in subresources}

    async def answer(self, request: Request) -> Response:
        target = self._target(request)
        sub = self._parts.get((target.kind, target.part))
        name_route(request.scope, target.kind.resource + (f"/{sub.name}" if sub else ""))
        if target.part and sub is None and not self._has(target):
            raise NotFound(
                f"the server could not find the requested resource: {target.kind.plural} has no {target.part!r}"
            )
        if sub is not None:
            return await objects.subresource(self.resources, target, sub, request)
        action = _ACTIONS.get((request.method, target.level))
        if action is None:
            raise MethodNotAllowed(f"{request.method} is not supported on {request.url.path}")
        return await action(self.resources, target, request)

    def _has(self, target: Target) -> bool:
        if target.part == "status":
            return target.kind.status_subresource
        return target.part == "scale" and target.kind.scale is not None

    def _target(self, request: Request) -> Target:
        steps = [s for s in request.url.path.split("/") if s]
        path = _inside_root(request, steps)
        prefix = "/".join(path[:2] if path[0] == "api" else path[:3])
        rest = path[2:] if path[0] == "api" else path[3:]
        return self._find(prefix, rest) or _unknown(request.url.path)

    def _find(self, prefix: str, rest: list[str]) -> Target | None:
        """`plural[/name[/part]]`, or the same behind `namespaces/<namespace>`."""
        if len(rest) >= 3 and rest[0] == "namespaces":
            kind = self._kinds.get((prefix, rest[2]))
            if kind is not None and kind.namespaced:
                return _target(kind, rest[1], rest[3:])
        kind = self._kinds.get((prefix, rest[0])) if rest else None
        if kind is None or (kind.namespaced and len(rest) > 1):
            return None
        return _target(kind, "" if not kind.namespaced else None, rest[1:])


def _target(kind: Kind, namespace: str | None, rest: list[str]) -> Target | None:
    return Target(kind, namespace, rest[0] if rest else "", "/".join(rest[1:]))


def _unknown(path: str) -> Target:
    raise NotFound(f"the server could not find the requested resource: no kind is served at {path!r}")


def _inside_root(request: Request, steps: list[str]) -> list[str]:
    """The path below the place where the routes are mounted."""
    root = [s for s in request.scope.get("root_path", "").split("/") if s]
    return steps[len(root) :] if root and steps[: len(root)] == root else steps


_ACTIONS = {
    ("GET", "collection"): objects.get_collection,
    ("POST", "collection"): objects.post,
    ("DELETE", "collection"): objects.delete_collection,
    ("GET", "object"): objects.get,
    ("PUT", "object"): objects.put,
    ("PATCH", "object"): objects.patch,
    ("DELETE", "object"): objects.delete,
    ("GET", "status"): objects.get,
    ("PUT", "status"): objects.put,
    ("PATCH", "status"): objects.patch,
    ("GET", "scale"): objects.get_scale,
    ("PUT", "scale"): objects.put_scale,
    ("PATCH", "scale"): objects.patch_scale,
}
