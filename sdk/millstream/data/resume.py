"""Where in an epoch a rank is, and how positions of some readers become a start for others; pure.

`Peers` answers where all readers of all ranks are, from where one rank is. There is one where ranks keep step, having
equal numbers of rows; else the states of all ranks are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from millstream.data.errors import DataError
from millstream.data.order import Position


@dataclass(frozen=True)
class Place:
    """`positions` are those of this rank's workers, `turn` whose batch is next; `history` what other numbers of readers
    did before."""

    epoch: int = 0
    workers: int = 1
    positions: list[Position] = field(default_factory=list)
    turn: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    everybody: list[Position] | None = None
    """Positions of all readers of all ranks, where a merged state brought them."""

    def at(self, worker: int, position: Position) -> Place:
        positions = [*self.positions]
        positions[worker] = position
        return replace(self, positions=positions, turn=(worker + 1) % self.workers, everybody=None)

    @property
    def is_fresh(self) -> bool:
        return all(tuple(position) == (0, 0) for position in self.positions)

    def to_dict(self) -> dict[str, Any]:
        plain = {"epoch": self.epoch, "workers": self.workers, "turn": self.turn, "history": self.history}
        return {**plain, "positions": [list(position) for position in self.positions]}


Peers = Callable[[Place, int, int], list[Position]]


def adapted(place: Place, rank: int, world: int, workers: int, peers: Peers | None) -> Place:
    """The place for another number of workers of each rank. A fresh one needs no note of the change."""
    if place.workers == workers:
        return place
    if place.is_fresh and place.everybody is None:
        return replace(place, workers=workers, positions=[(0, 0)] * workers, turn=0)
    if place.everybody is None and peers is None:
        raise DataError(f"the number of workers is another one than before; {_MERGE}")
    everybody = place.everybody or (peers(place, rank, world) if peers else [])
    return _noted(place, world, everybody, workers)


def loaded(state: Mapping[str, Any], rank: int, world: int, peers: Peers | None) -> Place:
    """The place that a state tells of, for a rank of `world`."""
    workers, before, of = int(state["workers"]), int(state["world"]), state["rank"]
    positions = [(int(window), int(given)) for window, given in state["positions"]]
    place = Place(int(state["epoch"]), workers, positions, int(state["turn"]), list(state["history"]))
    if (before, of) == (world, rank):
        return place
    if of is None or before == 1:
        everybody = positions
    elif peers is None:
        raise DataError(f"this state is of rank {of} of {before}, and this is rank {rank} of {world}; {_MERGE}")
    else:
        everybody = peers(place, of, before)
    if before != world:
        return _noted(place, before, everybody, workers)
    own = everybody[rank * workers : (rank + 1) * workers]
    return replace(place, positions=own, everybody=everybody)


def merged(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The states of all ranks as one. Raises DataError unless they are of one moment of one run."""
    by_rank = sorted(states, key=lambda state: state["rank"])
    first = by_rank[0]
    if [state["rank"] for state in by_rank] != list(range(first["world"])):
        raise DataError(f"these are not the states of all {first['world']} ranks, once each")
    for state in by_rank:
        if any(state[name] != first[name] for name in ("fingerprint", "order", "epoch", "workers", "history", "world")):
            raise DataError("these states are not of one run: save them on all ranks after the same step")
    positions = [position for state in by_rank for position in state["positions"]]
    return {**first, "rank": None, "positions": positions}


def _noted(place: Place, world: int, everybody: Sequence[Position], workers: int) -> Place:
    """Begins anew with what all readers left over."""
    step = {"world": world, "workers": place.workers, "positions": [list(position) for position in everybody]}
    return Place(place.epoch, workers, [(0, 0)] * workers, 0, [*place.history, step])


_MERGE = "merge the states of all ranks (Stream.merged) and load that"
