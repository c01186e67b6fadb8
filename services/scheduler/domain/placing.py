"""From flavors to places: the pods of every pod set whose flavor has a topology get their domains."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from services.scheduler.domain.holding import Place
from services.scheduler.domain.model import Assignment, Domain, PodSet, TopologyRequest
from services.scheduler.domain.topology.fleet import Fleet
from services.scheduler.domain.topology.place import NoPlace, candidates, level_of, place
from services.scheduler.domain.topology.wiring import Shape, Spot, Tally, Wiring

ANYWHERE = TopologyRequest(mode="unconstrained")


def seat(fleet: Fleet, pod_sets: Sequence[PodSet], assignments: Sequence[Assignment]) -> tuple[Assignment, ...]:
    """The same assignments with domains where flavors have a topology. Raises NoPlace."""
    wired = [a for a in assignments if flavor_of(fleet, a)]
    if not wired:
        return tuple(assignments)
    known = {pod_set.name: pod_set for pod_set in pod_sets}
    done: dict[str, Assignment] = {}
    taken: list[Place] = []
    try:
        for together in _groups(known, wired):
            for assignment, domains in _seat_together(fleet, known, together):
                levels = _wiring(fleet, assignment).levels
                done[assignment.name] = replace(assignment, topology=domains, topology_levels=levels)
                taken += _take(fleet, assignment, domains)
    finally:
        for one in taken:
            fleet.take(one, -1)
    return tuple(done.get(a.name, a) for a in assignments)


def flavor_of(fleet: Fleet, assignment: Assignment) -> str | None:
    """The flavor through which it is placed."""
    return next((f for f in sorted(set(assignment.flavors.values())) if fleet.is_wired(f)), None)


def shape_of(wiring: Wiring, pod_set: PodSet, assignment: Assignment) -> Shape:
    request = pod_set.topology or ANYWHERE
    sliced = request.slice_size is not None
    return Shape(
        requests=tuple(sorted(pod_set.requests.items())),
        node_selector=tuple(sorted(pod_set.node_selector.items())),
        tolerations=(*pod_set.tolerations, *assignment.tolerations),
        slice_size=request.slice_size or 1,
        slice_level=level_of(wiring, request.slice_level or request.level) if sliced else -1,
    )


def _groups(known: dict[str, PodSet], assignments: Iterable[Assignment]) -> list[list[Assignment]]:
    """Pod sets that ask for one another's company; the largest of a group first."""
    groups: dict[str, list[Assignment]] = {}
    for assignment in assignments:
        topology = known[assignment.name].topology
        name = topology.group if topology and topology.group else f" {assignment.name}"
        groups.setdefault(name, []).append(assignment)
    return [sorted(group, key=lambda a: (-a.count, a.name)) for group in groups.values()]


def _seat_together(
    fleet: Fleet, known: dict[str, PodSet], group: list[Assignment]
) -> list[tuple[Assignment, tuple[Domain, ...]]]:
    first = group[0]
    if len(group) == 1:
        return [(first, _seat_one(fleet, known[first.name], first, None))]
    wiring, pod_set = _wiring(fleet, first), known[first.name]
    request = pod_set.topology or ANYWHERE
    tally, slices = _tally(wiring, pod_set, first)
    level = level_of(wiring, request.level) if request.level else 0
    widest = level if request.mode == "required" else 0
    for wider in range(level, widest - 1, -1):
        for spot in candidates(wiring, tally, wider, slices):
            if found := _all_in(fleet, known, group, spot):
                return found
    raise NoPlace(f"no {request.level or 'domain'} has room for {' and '.join(a.name for a in group)} together")


def _all_in(
    fleet: Fleet, known: dict[str, PodSet], group: list[Assignment], spot: Spot
) -> list[tuple[Assignment, tuple[Domain, ...]]] | None:
    found: list[tuple[Assignment, tuple[Domain, ...]]] = []
    taken: list[Place] = []
    try:
        for assignment in group:
            domains = _seat_one(fleet, known[assignment.name], assignment, spot)
            found.append((assignment, domains))
            taken += _take(fleet, assignment, domains)
    except NoPlace:
        return None
    finally:
        for one in taken:
            fleet.take(one, -1)
    return found


def _seat_one(fleet: Fleet, pod_set: PodSet, assignment: Assignment, within: Spot | None) -> tuple[Domain, ...]:
    wiring = _wiring(fleet, assignment)
    request = pod_set.topology or ANYWHERE
    if assignment.count == 0:
        return ()
    tally, slices = _tally(wiring, pod_set, assignment)
    size = tally.shape.slice_size
    if slices * size != assignment.count:
        raise NoPlace(f"{assignment.count} pods of {pod_set.name} are not whole slices of {size}")
    domains = place(wiring, tally, request, assignment.count, within)
    if domains is None:
        raise NoPlace(_why(wiring, tally, pod_set, assignment.count))
    return domains


def _why(wiring: Wiring, tally: Tally, pod_set: PodSet, count: int) -> str:
    request = pod_set.topology or ANYWHERE
    level = level_of(wiring, request.level) if request.level else 0
    most = max((tally.slices[s.index] * tally.shape.slice_size for s in wiring.at_level[level]), default=0)
    if request.mode == "required":
        return f"needs {count} pods of {pod_set.name} in one {request.level}; the roomiest has room for {most}"
    total = sum(tally.slices[s.index] * tally.shape.slice_size for s in wiring.at_level[0])
    return f"needs {count} pods of {pod_set.name}; the nodes have room for {total}"


def _tally(wiring: Wiring, pod_set: PodSet, assignment: Assignment) -> tuple[Tally, int]:
    tally = wiring.tally(shape_of(wiring, pod_set, assignment))
    return tally, assignment.count // tally.shape.slice_size


def _wiring(fleet: Fleet, assignment: Assignment) -> Wiring:
    flavor = flavor_of(fleet, assignment) or ""
    wiring = fleet.wiring(flavor)
    if wiring is None:
        raise NoPlace(f"the topology of flavor {flavor} does not exist")
    return wiring


def _take(fleet: Fleet, assignment: Assignment, domains: Iterable[Domain]) -> list[Place]:
    flavor = flavor_of(fleet, assignment) or ""
    places = [Place(flavor, domain.values, assignment.requests, domain.count) for domain in domains]
    for one in places:
        fleet.take(one, +1)
    return places
