"""A Workload object: what its owner asked for, what its users may change, and what the scheduler remembers of it.

The last lies in `status.scheduling`; the rest of the status is derived from it, for people and for Kueue's clients.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.commands.scheduling.v1 import PodSet as AskedPodSet
from contracts.commands.scheduling.v1 import SubmitWorkload
from contracts.kinds.queues import GROUP, VERSION
from contracts.messages import ObjectCommand
from libs.base.clock import rfc3339
from services.scheduler.domain.model import CheckState, PodSet, TopologyRequest, Workload
from services.scheduler.domain.objects import packing, queues
from services.scheduler.domain.objects.conditions import is_true
from services.scheduler.domain.quantities import parse

Object = dict[str, Any]
OWNER_UID = f"{GROUP}/job-uid"
FINISHED = "Finished"


def name_of(command: ObjectCommand) -> str:
    """`<kind>-<name>-<five hex digits>`: two objects that follow each other under one name have each their own."""
    mark = hashlib.sha256(command.uid.encode()).hexdigest()[:5]
    return f"{command.kind.lower()}-{command.name}"[:247] + f"-{mark}"


def made(command: SubmitWorkload, *, uid: str, now: datetime, arrival: int) -> Object:
    """A new one, before what the owner asks for is written into it."""
    of = {"kind": command.kind, "name": command.name, "uid": command.uid}
    owners = [{"apiVersion": command.api_version or "v1", **of}] if command.owners is None else command.owners
    bound = {"ownerReferences": [{**each, "controller": True, "blockOwnerDeletion": True} for each in owners[:1]]}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Workload",
        "metadata": {
            "name": name_of(command),
            "namespace": command.namespace,
            "uid": uid,
            "generation": 1,
            "creationTimestamp": rfc3339(now),
            "labels": {OWNER_UID: command.uid[:63]},
            **(bound if owners else {}),
        },
        "spec": {"podSets": [], "active": True},
        "status": {"scheduling": {"arrival": arrival, **({} if command.owners is None else {"of": of})}},
    }


def memory(obj: Object) -> Object:
    """What the scheduler remembers; empty for a Workload that somebody else wrote."""
    found: Object = (obj.get("status") or {}).get("scheduling") or {}
    return found


def owner(obj: Object) -> dict[str, str]:
    """`kind`, `name` and `uid` of what the workload stands for: its owner, unless that is what it goes with only."""
    found = memory(obj).get("of") or (obj["metadata"].get("ownerReferences") or [{}])[0]
    return {key: str(found.get(key) or "") for key in ("kind", "name", "uid")}


def is_over(obj: Object) -> bool:
    return is_true(obj, FINISHED)


def workload(obj: Object) -> Workload:
    """What the decision knows of it. A Workload that its user deletes is as one set aside, until its pods are gone.

    One that was deactivated rests because it is not active, though its owner is suspended: made active, it queues, and
    its tries and its time count anew.
    """
    meta, spec, own = obj["metadata"], obj.get("spec") or {}, memory(obj)
    limit = spec.get("maximumExecutionTimeSeconds")
    about, aside = owner(obj), bool(own.get("aside"))
    return Workload(
        uid=about["uid"],
        namespace=meta["namespace"],
        name=about["name"],
        kind=about["kind"],
        queue=spec.get("queueName") or "",
        pod_sets=tuple(_pod_set(one) for one in spec.get("podSets") or ()),
        priority=spec.get("priority") or 0,
        arrival=own.get("arrival") or 0,
        active=spec.get("active") is not False and not meta.get("deletionTimestamp") and not own.get("held"),
        deleted=bool(meta.get("deletionTimestamp")),
        suspended=bool(own.get("suspended")) and not aside,
        max_execution_ms=limit * 1000 if limit else None,
        ran_ms=0 if aside else own.get("ran") or 0,
        admission=packing.unpacked(own["admission"]) if own.get("admission") else None,
        pledge=packing.unpacked_pledge(own["pledge"]) if own.get("pledge") else None,
        checks={c["name"]: CheckState(c["state"]) for c in (obj.get("status") or {}).get("admissionChecks") or ()},
        reclaimable=own.get("reclaimable") or {},
        counts=own.get("counts") or {},
        requeue_at=0 if aside else own.get("requeueAt") or 0,
        requeues=0 if aside else own.get("requeues") or 0,
        outside_evictions=own.get("outsideEvictions") or 0,
    )


def pod_set(asked: AskedPodSet) -> Object:
    """A pod set as Kueue writes it: what one pod asks for stands in a container of its template."""
    spec: Object = {"containers": [{"name": "pod", "image": "", "resources": {"requests": dict(asked.requests)}}]}
    if asked.node_selector:
        spec["nodeSelector"] = dict(asked.node_selector)
    if asked.tolerations:
        spec["tolerations"] = list(asked.tolerations)
    out: Object = {"name": asked.name, "count": asked.count, "template": {"spec": spec}}
    if asked.min_count:
        out["minCount"] = asked.min_count
    if asked.topology is not None:
        wish = asked.topology
        found = {
            wish.mode: True if wish.mode == "unconstrained" else wish.level,
            "podSetSliceRequiredTopology": wish.slice_level,
            "podSetSliceSize": wish.slice_size,
        }
        out["topologyRequest"] = {key: value for key, value in found.items() if value}
    return out


def _pod_set(data: Object) -> PodSet:
    spec = data["template"].get("spec") or {}
    return PodSet(
        name=data.get("name") or "main",
        count=data.get("count", 1),
        requests=_requests(spec),
        min_count=data.get("minCount"),
        node_selector=spec.get("nodeSelector") or {},
        tolerations=queues.tolerations(spec.get("tolerations")),
        topology=_topology(data.get("topologyRequest")),
    )


def _requests(spec: Mapping[str, Any]) -> dict[str, int]:
    out: dict[str, int] = {}
    for container in spec.get("containers") or ():
        resources = container.get("resources") or {}
        for name, value in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
            out[name] = out.get(name, 0) + parse(name, value)
    return out


def _topology(data: Mapping[str, Any] | None) -> TopologyRequest | None:
    if not data:
        return None
    mode = next((word for word in ("required", "preferred") if data.get(word)), "unconstrained")
    return TopologyRequest(
        mode=mode,
        level=data[mode] if mode != "unconstrained" else "",
        slice_size=data.get("podSetSliceSize"),
        slice_level=data.get("podSetSliceRequiredTopology"),
        group=data.get("podSetGroupName"),
    )
