"""The API server is told whom to trust, for the platform's APIServices and no others."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from millstream.cluster import trustees
from millstream.errors import ClientError

from libs.base import NotFound, SeededIds, SystemClock
from libs.cluster import Cluster
from libs.testing.clock import VirtualClock
from libs.testing.cluster import MemoryCluster
from libs.testing.cluster_wire import connect


def api_service(name: str, part_of: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "labels": {"app.kubernetes.io/part-of": part_of}}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": meta, "spec": spec}


@pytest.fixture
def cluster() -> Cluster:
    return connect(MemoryCluster(SystemClock(), SeededIds(1)))


async def told(cluster: Cluster, name: str) -> Any:
    found = await cluster.get(trustees.APISERVICE, None, name)
    assert found is not None
    return found["spec"]


async def test_ours_are_told_of_the_authorities_and_others_are_let_be(cluster: Cluster) -> None:
    await cluster.create(api_service("v1.ours.org", "millstream", insecureSkipTLSVerify=True))
    await cluster.create(api_service("v1.theirs.org", "metrics-server", caBundle="theirs"))
    said: list[str] = []
    await trustees.ensure(cluster, "old and new", said.append)
    assert await told(cluster, "v1.ours.org") == {"caBundle": base64.b64encode(b"old and new").decode()}
    assert await told(cluster, "v1.theirs.org") == {"caBundle": "theirs"}
    await trustees.ensure(cluster, "old and new", said.append)
    assert said == ["changed  APIService v1.ours.org: caBundle", "kept     APIService v1.ours.org"]


async def test_an_api_server_that_aggregates_nothing_is_no_error() -> None:
    class Laptop:
        async def list(self, *_: object, **__: object) -> list[object]:
            raise NotFound("there is no such kind")

    said: list[str] = []
    await trustees.ensure(Laptop(), "bundle", said.append)  # type: ignore[arg-type]
    assert said == ["kept     this API server aggregates no others"]


async def test_it_waits_for_those_that_are_applied_a_moment_later_and_names_those_that_never_come() -> None:
    clock = VirtualClock()
    memory = MemoryCluster(clock, SeededIds(1))
    cluster = connect(memory)
    await cluster.create(api_service("v1.ours.org", "millstream"))
    waiting = asyncio.create_task(trustees.wait(cluster, {"v1.ours.org", "v2.ours.org"}, clock, 300))
    await clock.advance(5)
    assert not waiting.done()
    await cluster.create(api_service("v2.ours.org", "millstream"))
    await clock.advance(5)
    await waiting
    late = asyncio.create_task(trustees.wait(cluster, {"v3.ours.org"}, clock, 300))
    await clock.advance(301)
    with pytest.raises(ClientError, match=r"no APIService v3.ours.org after 300 s: is component aggregated-apis"):
        await late
