"""The parts that speak to the database in their own words, on PostgreSQL: owners, watches, two replicas."""

import asyncio

from libs.base import SystemClock, SystemIds
from libs.resources import Resources, owner_reference
from libs.store import Store
from libs.testing.resources import GADGET, TOYS, WIDGET, thing, widget
from libs.testing.store_postgres import Postgres


async def test_owners_and_watches_work_on_postgresql(postgres: Postgres) -> None:
    url = postgres.emptied_database()
    stores = [await Store.open(url, clock=SystemClock(), ids=SystemIds()) for _ in range(2)]
    one, two = (Resources(s, TOYS, clock=SystemClock(), ids=SystemIds(), source="millstream/toys") for s in stores)
    owner = await one.create(WIDGET, widget("owner"))
    changes = two.watch(GADGET, "default", timeout=60)
    seen = [asyncio.ensure_future(anext(changes))]
    child = thing(GADGET, "child")
    child["metadata"]["ownerReferences"] = [owner_reference(owner)]
    await one.create(GADGET, child)
    assert (await asyncio.wait_for(seen[0], 30))["type"] == "ADDED"
    await one.delete(WIDGET, "default", "owner")
    assert (await asyncio.wait_for(anext(changes), 30))["type"] == "DELETED"
    assert await two.find(GADGET, "default", "child") is None
    await changes.aclose()  # type: ignore[attr-defined]
    for store in stores:
        await store.close()
