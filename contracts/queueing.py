"""How an object of any kind is put to the scheduler and how its answer reaches the pods; pure, it asks nobody.

Labels and annotations are Kueue's, so that manifests written for it queue here as they do there.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any, Literal

from contracts.commands.scheduling.v1 import FinishWorkload, PodSet, ReportWorkload, SubmitWorkload, Topology
from contracts.events.scheduling.v1 import Assignment
from contracts.kinds.quantity import amount

PREFIX = "kueue.x-k8s.io/"
QUEUE_NAME = f"{PREFIX}queue-name"
PRIORITY_CLASS = f"{PREFIX}priority-class"
MAX_EXECUTION = f"{PREFIX}max-exec-time-seconds"
REQUIRED = f"{PREFIX}podset-required-topology"
PREFERRED = f"{PREFIX}podset-preferred-topology"
UNCONSTRAINED = f"{PREFIX}podset-unconstrained-topology"
SLICE_LEVEL = f"{PREFIX}podset-slice-required-topology"
SLICE_SIZE = f"{PREFIX}podset-slice-size"
GATE = f"{PREFIX}topology"
POD_SET = f"{PREFIX}podset"
PRIORITY = "millstream.dev/priority"

Object = dict[str, Any]


def submit(
    obj: Object,
    pod_sets: Iterable[PodSet],
    *,
    suspended: bool = False,
    after: str | None = None,
    owners: list[dict[str, str]] | None = None,
) -> SubmitWorkload:
    """What `obj` asks for; `owners` are what it goes with, if it is no object that is served itself. Raises ValueError
    where a label or an annotation is no number that should be one."""
    meta = obj["metadata"]
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    limit = labels.get(MAX_EXECUTION)
    return SubmitWorkload(
        **_about(obj),
        api_version=obj.get("apiVersion") or "",
        queue=labels.get(QUEUE_NAME) or None,
        priority_class=labels.get(PRIORITY_CLASS) or None,
        priority=int(notes.get(PRIORITY) or 0),
        pod_sets=list(pod_sets),
        suspended=suspended,
        generation=meta.get("generation") or 0,
        labels=labels,
        annotations={key: value for key, value in notes.items() if key.startswith(PREFIX)},
        max_execution_s=int(limit) if limit else None,
        after=after,
        owners=owners,
    )


def report(
    obj: Object,
    admission: str,
    *,
    ready: bool,
    reclaimable: Mapping[str, int] | None = None,
    counts: Mapping[str, int] | None = None,
) -> ReportWorkload:
    over, wanted = dict(reclaimable or {}), dict(counts or {})
    return ReportWorkload(**_about(obj), admission=admission, ready=ready, reclaimable=over, counts=wanted)


def finish(obj: Object, reason: Literal["Succeeded", "Failed", "Deleted"], message: str = "") -> FinishWorkload:
    return FinishWorkload(**_about(obj), reason=reason, message=message[:1024])


def pod_set(name: str, count: int, template: Object, *, min_count: int | None = None) -> PodSet:
    """The pods that `count` of this pod template will be."""
    spec = template.get("spec") or {}
    return PodSet(
        name=name,
        count=count,
        min_count=min_count,
        requests=pod_requests(spec),
        node_selector=spec.get("nodeSelector") or {},
        tolerations=spec.get("tolerations") or [],
        topology=_topology((template.get("metadata") or {}).get("annotations") or {}),
    )


def pod_requests(spec: Object) -> dict[str, str]:
    """What one pod counts for: its containers (requests, else limits) or its greatest init container, and overhead."""
    total: dict[str, Decimal] = {}
    for container in spec.get("containers") or []:
        _add(total, _asks(container))
    before: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":  # a sidecar runs beside the others
            _add(total, _asks(container))
        else:
            before |= {name: max(value, before.get(name, value)) for name, value in _asks(container).items()}
    total |= {name: max(value, total.get(name, value)) for name, value in before.items()}
    _add(total, {name: amount(value) for name, value in (spec.get("overhead") or {}).items()})
    return {name: format(value.normalize(), "f") for name, value in sorted(total.items())}


def placed(template: Object, given: Assignment | None) -> Object:
    """The pod template with what was assigned: selectors and tolerations of its flavors, and its place.

    Pods that go to one domain are sent there by their selector; those of several wait behind a scheduling gate until
    each is told its own.
    """
    if given is None:
        return template
    out = deepcopy(template)
    spec = out.setdefault("spec", {})
    selector = {**given.node_selector, **(domain_selector(given, 0) if len(given.topology) == 1 else {})}
    if selector:
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **selector}
    missing = [one for one in given.tolerations if one not in (spec.get("tolerations") or [])]
    if missing:
        spec["tolerations"] = [*(spec.get("tolerations") or []), *missing]
    if len(given.topology) > 1:
        spec["schedulingGates"] = [*(spec.get("schedulingGates") or []), {"name": GATE}]
        labels = out.setdefault("metadata", {}).get("labels") or {}
        out["metadata"]["labels"] = {**labels, POD_SET: given.name}
    return out


def domain_selector(given: Assignment, rank: int) -> dict[str, str]:
    """The node labels of the domain to which the pod of this rank (from 0) belongs."""
    for domain in given.topology:
        if rank < domain.count:
            return dict(zip(given.topology_levels, domain.values, strict=False))
        rank -= domain.count
    return {}


def _about(obj: Object) -> dict[str, Any]:
    return {**{key: obj["metadata"][key] for key in ("namespace", "name", "uid")}, "kind": obj["kind"]}


def _topology(notes: Mapping[str, str]) -> Topology | None:
    size = notes.get(SLICE_SIZE)
    slices = {"slice_level": notes.get(SLICE_LEVEL), "slice_size": int(size) if size else None}
    for key, mode in ((REQUIRED, "required"), (PREFERRED, "preferred")):
        if level := notes.get(key):
            return Topology(mode=mode, level=level, **slices)  # type: ignore[arg-type]
    if notes.get(UNCONSTRAINED) == "true" or slices["slice_level"]:
        return Topology(mode="unconstrained", **slices)  # type: ignore[arg-type]
    return None


def _asks(container: Object) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: amount(value) for name, value in asked.items()}


def _add(total: dict[str, Decimal], more: Mapping[str, Decimal]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, Decimal(0)) + value
