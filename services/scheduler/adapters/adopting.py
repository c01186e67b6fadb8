"""Takes over what an installation from before the queues let run: its rows become Workloads that hold their quota.

Who only waited then asks again by itself, and is not looked for here.
"""

from typing import Any

from contracts.commands.scheduling.v1 import PodSet, SubmitWorkload
from libs.base import milliseconds
from libs.base.clock import Clock
from libs.base.ids import Ids
from libs.store import Store, UnitOfWork
from services.scheduler.adapters.kinds import WORKLOAD
from services.scheduler.adapters.shipped import FLAVOR_NAME, QUEUE_NAME
from services.scheduler.domain.model import Admission, Admit, Assignment
from services.scheduler.domain.objects import asking, deciding
from services.scheduler.domain.objects.workloads import made, name_of

OLD = "uid, namespace, name, kind, cpu_milli, memory_bytes, generation, arrival"
RUNNING = f"SELECT {OLD} FROM scheduler_workloads WHERE phase = 'Admitted'"
DONE = "DELETE FROM scheduler_workloads WHERE phase = 'Admitted'"


async def adopt(store: Store, clock: Clock, ids: Ids) -> int:
    """How many were taken over; all in one transaction, so that another replica, or the next start, finds none.

    It is asked from time to time, and after the first time there are none: then nobody has to wait for it to write.
    """
    async with store.read() as reader:
        if not await reader.rows(RUNNING):
            return 0
    async with store.write() as uow:
        rows = await uow.rows(RUNNING)
        for row in rows:
            await _take(uow, row, clock, ids)
        if rows:
            await uow.later(DONE)
    return len(rows)


async def _take(uow: UnitOfWork, row: Any, clock: Clock, ids: Ids) -> None:
    uid, namespace, name, kind, cpu, memory, generation, arrival = row
    amounts = {"cpu": int(cpu or 0), "memory": int(memory or 0)}
    pods = PodSet(name="node", count=1, requests={"cpu": f"{amounts['cpu']}m", "memory": str(amounts["memory"])})
    about = {"namespace": namespace, "name": name, "uid": uid, "kind": kind}
    wish = SubmitWorkload(**about, generation=generation, pod_sets=[pods])
    if await uow.get(WORKLOAD.resource, namespace, name_of(wish)) is not None:
        return
    now = clock.now()
    at = milliseconds(now)
    asked = asking.asked(made(wish, uid=ids.uid(), now=now, arrival=arrival), wish, 0, now)
    given = Assignment("node", 1, dict.fromkeys(amounts, FLAVOR_NAME), amounts)
    admission = Admission("1", QUEUE_NAME, (given,), reserved_at=at, admitted_at=at)
    obj, _ = deciding.decided(asked, Admit(uid, admission), (), now)  # its owner knows already
    await uow.insert(WORKLOAD.resource, obj)
