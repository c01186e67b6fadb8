"""What the cluster has a say in: whose namespace a queue lets in, and where in a topology pods go."""

from pathlib import Path
from typing import Any

from contracts.commands.scheduling.v1 import Topology
from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted, WorkloadQueued
from libs.base.clock import SystemClock
from libs.base.ids import SeededIds
from libs.cluster import NAMESPACE, NODE, Resource
from libs.testing.cluster import Address, MemoryCluster
from tests.services.scheduler.rig import Rig, running, submit

LEVELS = [{"nodeLabel": "rack"}, {"nodeLabel": "kubernetes.io/hostname"}]


def _machines() -> MemoryCluster:
    clock = SystemClock()
    return MemoryCluster(clock, SeededIds(3, clock))


def _at(resource: Resource, name: str) -> Address:
    return Address(resource.group, resource.plural, "", name)


def _node(rack: str, name: str, cpu: str = "2") -> dict[str, Any]:
    labels = {"rack": rack, "kubernetes.io/hostname": name, "pool": "train"}
    room = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    status = {"allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


def _namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


async def test_a_queue_lets_in_whom_its_namespace_selector_names_and_others_as_soon_as_they_bear_the_label(
    tmp_path: Path,
):
    machines = _machines()
    machines.create(_at(NAMESPACE, "team"), _namespace("team"))
    async with running(tmp_path, machines=machines) as rig:
        await rig.queue("q", namespaceSelector={"matchLabels": {"tier": "gold"}})
        await rig.say(submit("a", queue="q"))
        assert isinstance(await rig.hear("a"), WorkloadQueued)
        machines.apply(_at(NAMESPACE, "team"), _namespace("team", tier="gold"))
        await rig.hears("a", WorkloadAdmitted)


async def _wired(rig: Rig) -> None:
    await rig.make("Topology", "topologies", "racks", {"levels": LEVELS})
    flavor = {"nodeLabels": {"pool": "train"}, "topologyName": "racks"}
    await rig.make("ResourceFlavor", "resourceflavors", "wired", flavor)
    await rig.queue("q", "16", flavor="wired")


def _near(name: str, nodes: int, **topology: Any) -> Any:
    pods = submit(name, nodes=nodes).pod_sets[0].model_copy(update={"topology": Topology(**topology)})
    return submit(name, queue="q", pod_sets=[pods])


async def test_pods_that_must_be_near_get_nodes_of_one_rack_or_wait(tmp_path: Path):
    machines = _machines()
    for rack, name in (("r1", "n1"), ("r1", "n2"), ("r2", "n3"), ("r2", "n4")):
        machines.create(_at(NODE, name), _node(rack, name))
    async with running(tmp_path, machines=machines) as rig:
        await _wired(rig)
        await rig.say(_near("a", 4, mode="required", level="rack"))
        given = (await rig.hears("a", WorkloadAdmitted)).pod_sets[0]
        assert given.topology_levels[-1] == "kubernetes.io/hostname"
        assert sum(domain.count for domain in given.topology) == 4
        assert {domain.values[-1] for domain in given.topology} in ({"n1", "n2"}, {"n3", "n4"})
        await rig.say(_near("b", 4, mode="required", level="rack"))
        await rig.hears("b", WorkloadAdmitted)
        await rig.say(_near("c", 1, mode="required", level="rack"))
        assert isinstance(await rig.hear("c"), WorkloadQueued)


async def test_a_job_whose_node_is_lost_gets_another_or_is_told_to_begin_again(tmp_path: Path):
    machines = _machines()
    machines.create(_at(NODE, "n1"), _node("r1", "n1"))
    async with running(tmp_path, machines=machines) as rig:
        await _wired(rig)
        await rig.say(_near("a", 2, mode="required", level="rack"))
        await rig.hears("a", WorkloadAdmitted)
        machines.delete(_at(NODE, "n1"))
        told = await rig.hear("a")
        assert isinstance(told, WorkloadEvicted) and told.reason == "NodeFailure"
