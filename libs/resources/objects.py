"""One function for each thing that a request may do with objects; errors leave as exceptions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from libs.base import BadRequest, Gone, MethodNotAllowed, TooLarge
from libs.resources import bodies, patches, protobuf, scaling, tables
from libs.resources.answers import Stream, json_answer, yaml_answer
from libs.resources.kinds import Kind, Object, Subresource
from libs.resources.listing import Page
from libs.resources.names import name_problem
from libs.resources.negotiation import Form, dry_run, flag, form_of, whole
from libs.resources.resources import Resources
from libs.resources.schemas import schema_of
from libs.resources.selectors import Selectors, selectors
from libs.resources.watching import Happening, check_initial

_WATCH_SECONDS = 3600
_MANAGER_MAX = 128


@dataclass(frozen=True)
class Target:
    """What a path names. `namespace` is None for all namespaces, empty for cluster-scoped kinds; `name` and `part` may
    be empty.
    """

    kind: Kind
    namespace: str | None
    name: str
    part: str

    @property
    def level(self) -> str:
        if not self.name:
            return "collection"
        return self.part or "object"

    @property
    def space(self) -> str:
        return self.namespace or ""


@dataclass(frozen=True)
class Anyone:
    """Who asks when no middleware said who; a service that demands identities never gets here with it."""

    name: str = "system:anonymous"
    groups: tuple[str, ...] = ("system:unauthenticated",)


def user_of(request: Request) -> Any:
    """The caller: what the service's middleware put into `request.state.user`."""
    return getattr(request.state, "user", None) or Anyone()


async def get_collection(resources: Resources, target: Target, request: Request) -> Response:
    query = request.query_params
    wanted = _wanted(target.kind, query)
    if flag(query, "watch"):
        return await _watch(resources, target, wanted, request)
    form = form_of(request.headers.get("accept"))
    if (version := query.get("resourceVersion")) and not (version.isascii() and version.isdigit()):
        raise BadRequest(f"resourceVersion: {version!r} is not one that this server gave: it must be a number")
    match = query.get("resourceVersionMatch")
    if match and (match not in ("Exact", "NotOlderThan") or not version):
        raise BadRequest(f"resourceVersionMatch: {match!r} must be Exact or NotOlderThan, beside a resourceVersion")
    page = await resources.list(
        target.kind,
        target.namespace if target.kind.namespaced else None,
        selectors=wanted,
        limit=whole(query, "limit"),
        continue_=query.get("continue"),
        user=user_of(request),
    )
    if version and int(version) > int(page.resource_version):
        raise Gone(f"too large resource version: {version[:20]} ({page.resource_version}): list again without it")
    return _told(_listed(resources, target.kind, page, form, request), form)


def _wanted(kind: Kind, query: Mapping[str, str]) -> Selectors:
    """The selectors of a request; raises BadRequest also for a field that objects of the kind do not have."""
    wanted = selectors(query.get("labelSelector"), query.get("fieldSelector"))
    schema = schema_of(kind).root
    known = {"metadata", "spec", "status", *(schema.get("properties") or {})}
    for term in wanted.fields.terms:
        if term.path[0] not in known and not schema.get("x-kubernetes-preserve-unknown-fields"):
            raise BadRequest(f"field label not supported: {'.'.join(term.path)!r}: {kind.kind} has no {term.path[0]!r}")
    return wanted


def _listed(resources: Resources, kind: Kind, page: Page, form: Form, request: Request) -> Object:
    metadata: Object = {"resourceVersion": page.resource_version}
    if page.continue_:
        metadata["continue"] = page.continue_
    if form.shape == "Table":
        include = _include(request)
        return tables.table(kind, page.items, resources.clock.now(), metadata=metadata, include=include)
    if form.shape:
        items = [tables.partial(obj) for obj in page.items]
        own = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return {**own, "metadata": metadata, "items": items}
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": page.items}


def _include(request: Request) -> str:
    include = request.query_params.get("includeObject") or "Metadata"
    if include not in ("Metadata", "Object", "None"):
        raise BadRequest(f"includeObject: {include!r} is none of Metadata, Object, None")
    return include


def _told(value: Any, form: Form, code: int = 200, warnings: list[str] | None = None) -> Response:
    return yaml_answer(value, code) if form.yaml else json_answer(value, code, warnings=warnings or ())


def _shown(resources: Resources, kind: Kind, obj: Object, form: Form, request: Request) -> Object:
    if form.shape == "Table":
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return tables.table(kind, [obj], resources.clock.now(), metadata=metadata, include=_include(request))
    return tables.partial(obj) if form.shape else obj


async def _watch(resources: Resources, target: Target, wanted: Selectors, request: Request) -> Response:
    query, form = request.query_params, form_of(request.headers.get("accept"))
    initial, bookmarks = flag(query, "sendInitialEvents"), bool(flag(query, "allowWatchBookmarks"))
    check_initial(initial, query.get("resourceVersionMatch"), bookmarks)
    batches = await resources.changes(
        target.kind,
        target.namespace if target.kind.namespaced else None,
        query.get("resourceVersion"),
        wanted,
        bookmarks,
        initial,
        whole(query, "timeoutSeconds") or _WATCH_SECONDS,
        user=user_of(request),
    )
    include = _include(request)
    return Stream(_rendered(resources, target.kind, batches, form, include))


async def _rendered(
    resources: Resources, kind: Kind, batches: AsyncIterator[list[Happening]], form: Form, include: str
) -> AsyncIterator[bytes]:
    yield b""  # the head of the answer goes out at once: clients wait for it
    head = True
    try:
        async for batch in batches:
            if not form.shape:
                yield b"".join([happening.line() for happening in batch])
                continue
            for happening in batch:
                yield _reshaped(resources, kind, happening, form, include, head)
                head = head and happening.type in ("BOOKMARK", "ERROR")
    finally:
        await batches.aclose()  # type: ignore[attr-defined]


def _reshaped(resources: Resources, kind: Kind, happening: Happening, form: Form, include: str, head: bool) -> bytes:
    obj = happening.obj
    if happening.type == "BOOKMARK" and form.shape == "Table":
        obj = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"], "columnDefinitions": None}
        obj["rows"] = [{"cells": [], "object": tables.partial(happening.obj)}]
    elif happening.type != "ERROR" and form.shape == "Table":
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        obj = tables.table(kind, [obj], resources.clock.now(), metadata=metadata, include=include, head=head)
    elif happening.type != "ERROR":
        obj = tables.partial(obj)
    return orjson.dumps({"type": happening.type, "object": obj}) + b"\n"


async def get(resources: Resources, target: Target, request: Request) -> Response:
    if flag(request.query_params, "watch"):
        return await _watch(resources, target, selectors(fields=f"metadata.name={target.name}"), request)
    form = form_of(request.headers.get("accept"))
    obj = await resources.get(target.kind, target.space, target.name, part=target.part, user=user_of(request))
    return _told(_shown(resources, target.kind, obj, form, request), form)


@dataclass(frozen=True)
class Write:
    """A write as HTTP tells it."""

    body: Any
    options: dict[str, Any]
    warnings: list[str]


async def write_of(request: Request, content_type: str, kind: Kind) -> Write:
    query, duplicates, warnings = request.query_params, list[str](), list[str]()
    mode = query.get("fieldValidation") or "Warn"
    noted = None if mode == "Ignore" else duplicates
    body = bodies.decode(await read(request), content_type, duplicates=noted, messages=kind.protobuf)
    options = {
        "user": user_of(request),
        "dry_run": dry_run(query.getlist("dryRun")),
        "field_validation": mode,
        "manager": _manager(request),
        "warnings": warnings,
        "duplicates": tuple(duplicates),
    }
    return Write(body, options, warnings)


async def read(request: Request) -> bytes:
    """The body, at most 3 MiB of it; raises TooLarge before more is kept."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > bodies.BODY_BYTES_MAX:
            raise TooLarge(f"the body is larger than {bodies.BODY_BYTES_MAX} bytes, the most that this server takes")
        parts.append(part)
    return b"".join(parts)


def _manager(request: Request) -> str:
    """`fieldManager`, or as in Kubernetes the first part of the User-Agent."""
    manager = request.query_params.get("fieldManager")
    if manager is not None and (len(manager) > _MANAGER_MAX or not manager.isprintable()):
        raise BadRequest(f"fieldManager: must be at most {_MANAGER_MAX} printable characters")
    return manager or request.headers.get("user-agent", "").partition("/")[0][:_MANAGER_MAX] or "unknown"


async def post(resources: Resources, target: Target, request: Request) -> Response:
    if target.kind.namespaced and target.namespace is None:
        raise MethodNotAllowed(
            f"POST {target.kind.plural} needs a namespace: use /namespaces/<namespace>/{target.kind.plural}"
        )
    _check_space(target)
    form = form_of(request.headers.get("accept"))
    write = await write_of(request, bodies.media_type(request.headers.get("content-type")), target.kind)
    obj = await resources.create(target.kind, write.body, namespace=target.space, **write.options)
    return _told(_shown(resources, target.kind, obj, form, request), form, 201, write.warnings)


def _check_space(target: Target) -> None:
    if target.kind.namespaced and (problem := name_problem(target.space, label=True)):
        raise BadRequest(f"namespace in the URL: {problem}")


async def put(resources: Resources, target: Target, request: Request) -> Response:
    form = form_of(request.headers.get("accept"))
    write = await write_of(request, bodies.media_type(request.headers.get("content-type")), target.kind)
    part = target.part
    obj = await resources.replace(target.kind, target.space, target.name, write.body, part=part, **write.options)
    return _told(_shown(resources, target.kind, obj, form, request), form, 200, write.warnings)


async def patch(resources: Resources, target: Target, request: Request) -> Response:
    form = form_of(request.headers.get("accept"))
    content_type = bodies.media_type(request.headers.get("content-type"))
    write = await write_of(request, content_type, target.kind)
    if content_type in (patches.APPLY_YAML, patches.APPLY_JSON):
        obj, code = await _apply(resources, target, write, request)
    else:
        where = (target.kind, target.space, target.name)
        obj = await resources.patch(*where, write.body, content_type, part=target.part, **write.options)
        code = 200
    return _told(_shown(resources, target.kind, obj, form, request), form, code, write.warnings)


async def _apply(resources: Resources, target: Target, write: Write, request: Request) -> tuple[Object, int]:
    if not request.query_params.get("fieldManager"):
        raise BadRequest(
            "fieldManager: is required for server-side apply: name who applies, such as fieldManager=kubectl"
        )
    _check_space(target)
    existed = await resources.find(target.kind, target.space, target.name) is not None
    obj = await resources.apply(
        target.kind,
        write.body,
        namespace=target.space,
        name=target.name,
        force=bool(flag(request.query_params, "force")),
        part=target.part,
        **write.options,
    )
    return obj, 200 if existed else 201


async def delete(resources: Resources, target: Target, request: Request) -> Response:
    options = await _delete_options(request)
    user = user_of(request)
    obj = await resources.delete(
        target.kind, target.space, target.name, preconditions=options.pop("preconditions"), user=user, **options
    )
    if obj["metadata"].get("deletionTimestamp"):
        return json_answer(obj)
    return json_answer(_deleted(target.kind, obj))


def _deleted(kind: Kind, obj: Object) -> Object:
    metadata = obj["metadata"]
    details = {"name": metadata["name"], "group": kind.group, "kind": kind.plural, "uid": metadata.get("uid")}
    told = {k: v for k, v in details.items() if v}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": told}


async def delete_collection(resources: Resources, target: Target, request: Request) -> Response:
    if target.kind.namespaced and target.namespace is None:
        raise MethodNotAllowed(f"DELETE of all {target.kind.plural} needs a namespace")
    query, options = request.query_params, await _delete_options(request)
    options.pop("preconditions")
    wanted = _wanted(target.kind, query)
    space = target.namespace if target.kind.namespaced else None
    items = await resources.delete_collection(target.kind, space, selectors=wanted, user=user_of(request), **options)
    kind = target.kind
    return json_answer({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": {}, "items": items})


async def _delete_options(request: Request) -> dict[str, Any]:
    """DeleteOptions from the body, if there is one, and from the query."""
    query, raw = request.query_params, await read(request)
    content_type = bodies.media_type(request.headers.get("content-type"))
    body = bodies.decode(raw, content_type, messages=protobuf.META) if raw.strip() else {}
    if not isinstance(body, dict):
        raise BadRequest("the body of a DELETE must be a DeleteOptions object or empty")
    asked = body.get("dryRun") or []
    orphan = flag(query, "orphanDependents")
    grace = body.get("gracePeriodSeconds", whole(query, "gracePeriodSeconds"))
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool) or grace < 0):
        raise BadRequest(f"gracePeriodSeconds: {grace!r} is not a whole number from 0 on")
    policy = body.get("propagationPolicy") or query.get("propagationPolicy") or ("Orphan" if orphan else "Background")
    if (
        not isinstance(asked, list)
        or not isinstance(body.get("preconditions") or {}, dict)
        or not isinstance(policy, str)
    ):
        raise BadRequest("DeleteOptions: dryRun must be a list, preconditions an object, propagationPolicy a string")
    return {
        "preconditions": body.get("preconditions"),
        "propagation": policy,
        "grace_s": grace,
        "dry_run": dry_run([*query.getlist("dryRun"), *map(str, asked)]),
    }


_CHANGES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


async def subresource(resources: Resources, target: Target, sub: Subresource, request: Request) -> Response:
    """A route of the service's own below an object; it takes leave for just that, as `pods/log` in Kubernetes."""
    if request.method not in sub.methods:
        raise MethodNotAllowed(f"{request.method} is not supported on {request.url.path}: use {', '.join(sub.methods)}")
    where = (target.kind, target.space, target.name)
    await resources.allow(user_of(request), _CHANGES.get(request.method, "get"), *where, sub.name)
    obj = await resources.get(*where)
    answer = await sub.handler(request, obj)
    return answer if isinstance(answer, Response) else json_answer(answer)


async def get_scale(resources: Resources, target: Target, request: Request) -> Response:
    obj = await resources.get(target.kind, target.space, target.name, part="scale", user=user_of(request))
    return json_answer(scaling.scale_of(target.kind, obj))


async def put_scale(resources: Resources, target: Target, request: Request) -> Response:
    write = await write_of(request, bodies.media_type(request.headers.get("content-type")), target.kind)
    return await _rescale(resources, target, write, write.body)


async def patch_scale(resources: Resources, target: Target, request: Request) -> Response:
    content_type = bodies.media_type(request.headers.get("content-type"))
    write = await write_of(request, content_type, target.kind)
    obj = await resources.get(target.kind, target.space, target.name, user=write.options["user"])
    wanted = scaling.patched(scaling.scale_of(target.kind, obj), write.body, content_type)
    return await _rescale(resources, target, write, wanted)


async def _rescale(resources: Resources, target: Target, write: Write, wanted: Any) -> Response:
    change = scaling.change_of(target.kind, wanted)
    options = {**write.options, "duplicates": ()}
    obj = await resources.patch(target.kind, target.space, target.name, change, patches.MERGE_PATCH, **options)
    return json_answer(scaling.scale_of(target.kind, obj))
