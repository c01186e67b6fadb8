"""What every Kubernetes API owes its clients, as a suite to inherit; give it a `cluster` fixture of Cluster.

The double in libs.testing.cluster and the node's API pass the same tests, so a simulation on the one says something
of the other. Namespace `team` exists.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.base import AlreadyExists, Conflict, NotFound
from libs.cluster import CONFIGMAP, DEPLOYMENT, EVENT, SECRET, Cluster

Object = dict[str, Any]


def note(name: str, *, labels: dict[str, str] | None = None, **data: str) -> Object:
    meta = {"name": name, "namespace": "team", "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def deployment(name: str, replicas: int = 1) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "python:3.11"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "team"},
        "spec": spec,
    }


class ClusterSuite:
    async def test_what_was_created_is_got_and_is_there_once(self, cluster: Cluster) -> None:
        made = await cluster.create(note("a", colour="red"))
        assert made["metadata"]["uid"] and made["metadata"]["creationTimestamp"].endswith("Z")
        found = await cluster.get(CONFIGMAP, "team", "a")
        assert found == made
        with pytest.raises(AlreadyExists):
            await cluster.create(note("a"))
        assert await cluster.get(CONFIGMAP, "team", "b") is None

    async def test_a_list_is_in_order_of_its_namespace_and_of_its_labels(self, cluster: Cluster) -> None:
        for name, team in (("b", "red"), ("a", "red"), ("c", "blue")):
            await cluster.create(note(name, labels={"colour": team}))
        found = await cluster.list(CONFIGMAP, "team", labels="colour=red")
        assert [obj["metadata"]["name"] for obj in found] == ["a", "b"]
        assert [obj["kind"] for obj in found] == ["ConfigMap", "ConfigMap"]
        assert [o["metadata"]["name"] for o in await cluster.list(CONFIGMAP, "team", labels="colour")] == [*"abc"]
        assert await cluster.list(CONFIGMAP, "other") == []

    async def test_events_are_found_by_what_they_are_about(self, cluster: Cluster) -> None:
        for name, uid in (("one", "u-1"), ("two", "u-2")):
            about = {"kind": "Pod", "apiVersion": "v1", "name": "p", "namespace": "team", "uid": uid}
            meta = {"name": name, "namespace": "team"}
            event = {"apiVersion": "v1", "kind": "Event", "metadata": meta, "involvedObject": about}
            await cluster.create({**event, "reason": "FailedMount", "message": "no", "type": "Warning"})
        found = await cluster.list(EVENT, "team", fields="involvedObject.uid=u-2")
        assert [event["metadata"]["name"] for event in found] == ["two"]

    async def test_apply_makes_changes_and_takes_away_what_is_no_longer_stated(self, cluster: Cluster) -> None:
        made = await cluster.apply(note("a", colour="red", size="1"))
        again = await cluster.apply(note("a", colour="red", size="1"))
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        changed = await cluster.apply(note("a", colour="blue"))
        assert changed["data"] == {"colour": "blue"}
        assert changed["metadata"]["uid"] == made["metadata"]["uid"]

    async def test_apply_leaves_alone_what_it_never_stated(self, cluster: Cluster) -> None:
        await cluster.create(note("a", colour="red"))
        changed = await cluster.apply(note("a", size="1"))
        assert changed["data"] == {"colour": "red", "size": "1"}

    async def test_a_patch_merges_and_null_removes(self, cluster: Cluster) -> None:
        await cluster.create(note("a", colour="red", size="1"))
        changed = await cluster.patch(CONFIGMAP, "team", "a", {"data": {"size": None, "shape": "round"}})
        assert changed["data"] == {"colour": "red", "shape": "round"}
        with pytest.raises(NotFound):
            await cluster.patch(CONFIGMAP, "team", "b", {"data": {}})

    async def test_only_a_change_of_the_spec_moves_the_generation(self, cluster: Cluster) -> None:
        made = await cluster.create(deployment("web"))
        told = await cluster.patch_status(DEPLOYMENT, "team", "web", {"replicas": 1})
        assert told["status"]["replicas"] == 1
        assert told["metadata"]["generation"] == made["metadata"]["generation"] == 1
        more = await cluster.patch(DEPLOYMENT, "team", "web", {"spec": {"replicas": 2}, "status": {"replicas": 9}})
        assert (more["metadata"]["generation"], more["status"]["replicas"]) == (2, 1)

    async def test_replacing_an_old_version_is_a_conflict(self, cluster: Cluster) -> None:
        made = await cluster.create(note("a", colour="red"))
        await cluster.replace({**made, "data": {"colour": "blue"}})
        with pytest.raises(Conflict):
            await cluster.replace({**made, "data": {"colour": "green"}})

    async def test_deleting_says_whether_there_was_something(self, cluster: Cluster) -> None:
        await cluster.create(note("a"))
        assert await cluster.delete(CONFIGMAP, "team", "a")
        assert not await cluster.delete(CONFIGMAP, "team", "a")

    async def test_an_object_with_a_finalizer_goes_when_the_finalizer_does(self, cluster: Cluster) -> None:
        held = note("a")
        held["metadata"]["finalizers"] = ["example.org/held"]
        await cluster.create(held)
        assert await cluster.delete(CONFIGMAP, "team", "a")
        found = await cluster.get(CONFIGMAP, "team", "a")
        assert found is not None and found["metadata"]["deletionTimestamp"]
        await cluster.patch(CONFIGMAP, "team", "a", {"metadata": {"finalizers": None}})
        assert await cluster.get(CONFIGMAP, "team", "a") is None

    async def test_what_an_object_owns_goes_with_it(self, cluster: Cluster) -> None:
        owner = await cluster.create(note("owner"))
        owned = note("owned")
        reference = {key: owner["metadata"][key] for key in ("name", "uid")}
        owned["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", **reference}]
        await cluster.create(owned)
        await cluster.delete(CONFIGMAP, "team", "owner")
        async with asyncio.timeout(30):
            while await cluster.get(CONFIGMAP, "team", "owned"):  # noqa: ASYNC110  a cluster is asked, not awaited
                await asyncio.sleep(0.01)

    async def test_a_secret_given_as_text_is_kept_encoded(self, cluster: Cluster) -> None:
        meta = {"name": "token", "namespace": "team"}
        await cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"token": "abc"}})
        found = await cluster.get(SECRET, "team", "token")
        assert found is not None and found["data"] == {"token": "YWJj"} and "stringData" not in found

    async def test_a_watch_tells_what_is_there_then_what_happens(self, cluster: Cluster) -> None:
        await cluster.create(note("a", labels={"colour": "red"}))
        watch = cluster.watch(CONFIGMAP, namespace="team", labels="colour=red")
        assert await _next(watch, 2) == [("ADDED", "a"), ("SYNCED", "")]
        await cluster.create(note("b", labels={"colour": "red"}))
        await cluster.create(note("c", labels={"colour": "blue"}))
        await cluster.patch(CONFIGMAP, "team", "b", {"data": {"size": "1"}})
        await cluster.delete(CONFIGMAP, "team", "a")
        await cluster.patch(CONFIGMAP, "team", "b", {"metadata": {"labels": {"colour": "blue"}}})
        await cluster.patch(CONFIGMAP, "team", "c", {"metadata": {"labels": {"colour": "red"}}})
        told = await _next(watch, 5)
        assert told == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a"), ("DELETED", "b"), ("ADDED", "c")]


async def _next(watch: AsyncIterator[tuple[str, Object]], count: int) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    async with asyncio.timeout(30):
        while len(told) < count:
            type, obj = await anext(watch)
            told.append((type, (obj.get("metadata") or {}).get("name", "")))
    return told
