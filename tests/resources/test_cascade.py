"""Owners and dependents: what deletion takes along, in which order, and what it leaves."""

from typing import Any

import pytest

from libs.base import Invalid
from libs.resources import Resources, owner_reference
from libs.testing.resources import GADGET, HELD, WIDGET, thing, widget


async def family(resources: Resources, child_kind: Any = GADGET) -> tuple[Any, Any]:
    owner = await resources.create(WIDGET, widget("owner"))
    child = thing(child_kind, "child")
    child["metadata"]["ownerReferences"] = [owner_reference(owner)]
    return owner, await resources.create(child_kind, child)


async def test_background_takes_the_children_along(resources: Resources) -> None:
    _, child = await family(resources)
    grandchild = thing(GADGET, "grandchild")
    grandchild["metadata"]["ownerReferences"] = [owner_reference(child)]
    await resources.create(GADGET, grandchild)
    await resources.delete(WIDGET, "default", "owner")
    assert (await resources.list(GADGET)).items == []


async def test_events_are_not_looked_through_for_children_however_many_there_are(resources: Resources) -> None:
    owner, _ = await family(resources)
    news = {
        "metadata": {"name": "news", "namespace": "default", "uid": "1", "ownerReferences": [owner_reference(owner)]}
    }
    async with resources.store.write() as uow:
        await uow.insert("events", news)
    await resources.delete(WIDGET, "default", "owner")
    async with resources.store.read() as reader:
        assert await reader.get("events", "default", "news") is not None, "it goes by its age"


async def test_orphans_stay_and_forget_their_owner(resources: Resources) -> None:
    await family(resources)
    await resources.delete(WIDGET, "default", "owner", propagation="Orphan")
    child = await resources.get(GADGET, "default", "child")
    assert child["metadata"]["ownerReferences"] == []
    assert await resources.find(WIDGET, "default", "owner") is None


async def test_foreground_waits_for_the_last_child(resources: Resources) -> None:
    await family(resources, HELD)
    owner = await resources.delete(WIDGET, "default", "owner", propagation="Foreground")
    assert owner["metadata"]["finalizers"] == ["foregroundDeletion"] and owner["metadata"]["deletionTimestamp"]
    assert (await resources.get(HELD, "default", "child"))["metadata"]["deletionTimestamp"]
    await resources.remove_finalizer(HELD, "default", "child", str(HELD.finalizer))
    assert await resources.find(HELD, "default", "child") is None
    assert await resources.find(WIDGET, "default", "owner") is None


async def test_foreground_without_a_held_child_is_over_at_once(resources: Resources) -> None:
    await family(resources)
    await resources.delete(WIDGET, "default", "owner", propagation="Foreground")
    assert await resources.find(WIDGET, "default", "owner") is None
    assert (await resources.list(GADGET)).items == []


async def test_a_child_with_another_living_owner_stays(resources: Resources) -> None:
    one = await resources.create(WIDGET, widget("one"))
    two = await resources.create(WIDGET, widget("two"))
    child = thing(GADGET, "child")
    child["metadata"]["ownerReferences"] = [owner_reference(one), owner_reference(two, controller=False)]
    await resources.create(GADGET, child)
    await resources.delete(WIDGET, "default", "one")
    left = await resources.get(GADGET, "default", "child")
    assert [o["name"] for o in left["metadata"]["ownerReferences"]] == ["two"]
    await resources.delete(WIDGET, "default", "two")
    assert await resources.find(GADGET, "default", "child") is None


async def test_an_object_whose_owner_is_gone_is_refused(resources: Resources) -> None:
    owner, _ = await family(resources)
    await resources.delete(WIDGET, "default", "owner")
    late = thing(GADGET, "late")
    late["metadata"]["ownerReferences"] = [owner_reference(owner)]
    with pytest.raises(Invalid, match="does not exist: remove the reference"):
        await resources.create(GADGET, late)


async def test_a_dry_run_deletes_nobody(resources: Resources) -> None:
    await family(resources)
    await resources.delete(WIDGET, "default", "owner", dry_run=True)
    assert await resources.find(WIDGET, "default", "owner") and await resources.find(GADGET, "default", "child")
