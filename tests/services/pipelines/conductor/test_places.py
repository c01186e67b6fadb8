"""What the cluster refuses holds up nobody else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from libs.base import SystemIds
from libs.base.errors import Forbidden, Invalid
from libs.cluster import NAMESPACE, SECRET
from libs.testing.clock import VirtualClock
from libs.testing.cluster import Address, MemoryCluster
from libs.testing.cluster_wire import connect
from services.pipelines.adapters.places import StepPlaces
from services.pipelines.domain.steps.pod import KEYS, Site
from tests.services.pipelines.conductor.rig import HERE, added, chain, rig, until, well

SITE = Site(url="http://pipelines", gateway="http://gateway", launcher=b"zip")


async def test_steps_that_a_quota_keeps_out_leave_their_place_to_others_and_come_later(tmp_path: Path):
    closed = True

    async with rig(tmp_path, added, limit=1) as here:
        create = here.cluster.create

        def guarded(at: Any, obj: Any) -> Any:
            if at.plural == "pods" and closed and obj["metadata"]["labels"]["millstream.dev/run"] == first.id:
                raise Forbidden("exceeded quota: small")
            return create(at, obj)

        here.cluster.create = guarded  # type: ignore[method-assign]
        first = await here.submit(chain(1, cached=False))
        async with here.leading():
            other = await here.over(await here.submit(chain(2, cached=False)))
            assert other.state == "SUCCEEDED"
            assert not (await here.run(first.id)).is_over
            closed = False
            assert (await here.over(first)).state == "SUCCEEDED"


async def test_steps_that_no_node_has_room_for_leave_their_place_to_others_but_do_not_become_ever_more(tmp_path: Path):
    full = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "Insufficient nvidia.com/gpu",
    }

    async with rig(tmp_path, added, limit=1) as here:

        def no_room(happening: Any) -> None:
            if happening.type == "ADDED" and happening.address.plural == "pods" and not here.plays:
                here.cluster.patch(happening.address, {"status": {"conditions": [full]}}, status=True)

        here.cluster.on_change.append(no_room)
        here.plays = False
        async with here.leading():
            for_gpus = [await here.submit(chain(1, cached=False))]
            await until(lambda: len(here.cluster.list("", "pods")) == 1)
            here.plays = True
            assert (await here.over(await here.submit(chain(2, cached=False)))).state == "SUCCEEDED"
            here.plays = False
            for_gpus += [await here.submit(chain(1, cached=False)) for _ in range(2)]
            await until(lambda: here.conductor.pods.counts == {"waiting": 1, "running": 2})
            assert not any([(await here.run(run.id)).is_over for run in for_gpus])
            here.plays = True
            for pod in here.cluster.list("", "pods"):  # somebody puts two GPUs in
                at = Address("", "pods", "team", pod["metadata"]["name"])
                if not pod["status"].get("phase"):
                    await here.play_pod(at)
            assert {(await here.over(run)).state for run in for_gpus} == {"SUCCEEDED"}


async def test_a_pod_that_the_cluster_will_never_have_fails_its_step_with_the_cause(tmp_path: Path):
    async with rig(tmp_path, added) as here, here.leading():

        def refuse(at: Any, obj: Any) -> Any:
            raise Invalid("spec.containers[0].image: must not have spaces")

        here.cluster.create = refuse  # type: ignore[method-assign]
        run = await here.over(await here.submit(chain(1, cached=False)))
        assert run.state == "FAILED"
        assert "must not have spaces" in run.error
        await until(lambda: here.conductor.pods.counts == {"waiting": 0, "running": 0})


async def test_a_pod_that_can_never_start_fails_its_step_instead_of_keeping_its_place_for_ever(tmp_path: Path):
    async with rig(tmp_path, added) as here:
        run = await here.submit(chain(1, cached=False))
        here.plays = False
        waiting = {"reason": "InvalidImageName", "message": "couldn't parse image name"}
        status = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": waiting}}]}

        def spoil(happening: Any) -> None:
            if happening.type == "ADDED" and happening.address.plural == "pods":
                here.cluster.patch(happening.address, {"status": status}, status=True)

        here.cluster.on_change.append(spoil)
        async with here.leading():
            run = await here.over(run)
        assert run.state == "FAILED"
        assert "couldn't parse image name" in run.error


async def test_a_workspace_is_there_before_the_first_pod_and_goes_when_the_run_has_succeeded(tmp_path: Path):
    spec = HERE.joinpath("tests/services/pipelines/golden/kfp_2.17.0/workspace.yaml").read_text()
    claims: list[int] = []

    async with rig(tmp_path, well) as here:

        def count(happening: Any) -> None:
            if happening.type == "ADDED" and happening.address.plural == "pods":
                claims.append(len(here.cluster.list("", "persistentvolumeclaims", "team")))

        here.cluster.on_change.append(count)
        async with here.leading():
            run = await here.over(await here.submit(spec, {"uri": "s3://millstream/pipelines/team/words"}))
            assert run.state == "SUCCEEDED", run.error
            assert claims and set(claims) == {1}
            await until(lambda: not here.cluster.list("", "persistentvolumeclaims", "team"))


@pytest.mark.parametrize(("label", "setting", "restricted"), [
    ("restricted", False, True), ("baseline", False, False), ("baseline", True, True), ("hidden", False, False),
])  # fmt: skip
async def test_pods_are_as_their_namespace_asks_for(label: str, setting: bool, restricted: bool):
    clock, ids = VirtualClock(), SystemIds()
    cluster = MemoryCluster(clock, ids)
    wire = connect(cluster)
    meta = {"name": "team", "labels": {"pod-security.kubernetes.io/enforce": label}}
    await wire.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    get = wire.get

    async def guarded(resource: Any, namespace: str | None, name: str) -> Any:
        if label == "hidden" and resource == NAMESPACE:
            raise Forbidden("namespaces are not for you")
        return await get(resource, namespace, name)

    wire.get = guarded  # type: ignore[method-assign]
    places = StepPlaces(wire, clock, secret, replace(SITE, restricted=setting))
    for _ in range(2):
        assert (await places.ensure("team")).restricted is restricted
    assert await get(SECRET, "team", KEYS) is not None


async def secret() -> bytes:
    return b"the service's own"
