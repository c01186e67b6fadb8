"""Any program that needs no launcher: it learns its rank and the number of nodes, and no more."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.trainer.domain.frameworks import Layout, Shape, variable


class Plain:
    policy = ""

    def shape(self, layout: Layout) -> Shape:
        """Programs of an elastic job are on their own: one that ends is made again, the others are left alone."""
        is_elastic = layout.min_nodes is not None or layout.max_nodes is not None
        spares = (3 if layout.max_restarts is None else layout.max_restarts) if is_elastic else 0
        told = {"MILLSTREAM_NUM_NODES": layout.num_nodes, "MILLSTREAM_NUM_PROC_PER_NODE": layout.processes(1)}
        return Shape(env=tuple(variable(name, value) for name, value in told.items()), spares=spares)

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return ()
