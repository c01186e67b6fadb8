"""A Kubernetes API in memory: objects, versions, selectors, watches; what becomes of them is libs.testing.kubelet's.

The suite in libs.testing.cluster_suite holds it and the node's API to the same words. Server-side apply is the part
that one manager needs: what it states is merged, what it stated before and no longer does is taken away.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple
from urllib.parse import unquote

from libs.base import AlreadyExists, Clock, Conflict, Ids, NotFound, rfc3339
from libs.resources.selectors import selectors

Object = dict[str, Any]
Objects = list[Object]
_DELETED_WITH_OWNER = ("Background", "Foreground")


class Address(NamedTuple):
    """Where an object is: `group` has no version; `namespace` is empty for what has none."""

    group: str
    plural: str
    namespace: str
    name: str


Addresses = list[Address]
Told = list[tuple[str, Object]]


class Happening(NamedTuple):
    """One line of the history; `before` is the object as it was."""

    version: int
    type: str
    address: Address
    obj: Object
    before: Object | None


class Place(NamedTuple):
    """What a URL path names."""

    group: str
    plural: str
    namespace: str
    name: str
    subresource: str


def place_of(path: str) -> Place:
    """Reads `/api/v1/...` and `/apis/<group>/<version>/...`."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", ""][:3]
    return Place(group, plural, namespace, name, subresource)


class MemoryCluster:
    """The state of one cluster, shared by all who speak to it. Calls are plain functions: nothing waits here."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.clock, self.ids = clock, ids
        self.objects: dict[Address, Object] = {}
        self.history: list[Happening] = []
        self.forgotten = 0
        self.on_change: list[Callable[[Happening], None]] = []
        self._applied: dict[Address, Object] = {}

    @property
    def version(self) -> int:
        return len(self.history)

    def get(self, at: Address) -> Object:
        if at not in self.objects:
            raise NotFound.about(_resource(at), at.name)
        return deepcopy(self.objects[at])

    def list(
        self, group: str, plural: str, namespace: str = "", labels: str | None = None, fields: str | None = None
    ) -> Objects:
        """In the order of namespace and name."""
        wanted = selectors(labels, fields)
        found = [
            (at, obj)
            for at, obj in self.objects.items()
            if at[:2] == (group, plural) and namespace in ("", at.namespace)
        ]
        return [deepcopy(obj) for _, obj in sorted(found, key=lambda each: each[0]) if wanted.matches(obj)]

    def create(self, at: Address, obj: Mapping[str, Any]) -> Object:
        if at in self.objects:
            raise AlreadyExists.about(_resource(at), at.name)
        made = _without_nothing(deepcopy(dict(obj)))
        own = {"uid": self.ids.uid(), "creationTimestamp": rfc3339(self.clock.now()), "generation": 1}
        made["metadata"] = {**made.get("metadata", {}), **own}
        if at.namespace:
            made["metadata"]["namespace"] = at.namespace
        _default(made, self)
        return self._store("ADDED", at, made)

    def apply(self, at: Address, obj: Mapping[str, Any]) -> Object:
        stated = deepcopy(dict(obj))
        before = self.objects.get(at)
        gone = _left_out(self._applied.get(at, {}), stated)
        self._applied[at] = stated
        if before is None:
            return self.create(at, stated)
        return self._change(at, merge(merge(before, gone), stated))

    def replace(self, at: Address, obj: Mapping[str, Any]) -> Object:
        before, wanted = self.get(at), deepcopy(dict(obj))
        version = wanted.get("metadata", {}).get("resourceVersion")
        if version and version != before["metadata"]["resourceVersion"]:
            raise Conflict.about(_resource(at), at.name, "the object has been modified; read it again")
        return self._change(at, {**wanted, **({"status": before["status"]} if "status" in before else {})})

    def patch(self, at: Address, patch: Mapping[str, Any], *, status: bool = False) -> Object:
        """JSON merge patch; of the status subresource only the status counts, elsewhere it never does."""
        wanted = {key: value for key, value in patch.items() if (key == "status") == status}
        return self._change(at, merge(self.get(at), wanted))

    def delete(self, at: Address, *, propagation: str = "Background") -> Object:
        """What has finalizers only gets its deletionTimestamp; dependents go with their owner."""
        obj = self.get(at)
        if obj["metadata"].get("finalizers"):
            stamp = {"deletionTimestamp": obj["metadata"].get("deletionTimestamp") or rfc3339(self.clock.now())}
            return self._change(at, merge(obj, {"metadata": stamp}))
        del self.objects[at]
        self._applied.pop(at, None)
        gone = self._note("DELETED", at, obj, obj)
        if propagation in _DELETED_WITH_OWNER:
            for dependent in self.owned_by(obj["metadata"]["uid"]):
                self.delete(dependent)
        return gone

    def owned_by(self, uid: str) -> "Addresses":
        """What has an ownerReference to `uid`."""
        return [at for at, obj in self.objects.items() if uid in _owners(obj)]

    def forget_history(self) -> None:
        """Whoever watches from before now gets 410 Gone."""
        self.forgotten = self.version

    def since(self, version: int, place: Place, labels: str | None) -> "Told":
        """Watch events after `version`: an object that stops matching is told as deleted."""
        wanted = selectors(labels).labels
        told: Told = []
        for each in self.history[version:]:
            at = each.address
            if (at.group, at.plural) != (place.group, place.plural) or place.namespace not in ("", at.namespace):
                continue
            now = wanted.matches(labels_of(each.obj))
            was = each.before is not None and wanted.matches(labels_of(each.before))
            if now and each.type != "DELETED":
                told.append(("MODIFIED" if was else "ADDED", each.obj))
            elif was:
                told.append(("DELETED", each.obj))
        return told

    def _change(self, at: Address, wanted: Object) -> Object:
        before = self.objects[at]
        kept = {key: before["metadata"][key] for key in ("uid", "creationTimestamp", "generation", "resourceVersion")}
        wanted = _without_nothing({**wanted, "metadata": {**wanted["metadata"], **kept}})
        _default(wanted, self)
        if wanted == before:
            return deepcopy(before)
        if {**wanted, "metadata": 0, "status": 0} != {**before, "metadata": 0, "status": 0}:
            wanted["metadata"]["generation"] += 1
        if wanted["metadata"].get("deletionTimestamp") and not wanted["metadata"].get("finalizers"):
            self.objects[at] = wanted
            return self.delete(at)
        return self._store("MODIFIED", at, wanted)

    def _store(self, type: str, at: Address, obj: Object) -> Object:
        before = self.objects.get(at)
        self.objects[at] = obj
        return self._note(type, at, obj, before)

    def _note(self, type: str, at: Address, obj: Object, before: Object | None) -> Object:
        obj["metadata"]["resourceVersion"] = str(self.version + 1)
        happening = Happening(self.version + 1, type, at, deepcopy(obj), deepcopy(before))
        self.history.append(happening)
        for tell in self.on_change:
            tell(happening)
        return deepcopy(obj)


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def merge(into: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    merged = deepcopy(into) if isinstance(into, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _left_out(before: Any, now: Any) -> Any:
    """The merge patch that removes what `before` stated and `now` does not."""
    gone: Object = {}
    for key, value in before.items():
        if key not in now:
            gone[key] = None
        elif isinstance(value, dict) and isinstance(now[key], dict) and (inner := _left_out(value, now[key])):
            gone[key] = inner
    return gone


def _default(obj: Object, cluster: MemoryCluster) -> None:
    """The few defaults that services look at."""
    if obj.get("kind") == "Secret" and "stringData" in obj:
        import base64

        told = {key: base64.b64encode(text.encode()).decode() for key, text in obj.pop("stringData").items()}
        obj["data"] = {**obj.get("data", {}), **told}
    if obj.get("kind") == "Service" and not obj["spec"].get("clusterIP"):
        number = cluster.version
        obj["spec"]["clusterIP"] = f"10.0.{number // 250 % 250}.{number % 250 + 1}"


def _without_nothing(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if value is not None}


def _owners(obj: Object) -> list[str]:
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or []]


def _resource(at: Address) -> str:
    return f"{at.plural}.{at.group}" if at.group else at.plural
