"""Writes what the queues hold into their status, a while after it changed; nothing is decided by what stands there."""

from __future__ import annotations

from typing import Any

from libs.base.errors import NotFound
from libs.resources import Kind
from libs.service.app import Ports
from services.scheduler.adapters.kinds import CLUSTER_QUEUE, LOCAL_QUEUE
from services.scheduler.adapters.loop import Loop
from services.scheduler.domain.objects import counting
from services.scheduler.domain.objects.conditions import with_condition
from services.scheduler.domain.objects.counting import Count, Told

Object = dict[str, Any]
Key = tuple[Kind, str, str]
EVERY_S, FIRST_S = 1.0, 0.1
SHARE = 20
"""Looking over many workloads takes at most one part in so many of the time."""


class Statuses:
    def __init__(self, ports: Ports, loop: Loop) -> None:
        self._ports, self._loop = ports, loop
        self._told: dict[Key, tuple[Object, Told]] = {}

    async def run(self) -> None:
        """For ever, while this replica leads."""
        self._told.clear()
        clock, seen = self._ports.clock, -1
        while True:
            began = clock.monotonic()
            if self._loop.shelf is not None and self._loop.moved != seen:
                seen = self._loop.moved
                await self._tell()
            pause = EVERY_S if seen >= 0 else FIRST_S
            await clock.sleep(max(pause, SHARE * (clock.monotonic() - began)))

    async def _tell(self) -> None:
        wanted = self._wanted()
        for key, told in wanted.items():
            if self._told.get(key) != told:
                await self._write(key, *told)
        self._told = wanted

    def _wanted(self) -> dict[Key, tuple[Object, Told]]:
        assert self._loop.shelf is not None
        book, checks = self._loop.book, self._loop.shelf.checks
        of_queue, of_local = counting.counts(book)
        specs = {name: state.spec for name, state in book.states.items() if state.spec is not None}
        active = {name: counting.is_active(spec, book, checks) for name, spec in specs.items()}
        out: dict[Key, tuple[Object, Told]] = {}
        for name, spec in specs.items():
            status = counting.queue_status(spec, of_queue.get(name, Count()))
            out[CLUSTER_QUEUE, "", name] = (status, active[name])
        for (namespace, name), local in book.local_queues.items():
            count = of_local.get((namespace, name), Count())
            told = counting.is_local_active(local, book, active)
            out[LOCAL_QUEUE, namespace, name] = (counting.local_status(specs.get(local.cluster_queue), count), told)
        return out

    async def _write(self, key: Key, status: Object, told: Told) -> None:
        kind, namespace, name = key
        found = await self._ports.resources.find(kind, namespace, name)
        if found is None:
            return
        before = (found.get("status") or {}).get("conditions")
        conditions = with_condition(before, "Active", *told, self._ports.clock.now())
        try:
            await self._ports.resources.update_status(kind, namespace, name, {**status, "conditions": conditions})
        except NotFound:
            return
