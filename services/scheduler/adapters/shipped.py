"""The queue of those that name none: its quota follows the settings until somebody edits it; deleted, it comes back."""

import hashlib
import json
from typing import Any

from contracts.kinds.queues import GROUP, VERSION
from libs.base.errors import AlreadyExists, Conflict
from libs.resources import Kind, Resources
from services.scheduler.adapters.kinds import CLUSTER_QUEUE, FLAVOR
from services.scheduler.domain.model import Amounts
from services.scheduler.domain.objects.shown import quantity
from services.scheduler.domain.rules import defaulted_queue

Object = dict[str, Any]
DIGEST = "millstream.dev/shipped-digest"
FLAVOR_NAME, QUEUE_NAME = "default-flavor", "default"


def wanted(capacity: Amounts) -> list[tuple[Kind, Object]]:
    """`capacity`: what may be in use at a time, by resource."""
    quotas = [{"name": name, "nominalQuota": quantity(name, value)} for name, value in capacity.items()]
    flavor = {"name": FLAVOR_NAME, "resources": quotas}
    spec = {"namespaceSelector": {}, "resourceGroups": [{"coveredResources": list(capacity), "flavors": [flavor]}]}
    queue = defaulted_queue({"spec": spec})["spec"]
    shipped = ((FLAVOR, FLAVOR_NAME, {}), (CLUSTER_QUEUE, QUEUE_NAME, queue))
    return [(kind, _object(kind.kind, name, spec)) for kind, name, spec in shipped]


async def ensure(resources: Resources, capacity: Amounts) -> None:
    for kind, obj in wanted(capacity):
        stored = await resources.find(kind, "", obj["metadata"]["name"])
        try:
            if stored is None:
                await resources.create(kind, obj)
            elif _is_ours(stored) and stored.get("spec") != obj["spec"]:
                version = stored["metadata"]["resourceVersion"]
                meta = {**obj["metadata"], "resourceVersion": version}
                await resources.replace(kind, "", obj["metadata"]["name"], {**obj, "metadata": meta})
        except (AlreadyExists, Conflict):  # another replica was faster
            continue


def _object(kind: str, name: str, spec: Object) -> Object:
    meta = {"name": name, "annotations": {DIGEST: _digest(spec)}}
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": meta, "spec": spec}


def _is_ours(stored: Object) -> bool:
    return (stored["metadata"].get("annotations") or {}).get(DIGEST) == _digest(stored.get("spec") or {})


def _digest(spec: Object) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
