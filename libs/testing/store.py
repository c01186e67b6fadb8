"""What every store must do, as a suite to inherit: a subclass gives the `store_url` fixture of its database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from libs.base import AlreadyExists, BadRequest, Conflict, NotFound, SeededIds
from libs.store import Store
from libs.testing.clock import VirtualClock

PODS = "pods"
JOBS = "trainjobs.trainer.kubeflow.org"


def an_object(name: str, namespace: str = "default", **fields: Any) -> dict[str, Any]:
    """A small object, as a client may send it."""
    metadata = {"name": name, "uid": f"uid-{name}", **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **fields}


def a_letter(id: str, namespace: str = "default") -> dict[str, Any]:
    """The part of a CloudEvent that the store looks at."""
    return {"specversion": "1.0", "id": id, "type": "training.trainjob.created.v1", "namespace": namespace}


def rv(obj: dict[str, Any]) -> int:
    return int(obj["metadata"]["resourceVersion"])


async def put(store: Store, *names: str, resource: str = PODS, namespace: str = "default") -> list[dict[str, Any]]:
    """Inserts objects, each in a transaction of its own."""
    made = []
    for name in names:
        async with store.write() as uow:
            made.append(await uow.insert(resource, an_object(name, namespace)))
    return made


class StoreFixtures:
    """Fixtures that the suites share; tests open as many replicas of the same database as they need."""

    @pytest.fixture
    def clock(self) -> VirtualClock:
        return VirtualClock()

    @pytest_asyncio.fixture
    async def replica(self, store_url: str, clock: VirtualClock) -> AsyncIterator[Callable[[], Any]]:
        async with AsyncExitStack() as opened:

            async def open_one() -> Store:
                store = await Store.open(store_url, clock=clock, ids=SeededIds(1))
                opened.push_async_callback(store.close)
                return store

            yield open_one

    @pytest_asyncio.fixture
    async def store(self, replica: Callable[[], Any]) -> Store:
        opened: Store = await replica()
        return opened


class UnitOfWorkSuite(StoreFixtures):
    """Objects and their changes."""

    async def test_a_new_object_carries_the_seq_of_its_change(self, store: Store) -> None:
        (made,) = await put(store, "a")
        async with store.read() as reader:
            assert await reader.get(PODS, "default", "a") == made
            (change,) = await reader.changes_since(0)
            assert await reader.last_seq() == rv(made)
        assert (change.op, change.seq, change.resource, change.name) == ("ADDED", rv(made), PODS, "a")
        assert (change.body, change.prev, change.letter) == (made, None, None)

    async def test_what_the_caller_handed_in_is_not_changed(self, store: Store) -> None:
        given = an_object("a")
        async with store.write() as uow:
            await uow.insert(PODS, given)
        assert given == an_object("a")

    async def test_a_name_is_taken_once(self, store: Store) -> None:
        await put(store, "a")
        with pytest.raises(AlreadyExists, match='pods "a" already exists'):
            await put(store, "a")
        await put(store, "a", namespace="other")
        await put(store, "a", resource=JOBS)

    async def test_a_taken_name_leaves_the_transaction_usable(self, store: Store) -> None:
        await put(store, "a")
        async with store.write() as uow:
            with pytest.raises(AlreadyExists):
                await uow.insert(PODS, an_object("a"))
            made = await uow.insert(PODS, an_object("b"))
        async with store.read() as reader:
            assert await reader.last_seq() == rv(made) == 2

    async def test_an_update_tells_before_and_after(self, store: Store) -> None:
        (made,) = await put(store, "a")
        async with store.write() as uow:
            changed = await uow.update(PODS, {**made, "spec": {"x": 1}})
        async with store.read() as reader:
            (change,) = await reader.changes_since(rv(made))
            assert await reader.get(PODS, "default", "a") == changed
        assert (change.op, change.body, change.prev) == ("MODIFIED", changed, made)
        assert rv(changed) > rv(made)

    async def test_an_update_of_an_older_version_is_a_conflict(self, store: Store) -> None:
        (made,) = await put(store, "a")
        async with store.write() as uow:
            await uow.update(PODS, made)
        with pytest.raises(Conflict, match="has been modified"):
            async with store.write() as uow:
                await uow.update(PODS, made)

    async def test_an_update_without_a_version_overwrites(self, store: Store) -> None:
        await put(store, "a")
        async with store.write() as uow:
            await uow.update(PODS, an_object("a", spec=2))
        async with store.read() as reader:
            assert (await reader.get(PODS, "default", "a") or {})["spec"] == 2

    async def test_what_is_not_there_is_neither_updated_nor_deleted(self, store: Store) -> None:
        with pytest.raises(NotFound, match='pods "a" not found'):
            async with store.write() as uow:
                await uow.update(PODS, an_object("a"))
        with pytest.raises(NotFound):
            async with store.write() as uow:
                await uow.delete(PODS, "default", "a")

    async def test_a_deletion_tells_what_was_there_under_a_new_version(self, store: Store) -> None:
        (made,) = await put(store, "a")
        async with store.write() as uow:
            last = await uow.delete(PODS, "default", "a")
        async with store.read() as reader:
            assert await reader.get(PODS, "default", "a") is None
            (change,) = await reader.changes_since(rv(made))
        assert (change.op, change.body, change.prev) == ("DELETED", last, made)
        assert rv(last) == change.seq == rv(made) + 1
        await put(store, "a")

    async def test_many_steps_in_one_transaction_see_each_other(self, store: Store) -> None:
        async with store.write() as uow:
            made = await uow.insert(PODS, an_object("a"))
            changed = await uow.update(PODS, {**made, "spec": 1})
            assert await uow.get(PODS, "default", "a") == changed
            assert await uow.list(PODS) == [changed]
            assert [c.op for c in await uow.changes_since(0)] == ["ADDED", "MODIFIED"]
            await uow.delete(PODS, "default", "a")
            assert await uow.get(PODS, "default", "a") is None
            await uow.insert(PODS, an_object("a"))
        async with store.read() as reader:
            assert [(c.seq, c.op) for c in await reader.changes_since(0)] == [
                (1, "ADDED"),
                (2, "MODIFIED"),
                (3, "DELETED"),
                (4, "ADDED"),
            ]

    async def test_a_failed_transaction_leaves_no_trace(self, store: Store) -> None:
        await put(store, "a")
        with pytest.raises(ZeroDivisionError):
            async with store.write() as uow:
                await uow.insert(PODS, an_object("b"))
                await uow.delete(PODS, "default", "a")
                uow.say(a_letter("1"), "s")
                assert await uow.first_time("trainer", "e1")
                raise ZeroDivisionError
        async with store.write() as uow:
            assert [o["metadata"]["name"] for o in await uow.list(PODS)] == ["a"]
            assert await uow.first_time("trainer", "e1")
        assert await store.outbox.unsaid() == []
        assert store.feed.head == 1

    async def test_a_cancelled_transaction_leaves_the_store_usable(self, store: Store) -> None:
        async def write(n: int) -> None:
            async with store.write() as uow:
                await uow.insert(PODS, an_object(f"c-{n}"))

        for turns in range(24):
            task = asyncio.create_task(write(turns))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await put(store, "after")
        async with store.read() as reader:
            objects, changes = await reader.list(PODS), await reader.changes_since(0)
        assert sorted(rv(o) for o in objects) == [c.seq for c in changes]
        assert store.feed.head == len(changes)

    async def test_a_second_unit_of_work_in_the_same_task_is_refused(self, store: Store) -> None:
        with pytest.raises(RuntimeError, match="already has a unit of work open"):
            async with store.write(), store.write():
                pass
        await put(store, "a")

    async def test_a_reader_keeps_its_snapshot(self, store: Store) -> None:
        await put(store, "a")
        async with store.read() as reader:
            before = await reader.last_seq()
            await put(store, "b")
            assert await reader.last_seq() == before
            assert len(await reader.list(PODS)) == 1

    async def test_lists_are_paged_by_namespace_and_name_in_code_point_order(self, store: Store) -> None:
        names = ["a", "a-b", "a.b", "a1", "aa", "b"]
        await put(store, *reversed(names), namespace="one")
        await put(store, "a", "z", namespace="One")
        await put(store, "other", resource=JOBS)
        async with store.read() as reader:
            everything = [_key(o) for o in await reader.list(PODS)]
            paged, after = [], None
            while page := await reader.list(PODS, after=after, limit=3):
                paged += [_key(o) for o in page]
                after = paged[-1]
            within = [_key(o) for o in await reader.list(PODS, namespace="one", after=("one", "a.b"), limit=2)]
            beyond = await reader.list(PODS, namespace="one", after=("two", ""))
        assert everything == paged == [("One", "a"), ("One", "z"), *(("one", n) for n in sorted(names))]
        assert within == [("one", "a1"), ("one", "aa")]
        assert beyond == []

    async def test_cluster_scoped_objects_live_in_no_namespace(self, store: Store) -> None:
        async with store.write() as uow:
            made = await uow.insert("namespaces", an_object("team", namespace=""))
        async with store.read() as reader:
            assert await reader.get("namespaces", "", "team") == made

    async def test_changes_are_read_by_resource_and_in_pages(self, store: Store) -> None:
        await put(store, "a", "b")
        await put(store, "c", resource=JOBS)
        await put(store, "d")
        async with store.read() as reader:
            assert [c.name for c in await reader.changes_since(0, limit=2)] == ["a", "b"]
            assert [c.name for c in await reader.changes_since(1, resource=PODS)] == ["b", "d"]
            assert await reader.changes_since(4) == []

    @pytest.mark.parametrize(
        "name", ["nul\0", "lone \ud800 surrogate"], ids=["a NUL character", "half of a surrogate pair"]
    )
    async def test_names_that_no_database_can_hold_are_a_bad_request(self, store: Store, name: str) -> None:
        async with store.read() as reader:
            assert await reader.get(PODS, "default", name) is None
            assert await reader.list(PODS, namespace=name) == []
        with pytest.raises(BadRequest):
            await put(store, name)

    async def test_any_text_in_a_body_comes_back(self, store: Store) -> None:
        odd = {"text": "naïve \u0000 ☃ 😀 'q' \"", "big": 2**63 - 1, "nested": [None, True, {"": 1.5}]}
        async with store.write() as uow:
            await uow.insert(PODS, an_object("a", spec=odd))
        async with store.read() as reader:
            assert (await reader.get(PODS, "default", "a") or {})["spec"] == odd

    async def test_a_body_that_is_no_json_is_a_bad_request(self, store: Store) -> None:
        with pytest.raises(BadRequest, match="cannot be written as JSON"):
            async with store.write() as uow:
                await uow.insert(PODS, an_object("a", spec="\ud800"))

    async def test_meta_keeps_small_facts(self, store: Store) -> None:
        for value in ("one", "two"):
            async with store.write() as uow:
                await uow.set_meta("stream", value)
                assert await uow.meta("stream") == value
        async with store.read() as reader:
            assert (await reader.meta("stream"), await reader.meta("other")) == ("two", None)

    async def test_what_was_written_is_there_after_reopening(self, store: Store, replica: Callable[[], Any]) -> None:
        (made,) = await put(store, "a")
        await store.close()
        again = await replica()
        async with again.read() as reader:
            assert await reader.get(PODS, "default", "a") == made
        assert again.feed.head == rv(made)
        assert rv((await put(again, "b"))[0]) == rv(made) + 1

    async def test_concurrent_units_of_work_take_turns(self, store: Store, replica: Callable[[], Any]) -> None:
        other = await replica()
        await put(store, "n")

        async def count_up(which: Store) -> None:
            for _ in range(10):
                async with which.write() as uow:
                    obj = await uow.get(PODS, "default", "n") or {}
                    await uow.update(PODS, {**obj, "count": obj.get("count", 0) + 1})

        await asyncio.gather(*(count_up(which) for which in (store, other, store, other)))
        async with store.read() as reader:
            assert (await reader.get(PODS, "default", "n") or {})["count"] == 40
            assert [c.seq for c in await reader.changes_since(0)] == list(range(1, 42))


def _key(obj: dict[str, Any]) -> tuple[str, str]:
    return (obj["metadata"]["namespace"], obj["metadata"]["name"])
