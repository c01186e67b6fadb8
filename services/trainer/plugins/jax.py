"""JAX: every process calls jax.distributed.initialize with what these variables say; gloo where there is no device."""

from collections.abc import Mapping

from services.trainer.domain import rendezvous
from services.trainer.domain.frameworks import Layout
from services.trainer.plugins.several import ByVariables


class Jax(ByVariables):
    policy = "jax"
    rank = "JAX_PROCESS_ID"

    def told(self, layout: Layout, processes: int) -> Mapping[str, str]:
        backend = "nccl" if layout.devices else "gloo"
        shared = rendezvous.jax(layout.host(0), layout.port, layout.num_nodes * processes)
        return {**shared, "JAX_DISTRIBUTED_BACKEND": backend}
