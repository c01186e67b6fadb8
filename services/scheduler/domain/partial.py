"""Partial admission: the most pods with which a workload starts, found by halving; all pod sets shrink together."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from services.scheduler.domain.model import PodSet

T = TypeVar("T")


def largest(
    pod_sets: tuple[PodSet, ...], counts: Mapping[str, int], attempt: Callable[[Mapping[str, int]], T | None]
) -> T | None:
    """The result of the attempt with the most pods below `counts` and not below any `min_count`; None if even the
    fewest fail. Fewer pods are taken to succeed wherever more do."""
    spare = {p.name: max(0, counts[p.name] - max(0, p.min_count)) for p in pod_sets if p.min_count is not None}
    total = sum(spare.values())
    if total <= 0:
        return None
    low, high, best = 1, total, None
    while low <= high:
        fewer = (low + high) // 2
        found = attempt(_reduced(counts, spare, fewer, total))
        if found is not None:
            best, high = found, fewer - 1
        else:
            low = fewer + 1
    return best


def _reduced(counts: Mapping[str, int], spare: Mapping[str, int], fewer: int, total: int) -> dict[str, int]:
    """`fewer` pods less, shared out in proportion to what each pod set can spare."""
    return {name: count - spare.get(name, 0) * fewer // total for name, count in counts.items()}
