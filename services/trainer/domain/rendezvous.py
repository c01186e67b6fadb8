"""How frameworks are told who takes part, as pure functions over names and numbers; who asks knows what a job is."""

import json
from collections.abc import Mapping, Sequence


def tf_config(cluster: Mapping[str, Sequence[str]], role: str, index: object, *, environment: str = "") -> str:
    """TF_CONFIG: the addresses (host:port) of each role's tasks, and which of them the reader is.

    `index` may be text that Kubernetes expands, such as $(JOB_COMPLETION_INDEX); it stands there as a number.
    """
    mark = "__INDEX__"
    told = {"cluster": {name: list(tasks) for name, tasks in cluster.items()}, "task": {"type": role, "index": mark}}
    if environment:
        told["environment"] = environment  # type: ignore[assignment]
    return json.dumps(told).replace(f'"{mark}"', str(index))


def addresses(hosts: Sequence[str], ports: Sequence[int]) -> list[str]:
    """host:port of every process, one for each of `ports`; those of one host follow each other."""
    each = len(ports) // len(hosts)
    return [f"{hosts[number // each]}:{port}" for number, port in enumerate(ports)]


def hostfile(hosts: Sequence[str], slots: int) -> str:
    """OpenMPI's, for `mpirun --hostfile`."""
    return "".join(f"{host} slots={slots}\n" for host in hosts)


def xgboost(tracker: str, port: int, workers: int) -> dict[str, str]:
    """What XGBoost's collective (rabit) reads; DMLC_TASK_ID, the worker's own number, is the asker's to add."""
    return {"DMLC_TRACKER_URI": tracker, "DMLC_TRACKER_PORT": str(port), "DMLC_NUM_WORKER": str(workers)}


def paddle(master: str, nodes: int, processes: int, name: str) -> dict[str, str]:
    """What `python -m paddle.distributed.launch` reads instead of its options; PADDLE_RANK is the asker's to add."""
    return {
        "PADDLE_MASTER": master,
        "PADDLE_NNODES": str(nodes),
        "PADDLE_NPROC_PER_NODE": str(processes),
        "PADDLE_JOB_ID": name,
    }


def jax(coordinator: str, port: int, processes: int) -> dict[str, str]:
    """Upstream's names for what a program hands to `jax.distributed.initialize`; JAX_PROCESS_ID is the asker's."""
    return {
        "JAX_COORDINATOR_ADDRESS": f"{coordinator}:{port}",
        "JAX_COORDINATOR_PORT": str(port),
        "JAX_NUM_PROCESSES": str(processes),
    }
