"""Any program that needs no launcher: it learns its rank and the number of nodes, and no more."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.trainer.domain.frameworks import Layout, Shape, variable


class Plain:
    policy = ""

    def shape(self, layout: Layout) -> Shape:
        return Shape(env=(variable("MILLSTREAM_NUM_NODES", layout.num_nodes),))

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return ()
