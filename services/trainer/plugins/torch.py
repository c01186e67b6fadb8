"""PyTorch through torchrun, which reads PET_* variables (torch.distributed.run); gloo where there is no accelerator."""

from typing import Any

from services.trainer.domain.frameworks import Layout, Shape
from services.trainer.domain.words import COMPLETION_INDEX, child_job


class Torch:
    policy = "torch"

    def shape(self, layout: Layout) -> Shape:
        """One process per accelerator, else one per whole core, unless the job says how many."""
        procs = layout.num_proc_per_node or layout.devices or max(1, int(layout.cpu))
        threads = max(1, int(layout.cpu) // procs)
        env = (
            _value("PET_NNODES", layout.num_nodes),
            _value("PET_NPROC_PER_NODE", procs),
            {"name": "PET_NODE_RANK", "valueFrom": {"fieldRef": {"fieldPath": _INDEX}}},
            _value("PET_MASTER_ADDR", f"{child_job(layout.name)}-0.{layout.service}"),
            _value("PET_MASTER_PORT", layout.port),
            # More threads than cores is the commonest reason why training on CPUs crawls.
            _value("OMP_NUM_THREADS", threads),
        )
        return Shape(env=env, ports=({"name": "torch", "containerPort": layout.port, "protocol": "TCP"},))


_INDEX = f"metadata.annotations['{COMPLETION_INDEX}']"


def _value(name: str, value: object) -> dict[str, Any]:
    return {"name": name, "value": str(value)}
