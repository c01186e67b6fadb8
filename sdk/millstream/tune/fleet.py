"""The ranks that train together: their group, the model spread over them, and what must be gathered from them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict as sd


@contextmanager
def fleet() -> Iterator[tuple[int, int, torch.device]]:
    """(rank, world size, this rank's device). NCCL between accelerators, gloo between processors."""
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield int(os.environ.get("RANK", "0")), world, device
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def spread(model: Any, how: str, device: torch.device) -> Any:
    """What to call instead of the model: gradients are averaged (ddp), or weights and all are divided (fsdp)."""
    if not dist.is_initialized():
        return model
    if how == "fsdp":
        return _sharded(model, device)
    # Frozen weights are the same everywhere from the start, and quantized ones no collective understands.
    frozen = [name for name, part in model.named_parameters() if not part.requires_grad]
    torch.nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
        model, [*frozen, *(name for name, _ in model.named_buffers())]
    )
    return torch.nn.parallel.DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def _sharded(model: Any, device: torch.device) -> Any:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    kinds = set(getattr(model, "_no_split_modules", None) or ())
    for part in list(model.modules()):
        if type(part).__name__ in kinds:
            fully_shard(part, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def averaged(value: float, device: torch.device) -> float:
    """The mean over all ranks."""
    if not dist.is_initialized():
        return value
    held = torch.tensor(value, device=device)
    dist.all_reduce(held)
    return float(held) / dist.get_world_size()


class Learnt:
    """The trained weights and the optimizer's memory as a checkpoint keeps them: whole, on the processor.

    Every rank must call both methods, since shards are gathered and dealt out.
    """

    def __init__(self, model: Any, optimizer: torch.optim.Optimizer) -> None:
        self._model, self._optimizer = model, optimizer

    def state_dict(self) -> dict[str, Any]:
        whole = sd.StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
        model, optimizer = sd.get_state_dict(self._model, self._optimizer, options=whole)
        return {"model": model, "optimizer": optimizer}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        whole = sd.StateDictOptions(full_state_dict=True, strict=False)
        sd.set_state_dict(
            self._model,
            self._optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=whole,
        )


def weights(model: Any) -> dict[str, Any]:
    """All weights, whole; on ranks other than the first nothing."""
    return sd.get_model_state_dict(model, options=sd.StateDictOptions(full_state_dict=True, cpu_offload=True))
