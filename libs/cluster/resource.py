"""Where a kind of object lives in a Kubernetes API; names the built-in kinds and guesses others as client-go does."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote


class Resource(NamedTuple):
    """A kind's place: group ("" is core), version, plural; `kind` fills what list items leave out."""

    group: str
    version: str
    plural: str
    namespaced: bool = True
    kind: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of one object, or of the collection when `name` is None (of all namespaces without one)."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


POD = Resource("", "v1", "pods", True, "Pod")
SERVICE = Resource("", "v1", "services", True, "Service")
CONFIGMAP = Resource("", "v1", "configmaps", True, "ConfigMap")
SECRET = Resource("", "v1", "secrets", True, "Secret")
PERSISTENTVOLUMECLAIM = Resource("", "v1", "persistentvolumeclaims", True, "PersistentVolumeClaim")
SERVICEACCOUNT = Resource("", "v1", "serviceaccounts", True, "ServiceAccount")
EVENT = Resource("", "v1", "events", True, "Event")
NAMESPACE = Resource("", "v1", "namespaces", False, "Namespace")
NODE = Resource("", "v1", "nodes", False, "Node")
JOB = Resource("batch", "v1", "jobs", True, "Job")
DEPLOYMENT = Resource("apps", "v1", "deployments", True, "Deployment")
STATEFULSET = Resource("apps", "v1", "statefulsets", True, "StatefulSet")
HTTPROUTE = Resource("gateway.networking.k8s.io", "v1", "httproutes", True, "HTTPRoute")
ENDPOINTSLICE = Resource("discovery.k8s.io", "v1", "endpointslices", True, "EndpointSlice")
LEASE = Resource("coordination.k8s.io", "v1", "leases", True, "Lease")

_BUILT_IN = {
    (each.api_version, each.kind): each
    for each in (
        POD, SERVICE, CONFIGMAP, SECRET, PERSISTENTVOLUMECLAIM, SERVICEACCOUNT, EVENT, NAMESPACE, NODE, JOB, DEPLOYMENT,
        STATEFULSET, HTTPROUTE, ENDPOINTSLICE, LEASE,
    )
}  # fmt: skip


def resource_of(obj: Mapping[str, Any]) -> Resource:
    """Where `obj` lives, by its apiVersion and kind; raises ValueError when one is missing.

    An unknown kind's plural is guessed like `UnsafeGuessKindToResource` of k8s.io/apimachinery, and it counts as
    namespaced when the object names a namespace.
    """
    api_version, kind = obj.get("apiVersion"), obj.get("kind")
    if not api_version or not kind:
        raise ValueError("an object needs apiVersion and kind")
    known = _BUILT_IN.get((api_version, kind))
    if known:
        return known
    group, _, version = api_version.rpartition("/")
    return Resource(group, version, _guess_plural(kind.lower()), "namespace" in obj.get("metadata", {}), kind)


def _guess_plural(singular: str) -> str:
    if singular.endswith("s"):
        return singular + "es"
    return singular[:-1] + "ies" if singular.endswith("y") else singular + "s"
