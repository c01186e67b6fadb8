"""How a pod's status is written: with its Events in one transaction, and remembered as this node's own doing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from libs.resources import Resources
from libs.store import UnitOfWork
from services.node.reconcile.kinds import POD
from services.node.reconcile.live import Live
from services.node.reconcile.recorder import News, Recorder

Object = dict[str, Any]


class Writing:
    """`live` are the pods that the kubelet knows, by uid; it is only looked into."""

    def __init__(self, resources: Resources, recorder: Recorder, live: Mapping[str, Live]) -> None:
        self._resources, self._recorder, self._live = resources, recorder, live

    async def status(self, pod: Object, status: Object, news: Sequence[News]) -> None:
        """Nothing, where the pod is gone or another has its name."""
        meta = pod["metadata"]
        async with self.transaction(meta["uid"]) as (uow, live):
            current = await uow.get(POD.resource, meta["namespace"], meta["name"])
            if current is None or current["metadata"]["uid"] != meta["uid"]:
                return
            view, before = self._resources.view(uow), current["metadata"]["resourceVersion"]
            told = await view.update_status(POD, meta["namespace"], meta["name"], status)
            if told["metadata"]["resourceVersion"] != before:
                live.told = told["metadata"]["resourceVersion"]
            await self._recorder.tell(uow, current, news)

    @asynccontextmanager
    async def transaction(self, uid: str) -> AsyncIterator[tuple[UnitOfWork, Live]]:
        """A transaction; where it fails, its version of the pod will be somebody else's."""
        live = self._live[uid]
        try:
            async with self._resources.store.write() as uow:
                yield uow, live
        except BaseException:
            live.told = None
            raise
