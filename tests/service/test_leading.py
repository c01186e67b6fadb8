"""Who leads after a kill -9: the same replica at once, another one only when the lease has run out."""

import asyncio
from dataclasses import replace
from pathlib import Path

from libs.base import SystemClock, SystemIds
from libs.resources.reconcile import Context, Key, Requeue
from libs.service.app import App
from libs.service.shell import Service, serve
from libs.store import Lease, Store
from tests.service.toy import settings, toy_app


class Nothing:
    """A reconciler that is content with everything."""

    owned = ()

    def __init__(self, app: App) -> None:
        [self.kind] = app.kinds

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        return None


async def _leaves_its_lease_behind(folder: Path, replica: str) -> None:
    """What a killed process leaves: the lease of its controller, just renewed."""
    clock = SystemClock()
    store = await Store.open(settings(folder).store_url, clock=clock, ids=SystemIds(clock))
    assert await Lease.acquire(store, "controller/toy", replica)
    await store.close()


async def _leads(service: Service, within_s: float) -> bool:
    controller = service.ports.controller
    assert controller is not None
    for _ in range(int(within_s / 0.02)):
        if controller.is_leading:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_restarted_replica_leads_again_at_once_and_another_waits(tmp_path: Path) -> None:
    app = toy_app()
    app = replace(app, reconcilers=lambda ports: [Nothing(app)])
    await _leaves_its_lease_behind(tmp_path, "pod-1")
    async with serve(app, settings(tmp_path, replica="pod-2")) as other:
        assert not await _leads(other, 0.5)
    async with serve(app, settings(tmp_path, replica="pod-1")) as same:
        assert await _leads(same, 5)
