"""First come, first served, all or nothing: who of the waiting may start within a capacity.

A workload that asks for more than there is in all waits for ever and lets the others pass; anyone else who does not fit
holds the queue, so that big workloads are not starved by small ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.scheduler.domain.workloads import Demand, Phase, Workload

GIB = 2**30


@dataclass(frozen=True)
class Admit:
    uid: str


@dataclass(frozen=True)
class Queue:
    """`position` counts from 1; `reason` is a sentence for the workload's owner."""

    uid: str
    position: int
    reason: str


Decision = Admit | Queue


def decide(capacity: Demand, workloads: Iterable[Workload]) -> Sequence[Decision]:
    """One decision for every waiting workload whose demand is known, in the order of the queue."""
    known = list(workloads)
    free = room(capacity, known)
    out: list[Decision] = []
    ahead = 0
    for workload in queue(known):
        demand = workload.demand or Demand()
        if not ahead and demand.fits(free):
            free = Demand(free.cpu_milli - demand.cpu_milli, free.memory_bytes - demand.memory_bytes)
            out.append(Admit(workload.uid))
        elif not demand.fits(capacity):
            out.append(Queue(workload.uid, ahead + 1, f"asks for {say(demand)}; all there is are {say(capacity)}"))
        else:
            ahead += 1
            why = f"asks for {say(demand)}; {say(free)} are free"
            out.append(Queue(workload.uid, ahead, why if ahead == 1 else f"{ahead - 1} in front of it in the queue"))
    return out


def room(capacity: Demand, workloads: Iterable[Workload]) -> Demand:
    """What the admitted leave free; never negative, since a capacity may have shrunk under them."""
    used = sum((w.demand or Demand() for w in workloads if w.phase is Phase.ADMITTED), Demand())
    cpu, memory = capacity.cpu_milli - used.cpu_milli, capacity.memory_bytes - used.memory_bytes
    return Demand(max(0, cpu), max(0, memory))


def queue(workloads: Iterable[Workload]) -> list[Workload]:
    waiting = (w for w in workloads if w.phase is Phase.WAITING and w.demand is not None)
    return sorted(waiting, key=lambda w: (w.arrival, w.uid))


def say(demand: Demand) -> str:
    return f"{demand.cpu_milli / 1000:g} cpu and {demand.memory_bytes / GIB:.3g} GiB of memory"
