"""What the scheduler does about each wish: it notes it in the Workload, and says again what it said before; who may
start is decided by the loop, which sees the change. Safe to hear twice and late."""

from collections.abc import Sequence

from contracts.commands.scheduling.v1 import FinishWorkload, ReportWorkload, SubmitWorkload
from contracts.events.scheduling.v1 import WorkloadEvicted
from contracts.messages import Event
from services.scheduler.domain.objects import asking, deciding
from services.scheduler.domain.objects.workloads import is_over, made, memory, name_of
from services.scheduler.ports import Needs, Object


async def when_submitted(event: SubmitWorkload, needs: Needs) -> Sequence[Event]:
    if await needs.workloads.is_over(event.uid):
        return []
    found = await needs.workloads.find(event.namespace, name_of(event))
    if found is not None and is_over(found):
        return []
    priority = await needs.workloads.priority(event.priority_class) if event.priority_class else event.priority
    before = found or _fresh(event, needs)
    after = asking.asked(before, event, priority, needs.now)
    if after["metadata"].get("deletionTimestamp") and not memory(after).get("admission"):
        await needs.workloads.remove(after)  # by hand; its owner wants to run all the same
        after = asking.asked(_fresh(event, needs, memory(after)), event, priority, needs.now)
        found = None
    if found is None or after != found:
        await needs.workloads.put(after)
    told = deciding.answer(after)
    return [told] if told else []


async def when_reported(event: ReportWorkload, needs: Needs) -> Sequence[Event]:
    """Of an admission that nobody here knows of, as after a restore from an older backup, it has to be asked anew."""
    found = await needs.workloads.find(event.namespace, name_of(event))
    if found is None or int(event.admission) > (memory(found).get("last") or 0):
        if (found is not None and is_over(found)) or await needs.workloads.is_over(event.uid):
            return []
        about = {"namespace": event.namespace, "name": event.name, "uid": event.uid, "kind": event.kind}
        told = "the scheduler knows of no such admission"
        return [WorkloadEvicted(**about, admission=event.admission, reason="Unknown", message=told)]
    after = asking.reported(found, event, needs.now)
    if after != found:
        await needs.workloads.put(after)
    return []


async def when_finished(event: FinishWorkload, needs: Needs) -> Sequence[Event]:
    found = await needs.workloads.find(event.namespace, name_of(event))
    if found is None:
        await needs.workloads.end(event.uid)
    elif event.reason == "Deleted" or found["metadata"].get("deletionTimestamp"):
        await needs.workloads.remove(found)
        await needs.workloads.end(event.uid)
    elif not is_over(found):
        await needs.workloads.put(asking.finished(found, event, needs.now))
    return []


def _fresh(event: SubmitWorkload, needs: Needs, past: Object | None = None) -> Object:
    """A new Workload; one that follows another of the same owner keeps its place in the queue."""
    arrival = int((past or {}).get("arrival") or needs.now.timestamp() * 1_000_000)
    obj = made(event, uid=needs.new_uid(), now=needs.now, arrival=arrival)
    last = (past or {}).get("last")
    return obj if last is None else {**obj, "status": {"scheduling": {**memory(obj), "last": last}}}
