"""PyTorchJob: torch.distributed's variables for plain programs, torchrun's (PET_*) beside them.

Source of the names: Training Operator 1.9, pkg/controller.v1/pytorch; PyTorch, torch.distributed.run.
"""

from collections.abc import Sequence
from typing import Any

from contracts.kinds.quantity import amount
from services.trainer.domain.legacy.family import Crew, EnvVar, Family, Job, Replica, Tallies, all_workers_done, value


def environment(crew: Crew, replica: Replica) -> Sequence[EnvVar]:
    """Ranks are told where there is a master; without one torchrun's rendezvous gives them."""
    spec = crew.job["spec"]
    env = [value("PET_NPROC_PER_NODE", _processes(crew, replica))]
    if crew.of("Master"):
        master, rank = crew.first("Master"), crew.rank(replica)
        env += [value(f"{prefix}MASTER_ADDR", master.host) for prefix in ("", "PET_")]
        env += [value(f"{prefix}MASTER_PORT", master.port) for prefix in ("", "PET_")]
        env += [value("WORLD_SIZE", len(crew.replicas) * _explicit(spec)), value("RANK", rank)]
        env += [value("PET_NODE_RANK", rank)]
    elastic = spec.get("elasticPolicy")
    return [*env, *(_elastic(crew, elastic) if elastic else [value("PET_NNODES", len(crew.replicas))])]


def _explicit(spec: dict[str, Any]) -> int:
    """Processes per node as far as the job says a number; WORLD_SIZE counts by it, as upstream does."""
    given = str(spec.get("nprocPerNode") or "")
    return int(given) if given.isdigit() else 1


def _processes(crew: Crew, replica: Replica) -> int:
    """A number also for `auto`: torchrun would count the machine's devices and cores, not the pod's."""
    spec = crew.job["spec"]
    given = str(spec.get("nprocPerNode") or "")
    limits = _limits(spec["pytorchReplicaSpecs"][replica.role]["template"])
    devices = int(sum(amount(found) for name, found in limits.items() if name.partition("/")[2].startswith(_DEVICES)))
    cores = max(1, int(amount(limits.get("cpu", 1))))
    if given.isdigit():
        return int(given)
    return cores if given == "cpu" else devices or (1 if given == "gpu" else cores)


_DEVICES = ("gpu", "mig-")


def _limits(template: dict[str, Any]) -> dict[str, Any]:
    [found] = [c for c in template["spec"]["containers"] if c["name"] == PYTORCH.container]
    resources = found.get("resources") or {}
    return {**(resources.get("requests") or {}), **(resources.get("limits") or {})}


def _elastic(crew: Crew, policy: dict[str, Any]) -> list[EnvVar]:
    first, workers = crew.first("Worker"), len(crew.of("Worker"))
    least, most = policy.get("minReplicas"), policy.get("maxReplicas")
    nodes = f"{least or workers}:{most or workers}" if least or most else workers
    host, port = policy.get("rdzvHost") or first.host, policy.get("rdzvPort") or first.port
    env = [value("PET_RDZV_ENDPOINT", f"{host}:{port}"), value("PET_RDZV_BACKEND", policy.get("rdzvBackend") or "c10d")]
    env += [value("PET_NNODES", nodes), value("PET_RDZV_ID", policy.get("rdzvId") or crew.job["metadata"]["name"])]
    if policy.get("maxRestarts") is not None:
        env.append(value("PET_MAX_RESTARTS", policy["maxRestarts"]))
    if policy.get("nProcPerNode"):
        env.append(value("PET_NPROC_PER_NODE", policy["nProcPerNode"]))
    if policy.get("rdzvConf"):
        env.append(value("PET_RDZV_CONF", ",".join(f"{c['key']}={c['value']}" for c in policy["rdzvConf"])))
    return [*env, value("PET_STANDALONE", "")] if policy.get("standalone") else env


def _done(job: Job, tallies: Tallies) -> bool:
    """Of an elastic job the first worker that ends well tells the end: the others may be more than are needed."""
    if job["spec"].get("elasticPolicy"):
        return "Worker" in tallies and tallies["Worker"].succeeded > 0
    return all_workers_done(job, tallies)


PYTORCH = Family(
    kind="PyTorchJob",
    plural="pytorchjobs",
    specs="pytorchReplicaSpecs",
    container="pytorch",
    port_name="pytorchjob-port",
    restart="OnFailure",
    roles=("Master", "Worker"),
    leaders=("Master",),
    single=("Master",),
    env=environment,
    done=_done,
    defaults={"nprocPerNode": "auto"},
)
