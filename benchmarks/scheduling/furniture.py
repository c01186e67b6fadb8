"""What stands before the first workload comes: queues, cohorts, flavors, and the machines of the cluster."""

from typing import Any

from benchmarks.scheduling.shape import Shape
from libs.resources import Resources
from libs.service.shell import Service
from services.scheduler.adapters.kinds import CLUSTER_QUEUE, COHORT, FLAVOR, LOCAL_QUEUE, TOPOLOGY

API = "kueue.x-k8s.io/v1beta2"
GROUP = {"tas-node-group": "tas"}
LEVELS = ("cloud.provider.com/topology-block", "cloud.provider.com/topology-rack", "kubernetes.io/hostname")


async def furnish(service: Service, shape: Shape) -> None:
    """As an administrator makes them."""
    async with service.ports.store.write() as uow:
        await _make(service.ports.resources.view(uow), shape)


def surroundings(shape: Shape) -> list[dict[str, Any]]:
    """The namespace, and the nodes of all racks."""
    found: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}}]
    for rack in range(shape.racks):
        for host in range(64):
            name = f"node-{rack}-{host}"
            labels = GROUP | dict(zip(LEVELS, ("block-0", f"rack-{rack}", name), strict=True))
            room = {"cpu": "96", "memory": "256Gi", "pods": "110"}
            status = {"allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
            metadata = {"name": name, "labels": labels}
            found.append({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status})
    return found


async def _make(resources: Resources, shape: Shape) -> None:
    topology = {"topologyName": "racks"} if shape.racks else {}
    if shape.racks:
        levels = [{"nodeLabel": label} for label in LEVELS]
        await resources.create(TOPOLOGY, _obj("Topology", "racks", {"levels": levels}))
    await resources.create(
        FLAVOR, _obj("ResourceFlavor", "machines", {"nodeLabels": GROUP if shape.racks else {}, **topology})
    )
    for cohort in range(shape.cohorts):
        await resources.create(COHORT, _obj("Cohort", f"cohort-{cohort}", {}))
        for number in range(shape.queues):
            name = f"queue-{cohort}-{number}"
            await resources.create(CLUSTER_QUEUE, _obj("ClusterQueue", name, _queue(shape, f"cohort-{cohort}")))
            await resources.create(LOCAL_QUEUE, _obj("LocalQueue", name, {"clusterQueue": name}, "bench"))


def _queue(shape: Shape, cohort: str) -> dict[str, Any]:
    quota = {"name": "cpu", "nominalQuota": str(shape.nominal)}
    limit = {} if shape.borrowing is None else {"borrowingLimit": str(shape.borrowing)}
    flavors = [{"name": "machines", "resources": [{**quota, **limit}]}]
    return {
        "cohortName": cohort,
        "namespaceSelector": {},
        "resourceGroups": [{"coveredResources": ["cpu"], "flavors": flavors}],
        "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
    }


def _obj(kind: str, name: str, spec: dict[str, Any], namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}
