"""The calls a service makes on a Kubernetes cluster, on untyped objects; it must not assume who serves the API."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from libs.base.clock import Clock, SystemClock
from libs.base.errors import Gone, NotFound
from libs.cluster.connection import Connection, Query
from libs.cluster.loglines import bounded
from libs.cluster.resource import POD, Resource, resource_of
from libs.cluster.watching import Listing, watch_forever

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
PAGE = 500
LINE_BYTES_MAX = 2**20
"""Of a log's line; whoever reads more than its own logs should not have to trust their writers."""


class Cluster:
    """One Kubernetes API, seen with one identity. Calls raise the ApiErrors of libs.base (Unavailable: no answer)."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._wire, self._clock = connection, clock

    @classmethod
    async def connect(cls, kubeconfig: str | None, *, clock: Clock | None = None) -> "Cluster":
        """By kubeconfig file, else with the pod's service account; it dials at the first call."""
        clock = clock or SystemClock()
        return cls(await Connection.open(kubeconfig, clock), clock)

    async def close(self) -> None:
        await self._wire.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """The object, None when there is none."""
        try:
            return await self._wire.call("GET", resource.path(namespace, name))
        except NotFound:
            return None

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> list[Object]:
        """All matching objects of one namespace, or of all when it is None."""
        return (await self.listing(resource, namespace, labels=labels, fields=fields)).items

    async def listing(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> Listing:
        """The same with the resourceVersion to watch from."""
        found: list[Object] = []
        token: str | None = None
        limit: int | None = PAGE
        while True:
            asked: Query = {"labelSelector": labels, "fieldSelector": fields, "limit": limit, "continue": token}
            try:
                page = await self._wire.call("GET", resource.path(namespace), asked)
            except Gone:
                if token is None:
                    raise
                # The pages took longer than the server keeps their version: all at once then, as client-go does.
                found, token, limit = [], None, None
                continue
            # The items of a typed list say neither kind nor apiVersion; our readers want whole objects.
            told = {
                "apiVersion": resource.api_version,
                "kind": resource.kind or str(page.get("kind", ""))[: -len("List")],
            }
            found += [{**told, **item} for item in page.get("items") or ()]
            token = page.get("metadata", {}).get("continue")
            if not token:
                return Listing(found, str(page.get("metadata", {}).get("resourceVersion", "0")))

    async def create(self, obj: Mapping[str, Any]) -> Object:
        """Raises AlreadyExists."""
        resource, namespace, _ = _address(obj)
        return await self._wire.call("POST", resource.path(namespace), body=obj)

    async def apply(self, obj: Mapping[str, Any], *, manager: str = "millstream") -> Object:
        """Server-side apply; fields that others hold are taken over (force)."""
        resource, namespace, name = _address(obj)
        query: Query = {"fieldManager": manager, "force": True}
        return await self._wire.call("PATCH", resource.path(namespace, name), query, obj, media=APPLY)

    async def replace(self, obj: Mapping[str, Any]) -> Object:
        """Raises Conflict when metadata.resourceVersion is given and no longer the current one."""
        resource, namespace, name = _address(obj)
        return await self._wire.call("PUT", resource.path(namespace, name), body=obj)

    async def patch(self, resource: Resource, namespace: str | None, name: str, patch: Mapping[str, Any]) -> Object:
        """JSON merge patch (RFC 7386)."""
        return await self._wire.call("PATCH", resource.path(namespace, name), body=patch, media=MERGE)

    async def patch_status(
        self, resource: Resource, namespace: str | None, name: str, status: Mapping[str, Any]
    ) -> Object:
        """Merges `status` into the object's status subresource."""
        path = resource.path(namespace, name, "status")
        return await self._wire.call("PATCH", path, body={"status": status}, media=MERGE)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        propagation: str = "Background",
        grace_s: int | None = None,
    ) -> bool:
        """False when there was nothing to delete."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            await self._wire.call("DELETE", resource.path(namespace, name), body=options)
        except NotFound:
            return False
        return True

    async def watch(
        self, resource: Resource, *, namespace: str | None = None, labels: str | None = None
    ) -> AsyncIterator[tuple[str, Object]]:
        """(ADDED|MODIFIED|DELETED, object) for ever; once, after the initial list, ("SYNCED", {}).

        It lists again when its place is Gone or the server went away, and then tells only what differs. A deletion that
        happened meanwhile is told with the last known metadata alone.
        """

        async def relist() -> Listing:
            return await self.listing(resource, namespace, labels=labels)

        async for event in watch_forever(self._wire, resource.path(namespace), labels, relist, self._clock):
            yield event

    async def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str | None = None,
        follow: bool = False,
        tail: int | None = None,
        previous: bool = False,
        timestamps: bool = False,
        since: str | None = None,
        whole: bool = False,
        line_bytes_max: int = LINE_BYTES_MAX,
        opened: Callable[[], None] | None = None,
    ) -> AsyncIterator[str]:
        """Lines without their ends; with `follow` until the container ended, else what there is now.

        `since` is an RFC 3339 time of whole seconds, from which on lines are told; with `whole` a last line that has
        not ended yet is left out; `opened` is called when the server begins to answer. Of a line longer than
        `line_bytes_max` beginning and end are told.
        """
        query = {"container": container, "tailLines": tail, "sinceTime": since}
        flags = {"follow": follow, "previous": previous, "timestamps": timestamps}
        asked = {**query, **{name: True for name, wanted in flags.items() if wanted}}
        path = POD.path(namespace, pod, "log")
        async with self._wire.stream("GET", path, asked, accept="text/plain, */*") as answer:
            if opened is not None:
                opened()
            async for line in bounded(answer.content.iter_any(), line_bytes_max, whole=whole):
                yield line.decode(errors="replace")


def _address(obj: Mapping[str, Any]) -> tuple[Resource, str | None, str]:
    resource, metadata = resource_of(obj), obj.get("metadata", {})
    return resource, metadata.get("namespace"), metadata.get("name", "")
