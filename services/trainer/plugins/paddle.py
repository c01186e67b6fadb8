"""PaddlePaddle: `python -m paddle.distributed.launch` reads PADDLE_* and starts the processes of its node itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.trainer.domain import rendezvous, words
from services.trainer.domain.frameworks import (
    INDEX,
    Layout,
    Role,
    Shape,
    bad_processes,
    container_port,
    unknown_keys,
    variable,
)

OWN_MASTER = '[ "$JOB_COMPLETION_INDEX" != 0 ] || export PADDLE_MASTER="127.0.0.1:$MILLSTREAM_MASTER_PORT"; exec "$@"'
"""The launcher opens the store only where the master's address is a number of its own host, never for a name."""


class Paddle:
    """`policy` is ours: upstream's Trainer serves PaddlePaddle no more."""

    policy = "paddle"

    def shape(self, layout: Layout) -> Shape:
        """The first node's launcher opens the store at the master's port; the processes' own ports follow it."""
        processes = layout.processes(max(1, layout.devices))
        shared = rendezvous.paddle(f"{layout.host(0)}:{layout.port}", layout.num_nodes, processes, layout.name)
        told = {**shared, "MILLSTREAM_MASTER_PORT": layout.port}
        env = (*(variable(name, value) for name, value in told.items()), variable("PADDLE_RANK", INDEX))
        role = Role(words.NODE, layout.num_nodes, before=("sh", "-c", OWN_MASTER, "sh"))
        return Shape(env=env, ports=(container_port("paddle", layout.port),), roles=(role,))

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [*unknown_keys(policy, ("numProcPerNode",)), *bad_processes(policy)]
