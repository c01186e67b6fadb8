"""What the scheduler does about each fact: remember it, then let the queue move; safe to hear twice and late."""

from collections.abc import Sequence
from dataclasses import replace
from string import digits as DIGITS

from contracts.commands.scheduling.v1 import FinishWorkload, ReportWorkload, SubmitWorkload
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from contracts.kinds.quantity import amount
from contracts.messages import Event, ObjectCommand
from services.scheduler.domain.decide import Admit, Decision, decide
from services.scheduler.domain.workloads import Demand, Phase, Workload
from services.scheduler.ports import Needs


async def when_submitted(event: SubmitWorkload, needs: Needs) -> Sequence[Event]:
    """The first word of a workload gives it its place in the queue. One that waits for long asks again; one that is
    admitted already is told so once more, unless its pods of then are gone."""
    before = await _known(event, needs)
    arrival = before.arrival or await needs.workloads.next_arrival()
    wish = {"suspended": event.suspended, "generation": event.generation}
    asks = before.ask(_demand(event), **wish, arrival=arrival)
    if asks.phase is Phase.ADMITTED:
        await needs.workloads.put(asks)
        return [_admitted(asks)]
    return await _moved(_forgetting(asks), needs)


async def when_reported(event: ReportWorkload, needs: Needs) -> Sequence[Event]:
    """Of an admission that nobody here knows of, as after a restore from an older backup: it has to be asked anew."""
    if (await needs.workloads.get(event.uid)).phase is Phase.ADMITTED:
        return []
    about = {"namespace": event.namespace, "name": event.name, "uid": event.uid, "kind": event.kind}
    told = "the scheduler knows of no such admission"
    return [WorkloadEvicted(**about, admission=event.admission, reason="Unknown", message=told)]


async def when_finished(event: FinishWorkload, needs: Needs) -> Sequence[Event]:
    known = await _known(event, needs)
    return await _moved(known.end(), needs)


async def _known(event: ObjectCommand, needs: Needs) -> Workload:
    found = await needs.workloads.get(event.uid)
    return replace(found, namespace=event.namespace, name=event.name, kind=event.kind)


async def _moved(changed: Workload, needs: Needs) -> Sequence[Event]:
    """Stores what changed and carries out what the whole queue's new state allows."""
    await needs.workloads.put(changed)
    return await when_capacity_changed(needs)


async def when_capacity_changed(needs: Needs) -> Sequence[Event]:
    """Lets the queue move as far as the capacity allows now."""
    active = {workload.uid: workload for workload in await needs.workloads.active()}
    facts: list[Event] = []
    for decision in decide(needs.capacity, active.values()):
        facts += await _carry_out(decision, active[decision.uid], needs)
    return facts


async def _carry_out(decision: Decision, workload: Workload, needs: Needs) -> Sequence[Event]:
    """A place in the queue is told where it changed much: a queue of n would else tell n at every move of one."""
    if isinstance(decision, Admit):
        await needs.workloads.put(workload.admit())
        return [_admitted(workload)]
    told = f"{decision.position}: {decision.reason}"
    if not is_news(told, workload.told):
        return []
    await needs.workloads.put(workload.queued(told))
    about = {"namespace": workload.namespace, "name": workload.name, "uid": workload.uid, "kind": workload.kind}
    return [WorkloadQueued(**about, position=decision.position, reason=decision.reason)]


def is_news(place: str, told: str) -> bool:
    """Whether a place (`<position>: <reason>`) differs enough from the one told last. The first in the queue hears all;
    another only when its place is half of what it was told, or twice: O(log n) letters on its way through a queue of n.
    """
    (now, _, why), (before, _, why_before) = place.partition(": "), told.partition(": ")
    if "1" in (now, before) or why.lstrip(DIGITS) != why_before.lstrip(DIGITS):
        return place != told
    return not 2 * int(now) > int(before) > int(now) / 2


def _admitted(workload: Workload) -> WorkloadAdmitted:
    return WorkloadAdmitted(
        namespace=workload.namespace,
        name=workload.name,
        uid=workload.uid,
        kind=workload.kind,
        generation=max(0, workload.generation),
    )


def _forgetting(workload: Workload) -> Workload:
    """Who asks again is answered again, even if its place is what it was: the first answer may be lost."""
    return workload.queued("") if workload.phase is Phase.WAITING else workload


def _demand(event: SubmitWorkload) -> Demand | None:
    """None while its owner does not say yet what it needs."""
    if not event.pod_sets:
        return None
    sets = [(one.requests, one.count) for one in event.pod_sets]
    cpu, memory = (sum(amount(asks.get(name, "0")) * n for asks, n in sets) for name in ("cpu", "memory"))
    return Demand(int(cpu * 1000), int(memory))
