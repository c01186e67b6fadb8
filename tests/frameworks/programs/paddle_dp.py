"""Paddle's data parallel on two nodes over gloo."""

import numpy as np
import paddle
import paddle.distributed as dist

paddle.set_device("cpu")
dist.init_parallel_env()
rank, size = dist.get_rank(), dist.get_world_size()
paddle.seed(0)
model = paddle.DataParallel(paddle.nn.Linear(4, 1))
optimizer = paddle.optimizer.SGD(0.1, parameters=model.parameters())
features = np.random.default_rng(rank).normal(size=(32, 4)).astype(np.float32)
inputs, target = paddle.to_tensor(features), paddle.to_tensor(features.sum(axis=1, keepdims=True))
for step in range(10):
    loss = paddle.nn.functional.mse_loss(model(inputs), target)
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    shared = loss.detach().clone()
    dist.all_reduce(shared)
    if rank == 0:
        print(f"size {size} step {step} loss {float(shared) / size:.6f}", flush=True)
