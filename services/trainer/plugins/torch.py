"""PyTorch through torchrun, which reads PET_* variables (torch.distributed.run); gloo where there is no accelerator."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.trainer.domain.elastic import elastic_causes
from services.trainer.domain.frameworks import (
    INDEX,
    Layout,
    Shape,
    bad_processes,
    container_port,
    unknown_keys,
    variable,
)

KEYS = ("numProcPerNode", "elasticPolicy", "envInjection")


class Torch:
    policy = "torch"

    def shape(self, layout: Layout) -> Shape:
        """One process per accelerator, else one per whole core, unless the job says how many."""
        procs = layout.processes(layout.devices or layout.cores)
        env = (
            variable("PET_NPROC_PER_NODE", procs),
            *(_elastic(layout) if layout.min_nodes or layout.max_nodes else _fixed(layout)),
            # More threads than cores is the commonest reason why training on CPUs crawls.
            variable("OMP_NUM_THREADS", max(1, layout.cores // procs)),
        )
        is_elastic = bool(layout.min_nodes or layout.max_nodes)
        spares = _restarts(layout) if is_elastic else 0
        return Shape(env=env, ports=(container_port("torch", layout.port),), spares=spares)

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        elastic = elastic_causes(policy["elasticPolicy"]) if "elasticPolicy" in policy else []
        return [*unknown_keys(policy, KEYS), *bad_processes(policy), *elastic]


def _fixed(layout: Layout) -> tuple[dict[str, Any], ...]:
    return (
        variable("PET_NNODES", layout.num_nodes),
        variable("PET_NODE_RANK", INDEX),
        variable("PET_MASTER_ADDR", layout.host(0)),
        variable("PET_MASTER_PORT", layout.port),
    )


def _elastic(layout: Layout) -> tuple[dict[str, Any], ...]:
    """Nodes meet at the first one's store and get their ranks there; who is lost is waited for and taken in again."""
    least = layout.min_nodes or min(layout.num_nodes, layout.max_nodes or layout.num_nodes)
    most = layout.max_nodes or max(least, layout.num_nodes)
    return (
        variable("PET_NNODES", f"{least}:{most}"),
        variable("PET_RDZV_BACKEND", "c10d"),
        variable("PET_RDZV_ENDPOINT", f"{layout.host(0)}:{layout.port}"),
        variable("PET_RDZV_ID", layout.name),
        variable("PET_MAX_RESTARTS", _restarts(layout)),
    )


def _restarts(layout: Layout) -> int:
    return 3 if layout.max_restarts is None else layout.max_restarts
