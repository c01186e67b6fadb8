"""PaddlePaddle: `python -m paddle.distributed.launch` reads PADDLE_* and starts the processes of its node itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.trainer.domain import rendezvous
from services.trainer.domain.frameworks import (
    INDEX,
    Layout,
    Shape,
    bad_processes,
    container_port,
    unknown_keys,
    variable,
)


class Paddle:
    """`policy` is ours: upstream's Trainer serves PaddlePaddle no more."""

    policy = "paddle"

    def shape(self, layout: Layout) -> Shape:
        """The first node's launcher opens the store at the master's port; the processes' own ports follow it."""
        processes = layout.processes(max(1, layout.devices))
        shared = rendezvous.paddle(f"{layout.host(0)}:{layout.port}", layout.num_nodes, processes, layout.name)
        env = (*(variable(name, value) for name, value in shared.items()), variable("PADDLE_RANK", INDEX))
        return Shape(env=env, ports=(container_port("paddle", layout.port),))

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [*unknown_keys(policy, ("numProcPerNode",)), *bad_processes(policy)]
