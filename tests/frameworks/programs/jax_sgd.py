"""Data-parallel linear regression: every process has its own data, gradients are averaged over gloo."""

import os

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

jax.distributed.initialize(
    coordinator_address=os.environ["JAX_COORDINATOR_ADDRESS"],
    num_processes=int(os.environ["JAX_NUM_PROCESSES"]),
    process_id=int(os.environ["JAX_PROCESS_ID"]),
)
rank, size = jax.process_index(), jax.process_count()
rng = np.random.default_rng(rank)
features = rng.normal(size=(64, 4)).astype(np.float32)
target = features @ np.arange(1.0, 5.0, dtype=np.float32)
weights = jnp.zeros(4)


@jax.jit
def judge(weights):
    return jax.value_and_grad(lambda w: jnp.mean((features @ w - target) ** 2))(weights)


for step in range(20):
    loss, gradient = judge(weights)
    loss, gradient = (np.mean(part, axis=0) for part in multihost_utils.process_allgather((loss, gradient)))
    weights = weights - 0.1 * gradient
    if rank == 0:
        print(f"size {size} step {step} loss {float(loss):.6f}", flush=True)
