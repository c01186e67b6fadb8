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
            *_nodes(layout),
            # More threads than cores is the commonest reason why training on CPUs crawls.
            variable("OMP_NUM_THREADS", max(1, layout.cores // procs)),
        )
        return Shape(env=env, ports=(container_port("torch", layout.port),))

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        elastic = elastic_causes(policy["elasticPolicy"]) if "elasticPolicy" in policy else []
        return [*unknown_keys(policy, KEYS), *bad_processes(policy), *elastic]


def _nodes(layout: Layout) -> tuple[dict[str, Any], ...]:
    """Also of elastic jobs: after the loss of a node they begin again with those there are. torchrun's own way, a new
    rendezvous of those who are left, took more than a minute when an agent was killed (2.13); this takes seconds."""
    return (
        variable("PET_NNODES", layout.num_nodes),
        variable("PET_NODE_RANK", INDEX),
        variable("PET_MASTER_ADDR", layout.host(0)),
        variable("PET_MASTER_PORT", layout.port),
    )
