"""Fully sharded training on two nodes: each holds half of the weights; the loss of all goes down."""

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

dist.init_process_group()
rank, size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
whole = sum(weight.numel() for weight in model.parameters())
for layer in (model[0], model[2]):
    fully_shard(layer)
fully_shard(model)
held = sum(weight.to_local().numel() for weight in model.parameters())
assert held < whole, "every node holds a part only"
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
torch.manual_seed(rank)
features = torch.randn(64, 8)
target = features.sum(dim=1, keepdim=True)
for step in range(20):
    loss = torch.nn.functional.mse_loss(model(features), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    shared = loss.detach().clone()
    dist.all_reduce(shared)
    if rank == 0:
        print(f"size {size} step {step} loss {float(shared) / size:.6f}", flush=True)
dist.barrier()  # who leaves while another still speaks to it may be aborted by gloo
dist.destroy_process_group()
