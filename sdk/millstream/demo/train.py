"""The demo's training program, run by torchrun on every node: a small convolutional network on 8x8 scans of digits.

It knows nothing of Kubernetes: torchrun's environment tells it its rank, the platform's where the data is and where
the model goes. Data parallel with gloo, so it needs no GPU.
"""

from __future__ import annotations

import argparse

import pyarrow.parquet as pq
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from millstream import training as mt

PIXEL_MAX = 16.0  # the scans have 17 grey levels


class Digits(nn.Module):
    """(batch, 64) grey levels 0..16 -> (batch, 10) scores."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 4 * 4, 10),
        )  # fmt: skip

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.layers((pixels / PIXEL_MAX).reshape(-1, 1, 8, 8))


def load(uri: str) -> TensorDataset:
    """Pixels (n, 64) float32 and labels (n,) int64 of a Parquet file with columns p0..p63 and label."""
    table = pq.read_table(mt.dataset(uri))
    pixels = [torch.tensor(table[f"p{i}"].to_numpy(), dtype=torch.float32) for i in range(64)]
    return TensorDataset(torch.stack(pixels, dim=1), torch.tensor(table["label"].to_numpy(), dtype=torch.int64))


def train(model: nn.Module, data: TensorDataset, epochs: int, rank: int, world: int) -> float:
    """Train in place; answers the mean loss of the last epoch, the same on every rank."""
    sampler = DistributedSampler(data, num_replicas=world, rank=rank, seed=7)
    loader = DataLoader(data, batch_size=32, sampler=sampler)
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    mean = torch.zeros(1)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        losses = []
        for pixels, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(parallel(pixels), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        mean = torch.stack(losses).mean().reshape(1)
        dist.all_reduce(mean)
        mean /= world
        if rank == 0:
            done = round(100 * (epoch + 1) / epochs)
            print(f"epoch {epoch + 1}/{epochs} loss={mean.item():.4f}", flush=True)
            mt.report(progress=done, metrics={"loss": mean.item(), "epoch": epoch + 1})
    return mean.item()


def save(model: nn.Module, loss: float, path: str = "model.pt2") -> None:
    """Export with a free batch dimension and hand the file to the platform."""
    batch = torch.export.Dim("batch", min=1)
    model.eval()
    exported = torch.export.export(model, (torch.zeros(2, 64),), dynamic_shapes={"pixels": {0: batch}})
    torch.export.save(exported, path)
    print("model saved to", mt.save_model(path), flush=True)
    mt.report(progress=100, metrics={"loss": loss})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", help="URI of the training Parquet file", required=True)
    options.add_argument("--epochs", type=int, default=8)
    given = options.parse_args()
    torch.manual_seed(7)
    torch.set_num_threads(1)  # several nodes share one laptop
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    print(f"node {rank} of {world} is here", flush=True)
    model = Digits()
    loss = train(model, load(given.data), given.epochs, rank, world)
    if rank == 0:
        save(model, loss)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
