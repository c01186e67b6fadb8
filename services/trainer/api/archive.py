"""What jobs left behind, over HTTP: as stories of whole jobs, and as the pods, logs and Events that clients know.

A job's story may be read by whoever may read the job; pods, logs and Events take the rights that the cluster asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from libs.base.clock import Clock, parse_rfc3339, span
from libs.base.errors import BadRequest, NotFound
from libs.resources import Kind, Resources
from libs.resources.selectors import selectors
from services.trainer.domain.archive import pods as domain
from services.trainer.ports import History, LogWish

POD = Kind(group="", version="v1", kind="Pod", plural="pods", singular="pod")
EVENT = Kind(group="", version="v1", kind="Event", plural="events", singular="event")
JOBS_MAX = 200

Object = dict[str, Any]


def router(history: History, resources: Resources, kinds: Sequence[Kind], clock: Clock) -> APIRouter:
    """`kinds` are those of jobs whose archive is kept."""
    routes = APIRouter(prefix="/training/v1/namespaces/{namespace}/archive", tags=["archive"])
    Pods(history, resources, kinds, clock).add_to(routes)
    Stories(history, resources, kinds).add_to(routes)
    return routes


class Stories:
    """Whole jobs."""

    def __init__(self, history: History, resources: Resources, kinds: Sequence[Kind]) -> None:
        self._history, self._resources = history, resources
        self._kinds = {kind.plural: kind for kind in kinds}

    def add_to(self, routes: APIRouter) -> None:
        routes.get("/{plural}")(self.jobs)
        routes.get("/{plural}/{name}")(self.job)
        routes.get("/{plural}/{name}/metrics")(self.metrics)
        routes.get("/{plural}/{name}/events")(self.events)

    async def jobs(self, request: Request, namespace: str, plural: str, limit: int = JOBS_MAX) -> Object:
        """Jobs that have left something behind, newest first."""
        kind = await self._allowed(request, "list", plural, namespace)
        most = min(max(limit, 1), JOBS_MAX)
        return {"items": await self._history.jobs(namespace, kind.resource, most)}

    async def job(self, request: Request, namespace: str, plural: str, name: str, uid: str | None = None) -> Object:
        """One job with all its pods, of every attempt; the newest of its name unless `uid` says which."""
        kind = await self._allowed(request, "get", plural, namespace, name)
        return _there(await self._history.job(namespace, kind.resource, name, uid), name)

    async def metrics(self, request: Request, namespace: str, plural: str, name: str, uid: str | None = None) -> Object:
        """What the job reported, oldest first."""
        kind = await self._allowed(request, "get", plural, namespace, name)
        return {"items": _there(await self._history.figures(namespace, kind.resource, name, uid), name)}

    async def events(self, request: Request, namespace: str, plural: str, name: str, uid: str | None = None) -> Object:
        """The Events about the job and what it made."""
        kind = await self._allowed(request, "get", plural, namespace, name)
        found: Object = _there(await self._history.job(namespace, kind.resource, name, uid), name)
        return {"items": await self._history.events(namespace, found["uid"])}

    async def _allowed(self, request: Request, verb: str, plural: str, namespace: str, name: str = "") -> Kind:
        kind = self._kinds.get(plural)
        if kind is None:
            raise NotFound(f"nothing is kept of {plural}; there is an archive of {', '.join(sorted(self._kinds))}")
        await self._resources.allow(request.state.user, verb, kind, namespace, name)
        return kind


class Pods:
    """What the core API no longer has, in its shape."""

    def __init__(self, history: History, resources: Resources, kinds: Sequence[Kind], clock: Clock) -> None:
        self._history, self._resources, self._clock = history, resources, clock
        self._kinds = {kind.resource: kind for kind in kinds}

    def add_to(self, routes: APIRouter) -> None:
        routes.get("/pods")(self.pods)
        routes.get("/pods/{name}")(self.pod)
        routes.get("/pods/{name}/log")(self.log)
        routes.get("/events")(self.events)

    async def pods(self, request: Request, namespace: str, labelSelector: str = "") -> Object:
        """The last pods of the job that the selector names, unless it is (again) on its way to run."""
        await self._resources.allow(request.state.user, "list", POD, namespace, "")
        chosen = selectors(labelSelector)
        name = next((found for label in domain.NAME_LABELS if (found := _wanted(labelSelector, label))), None)
        found = await self._of_job(namespace, name) if name else []
        items = [pod for pod in found if chosen.matches(pod)]
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "0"}, "items": items}

    async def pod(self, request: Request, namespace: str, name: str) -> Object:
        await self._resources.allow(request.state.user, "get", POD, namespace, name)
        found = await self._history.pod(namespace, name)
        if found is None or not found.gone_at:
            raise NotFound.about("pods", name)
        return domain.shown(found.body, found.gone_at)

    async def log(
        self,
        request: Request,
        namespace: str,
        name: str,
        container: str = "",
        timestamps: str = "",
        previous: str = "",
        uid: str = "",
        attempt: int | None = None,
        tailLines: int | None = None,
        sinceSeconds: int | None = None,
        sinceTime: str = "",
        limitBytes: Annotated[int | None, Query(ge=1)] = None,
    ) -> Response:
        """As `kubectl logs` asks for it; `uid` names one of several pods of that name, `attempt` a life of a container
        that was started again."""
        await self._resources.allow(request.state.user, "get", POD, namespace, name, "log")
        pod = await self._history.pod(namespace, name, uid)
        if pod is None:
            raise NotFound.about("pods", name)
        chosen = _container(pod.body, container)
        row = await self._history.log(pod.uid, chosen, attempt)
        if row is not None and attempt is None and _flag(previous):
            row = await self._history.log(pod.uid, chosen, row.spot.attempt - 1)
        if row is None:
            if _flag(previous) or attempt is not None:
                raise BadRequest(f'previous terminated container "{chosen}" in pod "{name}" not found')
            return Response(b"", media_type="text/plain; charset=utf-8")
        tail = tailLines if tailLines is not None and tailLines >= 0 else None
        wish = LogWish(_flag(timestamps), tail, self._since(sinceSeconds, sinceTime), limitBytes)
        return StreamingResponse(self._history.lines(row, wish), media_type="text/plain; charset=utf-8")

    async def events(self, request: Request, namespace: str, fieldSelector: str = "") -> Object:
        """The newest Events of the namespace that are kept."""
        await self._resources.allow(request.state.user, "list", EVENT, namespace, "")
        chosen = selectors(None, fieldSelector)
        found = [event for event in await self._history.events(namespace) if chosen.matches(event)]
        items = [_marked(event) for event in reversed(found)]
        return {"kind": "EventList", "apiVersion": "v1", "metadata": {"resourceVersion": "0"}, "items": items}

    async def _of_job(self, namespace: str, name: str) -> list[Object]:
        row = await self._history.find(namespace, name)
        kind = self._kinds.get(row.resource) if row else None
        if row is None or kind is None:
            return []
        job = await self._resources.find(kind, namespace, name)
        if job is not None and (job["metadata"]["uid"] != row.uid or not domain.is_at_rest(job)):
            return []
        return await self._history.pods(row.uid)

    def _since(self, seconds: int | None, time: str) -> str:
        """As a text that sorts like the times that lines begin with."""
        try:
            moment = parse_rfc3339(time) if time else None
        except ValueError as error:
            raise BadRequest(f"sinceTime: {error}") from error
        if seconds is not None:
            moment = self._clock.now() - span(seconds)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") if moment else ""


def _there(found: Any, name: str) -> Any:
    if found is None:
        raise NotFound(f"nothing is kept of a job named {name!r}")
    return found


def _wanted(text: str, label: str) -> str | None:
    """The value that a label selector demands of a label."""
    for term in text.split(","):
        key, equals, value = term.partition("=")
        if equals and key.strip() == label:
            return value.lstrip("=").strip()
    return None


def _container(pod: Object, asked: str) -> str:
    spec = pod["spec"]
    every = [c["name"] for c in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]]
    if asked and asked not in every:
        raise BadRequest(f"container {asked} is not valid for pod {pod['metadata']['name']}")
    if asked:
        return asked
    main = [c["name"] for c in spec.get("containers") or []]
    if len(main) > 1:
        told = " ".join(main)
        raise BadRequest(
            f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: [{told}]"
        )
    return str(main[0])


def _flag(text: str) -> bool:
    return text.lower() in ("true", "1")


def _marked(event: Object) -> Object:
    meta = event["metadata"]
    return {**event, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), domain.ARCHIVED: "true"}}}
