"""What a queue, flavor or Workload has to obey beyond the type of each field; every cause names field and remedy."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from libs.base.errors import Cause

Object = dict[str, Any]
MAY_CHANGE = ("active", "priority", "priorityClassRef", "maximumExecutionTimeSeconds")
BINDING = ("finalizers", "ownerReferences")
HOSTNAME = "kubernetes.io/hostname"


def defaulted_queue(obj: Object) -> Object:
    """A ClusterQueue that says what it leaves to the defaults, as Kueue's does."""
    spec = dict(obj.get("spec") or {})
    spec.setdefault("queueingStrategy", "BestEffortFIFO")
    spec.setdefault("stopPolicy", "None")
    search = {"whenCanBorrow": "MayStopSearch", "whenCanPreempt": "TryNextFlavor"}
    spec["flavorFungibility"] = {**search, **(spec.get("flavorFungibility") or {})}
    never = {"reclaimWithinCohort": "Never", "withinClusterQueue": "Never"}
    preemption = {**never, **(spec.get("preemption") or {})}
    preemption["borrowWithinCohort"] = {"policy": "Never", **(preemption.get("borrowWithinCohort") or {})}
    return {**obj, "spec": {**spec, "preemption": preemption}}


def queue_causes(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    found = [*_groups(spec, bool(spec.get("cohortName"))), *_selector(spec.get("namespaceSelector") or {})]
    preemption, search = spec.get("preemption") or {}, spec.get("flavorFungibility") or {}
    borrow = (preemption.get("borrowWithinCohort") or {}).get("policy") or "Never"
    if preemption.get("reclaimWithinCohort") == "Never" and borrow != "Never":
        told = f"{borrow!r} needs reclaimWithinCohort to be LowerPriority or Any"
        found.append(Cause("spec.preemption.borrowWithinCohort.policy", told))
    if search.get("preference") and {search.get("whenCanBorrow"), search.get("whenCanPreempt")} != {"TryNextFlavor"}:
        told = "only counts where whenCanBorrow and whenCanPreempt are both TryNextFlavor: set them, or leave it out"
        found.append(Cause("spec.flavorFungibility.preference", told))
    return found


def cohort_causes(obj: Object) -> list[Cause]:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name")
    found = list(_groups(spec, bool(spec.get("parentName"))))
    if spec.get("parentName") and spec["parentName"] == name:
        found.append(Cause("spec.parentName", f"{name!r} is the cohort itself: name another one, or none"))
    return found


def local_queue_causes(obj: Object, old: Object | None) -> list[Cause]:
    before, wanted = (old or obj)["spec"]["clusterQueue"], obj["spec"]["clusterQueue"]
    if before == wanted:
        return []
    return [Cause("spec.clusterQueue", f"is {before!r} and cannot change: make another LocalQueue for {wanted!r}")]


def flavor_causes(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    if spec.get("topologyName") and not spec.get("nodeLabels"):
        return [Cause("spec.nodeLabels", "must name at least one label where topologyName is set")]
    return []


def topology_causes(obj: Object, old: Object | None) -> list[Cause]:
    levels = [level["nodeLabel"] for level in obj["spec"]["levels"]]
    found = [Cause("spec.levels", f"has {label!r} twice") for label, n in Counter(levels).items() if n > 1]
    if HOSTNAME in levels[:-1]:
        found.append(Cause("spec.levels", f"{HOSTNAME} can only be the last level: no node is below it"))
    if old is not None and old["spec"] != obj["spec"]:
        found.append(Cause("spec", "cannot change: make another Topology, and let the flavor name that"))
    return found


def workload_causes(obj: Object, old: Object | None) -> list[Cause]:
    """For people; what the scheduler itself writes is not asked."""
    if old is None:
        return [Cause("kind", "Workloads are written by the scheduler: label the job with kueue.x-k8s.io/queue-name")]
    bound = [key for key in BINDING if (old["metadata"].get(key) or []) != (obj["metadata"].get(key) or [])]
    if bound:
        why = "binds it to what it stands for, until that has no pods: delete that, or set spec.active to false"
        return [Cause(f"metadata.{key}", why) for key in bound]
    before, after = old.get("spec") or {}, obj.get("spec") or {}
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    told = f"cannot be changed here, only {', '.join(MAY_CHANGE)}: change the object that it stands for"
    return [Cause(f"spec.{key}", told) for key in changed if key not in MAY_CHANGE]


def _groups(spec: Mapping[str, Any], may_borrow: bool) -> Iterator[Cause]:
    groups = spec.get("resourceGroups") or []
    for what, names in (
        ("resource", [name for group in groups for name in group["coveredResources"]]),
        ("flavor", [flavor["name"] for group in groups for flavor in group["flavors"]]),
    ):
        for name, times in Counter(names).items():
            if times > 1:
                yield Cause("spec.resourceGroups", f"{what} {name!r} stands in it {times} times: once is allowed")
    for g, group in enumerate(groups):
        for f, flavor in enumerate(group["flavors"]):
            yield from _flavor(f"spec.resourceGroups[{g}].flavors[{f}].resources", group, flavor, may_borrow)


def _flavor(field: str, group: Object, flavor: Object, may_borrow: bool) -> Iterator[Cause]:
    named = [entry["name"] for entry in flavor["resources"]]
    if named != group["coveredResources"]:
        wanted = ", ".join(group["coveredResources"])
        yield Cause(field, f"must be quotas of {wanted} in this order, as coveredResources says, and are {named}")
    for number, entry in enumerate(flavor["resources"]):
        for limit in ("borrowingLimit", "lendingLimit"):
            if entry.get(limit) is not None and not may_borrow:
                told = f"{entry[limit]!r} says nothing without a cohort: name one, or leave it out"
                yield Cause(f"{field}[{number}].{limit}", told)


def _selector(selector: Mapping[str, Any]) -> Iterator[Cause]:
    for number, line in enumerate(selector.get("matchExpressions") or []):
        takes_values = line["operator"] in ("In", "NotIn")
        if takes_values != bool(line.get("values")):
            told = f"{line['operator']} takes {'at least one value' if takes_values else 'no values'}"
            yield Cause(f"spec.namespaceSelector.matchExpressions[{number}].values", told)
