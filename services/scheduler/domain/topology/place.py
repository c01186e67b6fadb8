"""Where the pods of one pod set go, in few and well-filled domains (Kueue's best-fit placement); pure.

required: all in one domain of the level. preferred: in one if possible, else in one of the next wider level, else
spread over as few as will do. balanced: evenly over as few domains of the level as will do. unconstrained: into the
fullest domains first, so that whole ones stay free for those that need them.
"""

from collections.abc import Sequence

from services.scheduler.domain.model import Domain, TopologyRequest
from services.scheduler.domain.topology.wiring import Spot, Tally, Wiring

Share = tuple[Spot, int]
"""A domain and how many (slices or pods) it gets."""


class NoPlace(Exception):
    """Says why, for the workload's owner."""


def level_of(wiring: Wiring, label: str) -> int:
    """Raises NoPlace with the remedy if the topology has no such level."""
    if label not in wiring.levels:
        raise NoPlace(f"topology level {label!r} does not exist; the levels are {', '.join(wiring.levels)}")
    return wiring.levels.index(label)


def place(
    wiring: Wiring, tally: Tally, request: TopologyRequest, count: int, within: Spot | None = None
) -> tuple[Domain, ...] | None:
    """`count` must be whole slices. `within`: only there. None if they do not fit as asked."""
    slices = count // tally.shape.slice_size
    shares = _start(wiring, tally, request, slices, within)
    if shares is None:
        return None
    pods: list[Share] = []
    for spot, share in shares:
        pods += _descend(tally, spot, share)
    pods.sort(key=lambda found: found[0].values)
    return tuple(Domain(spot.values, share) for spot, share in pods)


def candidates(wiring: Wiring, tally: Tally, level: int, slices: int) -> list[Spot]:
    """Domains of a level that hold it all, the tightest first."""
    found = [spot for spot in wiring.at_level[level] if tally.slices[spot.index] >= slices]
    return sorted(found, key=lambda spot: (tally.slices[spot.index], spot.values))


def _start(
    wiring: Wiring, tally: Tally, request: TopologyRequest, slices: int, within: Spot | None
) -> list[Share] | None:
    if within is not None:
        return [(within, slices)] if tally.slices[within.index] >= slices else None
    if request.mode == "unconstrained":
        spots = wiring.at_level[tally.slice_level]
        ordered = sorted(spots, key=lambda spot: (tally.slices[spot.index], spot.values))
        return _fill(tally, ordered, slices)
    level = min(level_of(wiring, request.level), tally.slice_level)
    if request.mode == "balanced":
        return _balance(tally, wiring.at_level[level], slices)
    widest = 0 if request.mode == "preferred" else level
    for wider in range(level, widest - 1, -1):
        if found := candidates(wiring, tally, wider, slices):
            return [(found[0], slices)]
    return _spread(tally, wiring.at_level[0], slices) if request.mode == "preferred" else None


def _fill(tally: Tally, spots: Sequence[Spot], slices: int) -> list[Share] | None:
    shares = []
    for spot in spots:
        share = min(slices, tally.slices[spot.index])
        if share:
            shares.append((spot, share))
            slices -= share
        if not slices:
            return shares
    return None


def _spread(tally: Tally, spots: Sequence[Spot], units: int, pods: bool = False) -> list[Share] | None:
    """The roomiest first, so that few are needed; the rest into the tightest that holds it."""
    room = tally.pods if pods else tally.slices
    ordered = sorted((s for s in spots if room[s.index]), key=lambda s: (-room[s.index], s.values))
    shares: list[Share] = []
    for at, spot in enumerate(ordered):
        if room[spot.index] >= units:
            tightest = min(ordered[at:], key=lambda s: (room[s.index] < units, room[s.index], s.values))
            return [*shares, (tightest, units)]
        shares.append((spot, room[spot.index]))
        units -= room[spot.index]
    return shares if not units else None


def _balance(tally: Tally, spots: Sequence[Spot], slices: int) -> list[Share] | None:
    """The smallest number of domains that will do, each as equally loaded as its room allows."""
    ordered = sorted(spots, key=lambda spot: (-tally.slices[spot.index], spot.values))
    chosen, room = [], 0
    for spot in ordered:
        if room >= slices:
            break
        chosen.append(spot)
        room += tally.slices[spot.index]
    if room < slices:
        return None
    shares = []
    for left, spot in zip(range(len(chosen), 0, -1), reversed(chosen), strict=True):
        share = min(tally.slices[spot.index], slices // left)
        slices -= share
        shares.append((spot, share))
    return [(spot, share) for spot, share in shares if share]


def _descend(tally: Tally, spot: Spot, share: int) -> list[Share]:
    """Down to the lowest domains: whole slices to the slice level, pods below it."""
    if spot.level == tally.slice_level:
        return _descend_pods(tally, spot, share * tally.shape.slice_size)
    parts = _spread(tally, spot.children, share) or []
    return [found for child, part in parts for found in _descend(tally, child, part)]


def _descend_pods(tally: Tally, spot: Spot, pods: int) -> list[Share]:
    if not spot.children:
        return [(spot, pods)]
    parts = _spread(tally, spot.children, pods, pods=True) or []
    return [found for child, part in parts for found in _descend_pods(tally, child, part)]
