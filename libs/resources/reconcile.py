"""What a reconciler is and what it gets; it must not assume that it is told of every change, only of the last one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from libs.base import Clock, Ids
from libs.resources.kinds import Kind, Object
from libs.resources.resources import Resources
from libs.store import Store

if TYPE_CHECKING:
    from libs.cluster import Cluster, Resource


class Key(NamedTuple):
    """An object's place; `namespace` is empty for cluster-scoped kinds."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Requeue:
    """Come back to this object in `after` seconds, whatever happens."""

    after: float


@dataclass(frozen=True)
class Owned:
    """Objects whose changes wake a reconciler: of a cluster resource, or of a kind of the same store.

    `key` finds the reconciler's object for one of them, None for those that are nobody's; `labels` is a label selector.
    """

    resource: Resource | Kind
    key: Callable[[Object], Key | None]
    labels: str | None = None


@dataclass(frozen=True)
class Context:
    """What a reconciler works with. `cluster` is None where the service's own store is the cluster."""

    resources: Resources
    store: Store
    clock: Clock
    ids: Ids
    cluster: Cluster | None = None


class Reconciler(Protocol):
    """Brings what is there towards what an object asks for; called with a key, also of objects that are gone."""

    @property
    def kind(self) -> Kind: ...

    @property
    def owned(self) -> Sequence[Owned]: ...

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        """Does one step and returns. An exception means: try again later, with growing delays."""
        ...


def key_of(obj: Object) -> Key:
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def by_controller(kind: Kind) -> Callable[[Object], Key | None]:
    """An `Owned.key` that follows the controlling ownerReference to an object of `kind`."""

    def key(obj: Object) -> Key | None:
        for owner in obj["metadata"].get("ownerReferences") or []:
            if owner.get("controller") and (owner["apiVersion"], owner["kind"]) == (kind.api_version, kind.kind):
                return Key(obj["metadata"].get("namespace", "") if kind.namespaced else "", owner["name"])
        return None

    return key


def by_label(label: str) -> Callable[[Object], Key | None]:
    """An `Owned.key` that takes the owner's name from a label, in the object's own namespace."""

    def key(obj: Object) -> Key | None:
        name = (obj["metadata"].get("labels") or {}).get(label)
        return Key(obj["metadata"].get("namespace", ""), name) if name else None

    return key


def owner_reference(obj: Object, *, controller: bool = True) -> dict[str, Any]:
    """An ownerReference to `obj`, which dies with it and blocks its foreground deletion."""
    metadata = obj["metadata"]
    own = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    return {**own, "controller": controller, "blockOwnerDeletion": True}
