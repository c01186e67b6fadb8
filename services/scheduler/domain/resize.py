"""Changes of a running workload that keep it running: fewer pods, more pods, pods of a lost node elsewhere."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.scheduler.domain.holding import Holding, Place, usage_of, wanted
from services.scheduler.domain.model import Admission, Assignment, Domain, PodSet, TopologyRequest, Workload
from services.scheduler.domain.placing import ANYWHERE, flavor_of, seat, shape_of
from services.scheduler.domain.quota import FlavorResource
from services.scheduler.domain.topology.fleet import Fleet
from services.scheduler.domain.topology.place import NoPlace, level_of, place
from services.scheduler.domain.topology.wiring import Wiring


def shrunk(workload: Workload, admission: Admission) -> Admission:
    """With no more pods than wanted; the last domains are left first."""
    smaller = tuple(_fewer(a, min(a.count, _bounded(workload, a))) for a in admission.assignments)
    return replace(admission, assignments=smaller)


def growth(workload: Workload, admission: Admission) -> Mapping[str, int]:
    """Pods wanted beyond those it has, per pod set."""
    more = {a.name: _bounded(workload, a) - a.count for a in admission.assignments}
    return {name: extra for name, extra in more.items() if extra > 0}


def growth_usage(admission: Admission, more: Mapping[str, int]) -> dict[FlavorResource, int]:
    usage: dict[FlavorResource, int] = {}
    for assignment in admission.assignments:
        for fr, amount in usage_of(assignment, more.get(assignment.name, 0)).items():
            usage[fr] = usage.get(fr, 0) + amount
    return usage


def grown(fleet: Fleet, workload: Workload, admission: Admission, more: Mapping[str, int]) -> Admission:
    """With `more` pods on the same flavors. Raises NoPlace."""
    extra = [replace(a, count=more.get(a.name, 0), topology=()) for a in admission.assignments]
    seated = seat(fleet, workload.pod_sets, extra)
    return replace(
        admission,
        assignments=tuple(
            replace(a, count=a.count + more.get(a.name, 0), topology=_merged(a.topology, e.topology))
            for a, e in zip(admission.assignments, seated, strict=True)
        ),
    )


def newly_held(admission: Admission, before: Admission, more: Mapping[str, int]) -> Holding:
    """What growing adds to what is held."""
    return replace(moved(before, admission), usage=growth_usage(before, more))


def moved(before: Admission, admission: Admission) -> Holding:
    """The places that are taken anew: nobody else may get them in the same cycle."""
    places = []
    for now, then in zip(admission.assignments, before.assignments, strict=True):
        old = Counter({d.values: d.count for d in then.topology})
        for domain in now.topology:
            if (extra := domain.count - old[domain.values]) > 0:
                places += [Place(f, domain.values, now.requests, extra) for f in sorted(set(now.flavors.values()))]
    return Holding(admission.cluster_queue, {}, tuple(places))


def mended(fleet: Fleet, workload: Workload, admission: Admission, lost: Sequence[Place]) -> Admission | None:
    """The pods of lost domains placed anew, where their pod set's request allows; None if that cannot be."""
    gone = {one.values for one in lost}
    known = {pod_set.name: pod_set for pod_set in workload.pod_sets}
    assignments = []
    for assignment in admission.assignments:
        try:
            assignments.append(_mend(fleet, known[assignment.name], assignment, gone))
        except NoPlace:
            return None
    return replace(admission, assignments=tuple(assignments))


def _mend(fleet: Fleet, pod_set: PodSet, assignment: Assignment, gone: set[tuple[str, ...]]) -> Assignment:
    wiring = fleet.wiring(flavor_of(fleet, assignment) or "")
    topology = tuple(domain for domain in assignment.topology if domain.values not in gone)
    for domain in assignment.topology:
        if domain.values in gone:
            found = _elsewhere(wiring, pod_set, assignment, domain) if wiring else None
            if found is None:
                raise NoPlace(f"no place for the {domain.count} pods of {'/'.join(domain.values)}")
            topology = _merged(topology, found)
    return replace(assignment, topology=topology)


def _elsewhere(wiring: Wiring, pod_set: PodSet, assignment: Assignment, lost: Domain) -> tuple[Domain, ...] | None:
    """In the same domain of the level that binds them; beyond it only if that was a preference."""
    request = pod_set.topology or ANYWHERE
    tally = wiring.tally(replace(shape_of(wiring, pod_set, assignment), slice_size=1, slice_level=-1))
    binding = request.slice_level or request.level
    if binding:
        spot = wiring.by_values.get(lost.values[: level_of(wiring, binding) + 1])
        found = place(wiring, tally, request, lost.count, spot) if spot else None
        if found is not None or request.mode == "required" or request.slice_size:
            return found
    return place(wiring, tally, TopologyRequest(mode="unconstrained"), lost.count)


def _bounded(workload: Workload, assignment: Assignment) -> int:
    least = next((p.min_count for p in workload.pod_sets if p.name == assignment.name and p.min_count), 1)
    return max(least, wanted(workload, assignment))


def _fewer(assignment: Assignment, count: int) -> Assignment:
    surplus, topology = assignment.count - count, []
    for domain in reversed(assignment.topology):
        left = max(0, domain.count - surplus)
        surplus -= domain.count - left
        if left:
            topology.append(replace(domain, count=left))
    return replace(assignment, count=count, topology=tuple(reversed(topology)))


def _merged(first: tuple[Domain, ...], second: tuple[Domain, ...]) -> tuple[Domain, ...]:
    counts: Counter[tuple[str, ...]] = Counter()
    for domain in (*first, *second):
        counts[domain.values] += domain.count
    return tuple(Domain(values, counts[values]) for values in sorted(counts))
