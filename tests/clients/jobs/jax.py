"""A JAXJob's program: the processes sum their gradients and descend together."""

import os

import jax

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_cpu_collectives_implementation", "gloo")
address = f"{os.environ['COORDINATOR_ADDRESS']}:{os.environ['COORDINATOR_PORT']}"
rank, size = int(os.environ["PROCESS_ID"]), int(os.environ["NUM_PROCESSES"])
jax.distributed.initialize(address, num_processes=size, process_id=rank)
import jax.numpy as jnp  # noqa: E402
from jax.experimental import multihost_utils  # noqa: E402

features = jax.random.normal(jax.random.PRNGKey(rank), (64, 4))
wanted = features.sum(axis=1)


def loss_of(weights):
    return jnp.mean((features @ weights - wanted) ** 2)


weights = jnp.zeros(4)
for step in range(15):
    loss, gradient = jax.value_and_grad(loss_of)(weights)
    weights -= 0.2 * multihost_utils.process_allgather(gradient).mean(axis=0)
    if step % 7 == 0:
        print("process", jax.process_index(), "of", jax.process_count(), "step", step, "loss", float(loss), flush=True)
