"""DeepSpeed's engine on two nodes started by mpirun, on processors: gloo instead of nccl."""

import os

os.environ["DS_ACCELERATOR"] = "cpu"
import deepspeed
import torch

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # nodes share no memory, and it would be compiled now
deepspeed.init_distributed(dist_backend="gloo", auto_mpi_discovery=True)
rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
config = {"train_batch_size": 16 * size, "optimizer": {"type": "SGD", "params": {"lr": 0.1}}}
engine, *_ = deepspeed.initialize(
    model=model, model_parameters=model.parameters(), config=config, optimizer=torch.optim.SGD(model.parameters(), 0.1)
)
torch.manual_seed(rank)
features = torch.randn(16, 4)
target = features.sum(dim=1, keepdim=True)
for step in range(10):
    loss = torch.nn.functional.mse_loss(engine(features), target)
    engine.backward(loss)
    engine.step()
    shared = loss.detach().clone()
    torch.distributed.all_reduce(shared)
    if rank == 0:
        print(f"size {size} step {step} loss {float(shared) / size:.6f}", flush=True)
