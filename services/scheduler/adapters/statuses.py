"""Writes what the queues hold into their status, a while after it changed; nothing is decided by what stands there."""

from __future__ import annotations

from typing import Any

from libs.resources import Kind, Resources
from libs.service.app import Ports
from services.scheduler.adapters.kinds import CLUSTER_QUEUE, COHORT, LOCAL_QUEUE
from services.scheduler.adapters.loop import Loop
from services.scheduler.domain.objects import counting
from services.scheduler.domain.objects.conditions import with_condition
from services.scheduler.domain.objects.counting import Count, Told

Object = dict[str, Any]
Key = tuple[Kind, str, str]
EVERY_S, FIRST_S = 1.0, 0.1
AT_ONCE = 50
"""So many in one transaction: a commit for each of thousands of queues would keep others waiting longer."""
SHARE, LONGEST_S = 20, 5.0
"""Looking over many workloads takes at most one part in so many of the time. Waiting for the store is not looking: a
slow disk would keep the next status back for many times as long as it was slow."""


class Statuses:
    def __init__(self, ports: Ports, loop: Loop) -> None:
        self._ports, self._loop = ports, loop
        self._told: dict[Key, tuple[Object, Told | None]] = {}

    async def run(self) -> None:
        """For ever, while this replica leads."""
        self._told.clear()
        clock, seen = self._ports.clock, -1
        while True:
            took = 0.0
            if self._loop.shelf is not None and self._loop.moved != seen:
                seen, began = self._loop.moved, clock.monotonic()
                wanted = self._wanted()
                took = clock.monotonic() - began
                await self._tell(wanted)
            pause = EVERY_S if seen >= 0 else FIRST_S
            await clock.sleep(max(pause, min(LONGEST_S, SHARE * took)))

    async def _tell(self, wanted: dict[Key, tuple[Object, Told | None]]) -> None:
        news = [(key, told) for key, told in wanted.items() if self._told.get(key) != told]
        for at in range(0, len(news), AT_ONCE):
            async with self._ports.store.write() as uow:
                resources = self._ports.resources.view(uow)
                for key, told in news[at : at + AT_ONCE]:
                    await self._write(resources, key, *told)
        self._told = wanted

    def _wanted(self) -> dict[Key, tuple[Object, Told | None]]:
        assert self._loop.shelf is not None
        book, checks = self._loop.book, self._loop.shelf.checks
        of_queue, of_local = counting.counts(book)
        specs = {name: state.spec for name, state in book.states.items() if state.spec is not None}
        active = {name: counting.is_active(spec, book, checks) for name, spec in specs.items()}
        out: dict[Key, tuple[Object, Told | None]] = {}
        for name, spec in specs.items():
            status = counting.queue_status(spec, of_queue.get(name, Count()))
            status |= counting.fair_sharing(book.forest.queues.get(name), book)
            out[CLUSTER_QUEUE, "", name] = (status, active[name])
        for name in book.cohorts if book.rules.fair_sharing else ():
            out[COHORT, "", name] = (counting.fair_sharing(book.forest.cohorts.get(name), book), None)
        for (namespace, name), local in book.local_queues.items():
            count = of_local.get((namespace, name), Count())
            told = counting.is_local_active(local, book, active)
            out[LOCAL_QUEUE, namespace, name] = (counting.local_status(specs.get(local.cluster_queue), count), told)
        return out

    async def _write(self, resources: Resources, key: Key, status: Object, told: Told | None) -> None:
        """`told` is of the condition Active; None for a cohort, which has none."""
        kind, namespace, name = key
        found = await resources.find(kind, namespace, name)
        if found is None:
            return
        if told is not None:
            before = (found.get("status") or {}).get("conditions")
            status = {**status, "conditions": with_condition(before, "Active", *told, self._ports.clock.now())}
        await resources.update_status(kind, namespace, name, status)
