"""Triggers as the handlers know them, in the transaction of the letter; and which types of events they wait for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from libs.base import Clock
from libs.resources import Resources
from libs.service.app import Ports
from libs.store import Store, UnitOfWork
from services.scheduler.adapters.workloads import Needs
from services.scheduler.domain.triggers.needs import Object
from services.scheduler.reconcile.triggerkind import TRIGGER

log = logging.getLogger(__name__)
LOOK_S = 1.0


class StoredTriggers:
    """For services.scheduler.domain.triggers.needs.Triggers."""

    def __init__(self, resources: Resources, clock: Clock) -> None:
        self._resources, self._clock = resources, clock

    def now(self) -> datetime:
        return self._clock.now()

    async def of(self, namespace: str) -> Sequence[Object]:
        page = await self._resources.list(TRIGGER, namespace)
        return [each for each in page.items if not each["metadata"].get("deletionTimestamp")]

    async def find(self, namespace: str, name: str) -> Object | None:
        found = await self._resources.find(TRIGGER, namespace, name)
        return None if found is None or found["metadata"].get("deletionTimestamp") else found

    async def put_status(self, trigger: Object, status: Object) -> None:
        metadata = trigger["metadata"]
        await self._resources.update_status(TRIGGER, metadata["namespace"], metadata["name"], status)


class AllNeeds(Needs):
    """What all handlers of the scheduler get."""

    def __init__(self, ports: Ports, uow: UnitOfWork) -> None:
        super().__init__(uow, ports.clock, ports.ids)
        self.triggers = StoredTriggers(ports.resources, ports.clock)


async def types_waited_for(store: Store) -> set[str]:
    """Of all triggers, whatever their namespace."""
    async with store.read() as reader:
        found = await reader.list(TRIGGER.resource)
    return {each["spec"]["event"]["type"] for each in found if each["spec"].get("event")}


def hearing_for_triggers(ports: Ports, hears: Sequence[str], service: str) -> Callable[[], Awaitable[None]]:
    """A loop that lets the service's consumer hear what triggers wait for. A consumer is only ever widened: a type that
    no trigger names any more is heard and passed over, as replicas may know of one another's triggers late."""

    async def hear_for_triggers() -> None:
        heard: set[str] = set()
        while True:
            if ports.bus is None:
                await ports.clock.sleep(LOOK_S)
                continue
            seen = ports.store.feed.head  # before the look, so that a change in between wakes the next round at once
            wanted = await types_waited_for(ports.store)
            if not wanted <= heard:
                heard |= wanted
                log.info("triggers wait for %s", ", ".join(sorted(wanted)))
                await ports.bus.ensure(service, sorted({*hears, *heard}))
            changes: Any = ports.store.feed.subscribe(TRIGGER.resource, seen)
            async with aclosing(changes):
                await anext(changes)

    return hear_for_triggers
