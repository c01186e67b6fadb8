"""Any program that needs no launcher: it learns its rank and the number of nodes, and no more."""

from services.trainer.domain.frameworks import Layout, Shape


class Plain:
    policy = ""

    def shape(self, layout: Layout) -> Shape:
        return Shape(env=({"name": "MILLSTREAM_NUM_NODES", "value": str(layout.num_nodes)},))
