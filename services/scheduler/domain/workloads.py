"""What the scheduler knows of a workload, and how facts change it; facts may come twice, late and in any order.

Two rules make the order not matter: the end is final, and of two wishes the one of the higher generation holds.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Phase(StrEnum):
    """`UNKNOWN` heard only of its suspension or resumption so far; `OVER` is kept as a tombstone."""

    UNKNOWN = "Unknown"
    WAITING = "Waiting"
    ADMITTED = "Admitted"
    PARKED = "Parked"
    OVER = "Over"


@dataclass(frozen=True)
class Demand:
    """In whole: millicores and bytes of all nodes together. Other resources are their nodes' business for now."""

    cpu_milli: int = 0
    memory_bytes: int = 0

    def __add__(self, other: "Demand") -> "Demand":
        return Demand(self.cpu_milli + other.cpu_milli, self.memory_bytes + other.memory_bytes)

    def fits(self, room: "Demand") -> bool:
        return self.cpu_milli <= room.cpu_milli and self.memory_bytes <= room.memory_bytes


@dataclass(frozen=True)
class Workload:
    """`arrival` orders the queue (first come, first served); `demand` is None until it is known; `told` is
    what its owner was last told about its place in the queue."""

    uid: str
    namespace: str = ""
    name: str = ""
    kind: str = "TrainJob"
    demand: Demand | None = None
    phase: Phase = Phase.UNKNOWN
    generation: int = -1
    arrival: int = 0
    told: str = ""

    @property
    def is_over(self) -> bool:
        return self.phase is Phase.OVER

    def ask(self, demand: Demand | None, *, suspended: bool, generation: int, arrival: int) -> "Workload":
        """It was created, or asks again. An admitted one keeps its share even if its demand is told anew."""
        known = replace(self, demand=self.demand or demand, arrival=self.arrival or arrival)
        if self.phase is Phase.UNKNOWN and self.generation < 0:
            return replace(known, phase=Phase.PARKED if suspended else Phase.WAITING, generation=generation)
        if self.phase is Phase.WAITING and demand is not None:
            known = replace(known, demand=demand)
        return known.wish(suspended=suspended, generation=generation)

    def wish(self, *, suspended: bool, generation: int) -> "Workload":
        """It was suspended or resumed, as of `generation`; older wishes change nothing."""
        if self.is_over or generation < self.generation:
            return self
        newer = replace(self, generation=generation)
        if suspended:
            return replace(newer, phase=Phase.PARKED, told="")
        return replace(newer, phase=Phase.WAITING, told="") if self.phase in _STOPPED else newer

    def end(self) -> "Workload":
        """It succeeded, failed or was deleted: its share is free, for good."""
        return replace(self, phase=Phase.OVER)

    def admit(self) -> "Workload":
        return replace(self, phase=Phase.ADMITTED, told="")

    def queued(self, told: str) -> "Workload":
        return replace(self, told=told)


_STOPPED = (Phase.PARKED, Phase.UNKNOWN)
