"""Writes core Events inside an open transaction: the same news twice is one Event with a higher count."""

from collections.abc import Sequence

from libs.base.clock import Clock, parse_rfc3339, rfc3339
from libs.resources import Resources
from libs.store import UnitOfWork, keep_trimmed
from services.node.domain.events import TTL_S, again, new_event
from services.node.domain.owned import Object
from services.node.reconcile.kinds import EVENT

News = tuple[str, str, str, str]
"""(type, reason, message, container or "")"""
CLEAN_S = 1800.0


class Recorder:
    """Tells of objects; what is told never fails the transaction that it is part of."""

    def __init__(self, resources: Resources, clock: Clock) -> None:
        self._resources, self._clock = resources, clock

    async def tell(self, uow: UnitOfWork, about: Object, news: Sequence[News]) -> None:
        """One Event for each piece of news; nothing in a namespace that is going away."""
        space = about["metadata"].get("namespace") or "default"
        found = await uow.get("namespaces", "", space) if news else None
        if not found or found["metadata"].get("deletionTimestamp"):
            return
        for kind, reason, message, container in news:
            new = new_event(about, kind, reason, message, self._clock.now(), container=container)
            known = await uow.get(EVENT.resource, space, new["metadata"]["name"])
            if known:
                await uow.update(EVENT.resource, again(known, new))
            else:
                await uow.insert(EVENT.resource, self._born(new))

    def _born(self, event: Object) -> Object:
        """As the API would make it of what it had nothing to say against: two such go with every pod."""
        now = rfc3339(self._clock.now())
        metadata = {**event["metadata"], "uid": self._resources.ids.uid(), "creationTimestamp": now, "generation": 1}
        return {**event, "metadata": metadata}

    async def forget_old(self) -> None:
        """Removes Events last told more than an hour ago; twice an hour, for ever."""
        while True:
            await self._clock.sleep(CLEAN_S)
            now = self._clock.now()
            async with self._resources.store.write() as uow:
                for event in await uow.list(EVENT.resource):
                    last = event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]
                    if (now - parse_rfc3339(last)).total_seconds() > TTL_S:
                        meta = event["metadata"]
                        await uow.delete(EVENT.resource, meta["namespace"], meta["name"])

    async def keep_log_trimmed(self) -> None:
        """For ever."""
        await keep_trimmed(self._resources.store, CLEAN_S)
