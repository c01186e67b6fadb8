"""Reads stored, hence valid, queues, flavors and topologies as the values that decisions are made of."""

from collections.abc import Mapping
from typing import Any

from contracts.kinds.quantity import amount
from services.scheduler.domain.model import (
    CheckRule,
    ClusterQueue,
    Cohort,
    FlavorFungibility,
    FlavorQuotas,
    Fungibility,
    LocalQueue,
    Node,
    Policy,
    Preemption,
    Quota,
    Requirement,
    ResourceFlavor,
    ResourceGroup,
    Stop,
    Strategy,
    Taint,
    Toleration,
    Topology,
)
from services.scheduler.domain.quantities import parse

Object = dict[str, Any]


def cluster_queue(obj: Object) -> ClusterQueue:
    spec = obj.get("spec") or {}
    return ClusterQueue(
        name=obj["metadata"]["name"],
        resource_groups=_groups(spec),
        cohort=spec.get("cohortName") or "",
        strategy=Strategy(spec.get("queueingStrategy") or "BestEffortFIFO"),
        preemption=_preemption(spec.get("preemption") or {}),
        fungibility=_fungibility(spec.get("flavorFungibility") or {}),
        fair_weight=_weight(spec),
        stop=Stop(spec.get("stopPolicy") or "None"),
        namespaces=requirements(spec.get("namespaceSelector")),
        checks=_checks(spec),
    )


def local_queue(obj: Object) -> LocalQueue:
    meta, spec = obj["metadata"], obj["spec"]
    return LocalQueue(meta["namespace"], meta["name"], spec["clusterQueue"], Stop(spec.get("stopPolicy") or "None"))


def cohort(obj: Object) -> Cohort:
    spec = obj.get("spec") or {}
    return Cohort(obj["metadata"]["name"], spec.get("parentName") or "", _groups(spec), _weight(spec))


def flavor(obj: Object) -> ResourceFlavor:
    spec = obj.get("spec") or {}
    return ResourceFlavor(
        name=obj["metadata"]["name"],
        node_labels=spec.get("nodeLabels") or {},
        node_taints=taints(spec.get("nodeTaints")),
        tolerations=tolerations(spec.get("tolerations")),
        topology=spec.get("topologyName"),
    )


def topology(obj: Object) -> Topology:
    return Topology(obj["metadata"]["name"], tuple(level["nodeLabel"] for level in obj["spec"]["levels"]))


def node(obj: Object) -> Node:
    """A node of the cluster, as far as pods can be put there."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
    room = status.get("allocatable") or status.get("capacity") or {}
    return Node(
        name=meta["name"],
        labels=meta.get("labels") or {},
        capacity={name: parse(name, value) for name, value in room.items()},
        taints=taints(spec.get("taints")),
        ready=ready and not spec.get("unschedulable"),
    )


def requirements(selector: Mapping[str, Any] | None) -> tuple[Requirement, ...] | None:
    """None for no selector, which selects nothing."""
    if selector is None:
        return None
    labels = (selector.get("matchLabels") or {}).items()
    plain = [Requirement(key, "In", (value,)) for key, value in sorted(labels)]
    more = selector.get("matchExpressions") or []
    return (*plain, *(Requirement(e["key"], e["operator"], tuple(e.get("values") or ())) for e in more))


def taints(found: Any) -> tuple[Taint, ...]:
    return tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in found or ())


def tolerations(found: Any) -> tuple[Toleration, ...]:
    return tuple(
        Toleration(t.get("key") or "", t.get("operator") or "Equal", t.get("value") or "", t.get("effect") or "")
        for t in found or ()
    )


def _groups(spec: Mapping[str, Any]) -> tuple[ResourceGroup, ...]:
    return tuple(
        ResourceGroup(
            tuple(group["coveredResources"]),
            tuple(FlavorQuotas(f["name"], _quotas(f["resources"])) for f in group["flavors"]),
        )
        for group in spec.get("resourceGroups") or ()
    )


def _quotas(resources: list[Object]) -> dict[str, Quota]:
    out = {}
    for entry in resources:
        name = entry["name"]
        borrow, lend = entry.get("borrowingLimit"), entry.get("lendingLimit")
        out[name] = Quota(
            parse(name, entry["nominalQuota"]),
            None if borrow is None else parse(name, borrow),
            None if lend is None else parse(name, lend),
        )
    return out


def _preemption(spec: Mapping[str, Any]) -> Preemption:
    borrow = spec.get("borrowWithinCohort") or {}
    return Preemption(
        within_cluster_queue=Policy(spec.get("withinClusterQueue") or "Never"),
        reclaim_within_cohort=Policy(spec.get("reclaimWithinCohort") or "Never"),
        borrow_within_cohort=Policy(borrow.get("policy") or "Never"),
        max_priority_threshold=borrow.get("maxPriorityThreshold"),
    )


def _fungibility(spec: Mapping[str, Any]) -> FlavorFungibility:
    return FlavorFungibility(
        when_can_borrow=Fungibility(spec.get("whenCanBorrow") or "MayStopSearch"),
        when_can_preempt=Fungibility(spec.get("whenCanPreempt") or "TryNextFlavor"),
        prefer_preemption=spec.get("preference") == "PreemptionOverBorrowing",
    )


def _weight(spec: Mapping[str, Any]) -> int:
    given = (spec.get("fairSharing") or {}).get("weight")
    return 1000 if given is None else int(amount(given) * 1000)


def _checks(spec: Mapping[str, Any]) -> tuple[CheckRule, ...]:
    rules = (spec.get("admissionChecksStrategy") or {}).get("admissionChecks") or []
    return tuple(CheckRule(rule["name"], tuple(rule.get("onFlavors") or ())) for rule in rules)
