"""Work queue, controller and plans: level-triggered, one worker per key, safe among replicas."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from libs.base import Conflict, SystemClock, SystemIds
from libs.resources import (
    Context,
    Controller,
    Ensure,
    Key,
    Kind,
    Owned,
    Plan,
    Remove,
    Requeue,
    Resources,
    WorkQueue,
    by_controller,
    carry_out,
    owner_reference,
)
from libs.testing.clock import VirtualClock
from libs.testing.resources import GADGET, HELD, WIDGET, thing, widget


async def until(true: Callable[[], Any], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_wishes_for_a_busy_key_merge_into_one_more_turn() -> None:
    queue: WorkQueue[str] = WorkQueue(VirtualClock(), lambda: 1.0)
    queue.add("a")
    assert await queue.take() == "a"
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert await queue.take() == "b"
    queue.done("a")
    assert await queue.take() == "a"
    queue.done("a")
    waiting = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_failures_back_off_and_success_forgets_them() -> None:
    clock = VirtualClock()
    queue: WorkQueue[str] = WorkQueue(clock, lambda: 1.0)
    assert [round(queue.retry("a"), 1) for _ in range(10)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0]
    queue.forget("a")
    assert queue.retry("a") == 0.2
    assert queue.retry("a", 7.0) == 7.0, "a server that asks for a pause gets it"
    assert queue.retry("a", 3600.0) == 60.0, "but not for ever"
    taking = asyncio.ensure_future(queue.take())
    await clock.advance(0.1)
    assert not taking.done()
    await clock.advance(0.2)
    assert await taking == "a"


class Builder:
    """Wants one gadget for every widget, and writes how often it was asked."""

    kind: Kind = WIDGET
    owned: Sequence[Owned] = (Owned(GADGET, by_controller(WIDGET)),)

    def __init__(self) -> None:
        self.calls: list[Key] = []
        self.now: set[Key] = set()
        self.fail: set[str] = set()

    async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
        assert key not in self.now, "two workers with one key"
        self.now.add(key)
        self.calls.append(key)
        try:
            await asyncio.sleep(0)
            if key.name in self.fail:
                raise RuntimeError("cannot")
            obj = await ctx.resources.find(WIDGET, *key)
            if obj is None:
                return None
            gadget = thing(GADGET, key.name)
            gadget["metadata"]["ownerReferences"] = [owner_reference(obj)]
            return await carry_out(Plan([Ensure(gadget)], {"phase": "Built"}), obj, ctx)
        finally:
            self.now.discard(key)


def controller(resources: Resources, builder: Any, **options: Any) -> Controller:
    return Controller([builder], resources, None, resources.store, SystemClock(), **options)


async def test_a_controller_builds_and_rebuilds_what_is_wanted(resources: Resources) -> None:
    builder = Builder()
    await resources.create(WIDGET, widget("early"))
    task = asyncio.create_task(controller(resources, builder).run())

    async def built(name: str) -> None:
        async with asyncio.timeout(30):
            while await resources.find(GADGET, "default", name) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    await built("early")
    await resources.create(WIDGET, widget("late"))
    await built("late")
    await resources.delete(GADGET, "default", "late")
    await built("late")
    await until(lambda: not builder.now)
    assert (await resources.get(WIDGET, "default", "late"))["status"] == {"phase": "Built"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_failing_key_does_not_stop_the_others(resources: Resources) -> None:
    builder = Builder()
    builder.fail.add("bad")
    task = asyncio.create_task(controller(resources, builder, workers=1, jitter=lambda: 0.0).run())
    await resources.create(WIDGET, widget("bad"))
    await until(lambda: builder.calls.count(Key("default", "bad")) >= 2)
    await resources.create(WIDGET, widget("good"))
    await until(lambda: Key("default", "good") in builder.calls)
    builder.fail.clear()
    async with asyncio.timeout(30):
        while await resources.find(GADGET, "default", "bad") is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_of_two_replicas_one_works_and_the_other_takes_over(resources: Resources) -> None:
    builders = Builder(), Builder()
    controllers = [controller(resources, b, holder=f"replica-{n}") for n, b in enumerate(builders)]
    tasks = [asyncio.create_task(c.run()) for c in controllers]
    await until(lambda: any(c.is_leading for c in controllers))
    leader = next(n for n, c in enumerate(controllers) if c.is_leading)
    await resources.create(WIDGET, widget("one"))
    await until(lambda: builders[leader].calls)
    assert not controllers[1 - leader].is_leading and builders[1 - leader].calls == []
    tasks[leader].cancel()
    await asyncio.gather(tasks[leader], return_exceptions=True)
    await until(lambda: controllers[1 - leader].is_leading, 8)
    await until(lambda: builders[1 - leader].calls)
    tasks[1 - leader].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_resync_and_a_requeue_come_by_themselves(resources: Resources) -> None:
    class Patient(Builder):
        owned: Sequence[Owned] = ()

        async def reconcile(self, key: Key, ctx: Context) -> Requeue | None:
            self.calls.append(key)
            return Requeue(0.05) if key.name == "again" else None

    builder = Patient()
    await resources.create(WIDGET, widget("again"))
    await resources.create(WIDGET, widget("calm"))
    running = controller(resources, builder, resync_s=0.3)
    task = asyncio.create_task(running.run())
    await until(lambda: builder.calls.count(Key("default", "again")) >= 4)
    await until(lambda: builder.calls.count(Key("default", "calm")) >= 2)
    before = len(builder.calls)
    running.enqueue(WIDGET, "default", "named")
    await until(lambda: Key("default", "named") in builder.calls[before:])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_plan_carried_out_twice_changes_nothing_the_second_time(resources: Resources) -> None:
    ctx = Context(resources, resources.store, SystemClock(), SystemIds())
    obj = await resources.create(WIDGET, widget("w"))
    await resources.create(GADGET, thing(GADGET, "old"))
    gone = Remove(GADGET, "default", "old")
    plan = Plan([Ensure(thing(GADGET, "new", spec={"a": 1}), apply=True), gone], {"phase": "Done"}, requeue_after=3)
    assert await carry_out(plan, obj, ctx) == Requeue(3)
    async with resources.store.read() as reader:
        version = await reader.last_seq()
    await carry_out(plan, await resources.get(WIDGET, "default", "w"), ctx)
    async with resources.store.read() as reader:
        assert await reader.last_seq() == version


async def test_a_status_planned_from_an_older_object_is_refused_and_nothing_is_overwritten(
    resources: Resources,
) -> None:
    ctx = Context(resources, resources.store, SystemClock(), SystemIds())
    seen = await resources.create(WIDGET, widget("w"))
    await resources.update_status(WIDGET, "default", "w", {"progress": "half way"})
    with pytest.raises(Conflict):
        await carry_out(Plan(status={"phase": "Built"}), seen, ctx)
    assert (await resources.get(WIDGET, "default", "w"))["status"] == {"progress": "half way"}


async def test_a_plan_that_is_done_lets_the_object_go(resources: Resources) -> None:
    ctx = Context(resources, resources.store, SystemClock(), SystemIds())
    await resources.create(HELD, thing(HELD, "h"))
    obj = await resources.delete(HELD, "default", "h")
    await carry_out(Plan(status={"phase": "Over"}, done_finalizer=True), obj, ctx)
    assert await resources.find(HELD, "default", "h") is None
