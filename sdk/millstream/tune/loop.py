"""The training itself: steps that go on from the last checkpoint, with progress and loss told on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch

from millstream import training as mt
from millstream.tune import fleet
from millstream.tune.batches import Plan, collated
from millstream.tune.examples import IGNORED, Example
from millstream.tune.options import Options

LEARNING_RATE, LORA_LEARNING_RATE = 2e-5, 3e-4


def train(
    model: Any, called: Any, found: Sequence[Example], options: Options, where: tuple[int, int, torch.device], pad: int
) -> float:
    """`called` is the model as it is spread over the ranks. Returns the last step's loss, over all ranks."""
    rank, world, device = where
    per_step = options.batch_size * options.accumulate
    plan = Plan(len(found), per_step, world, options.epochs, options.seed, options.steps_per_epoch)
    top = options.learning_rate or (LORA_LEARNING_RATE if options.lora else LEARNING_RATE)
    learning = [part for part in model.parameters() if part.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=top, weight_decay=options.weight_decay)
    learnt = fleet.Learnt(model, optimizer)
    called.train()
    loss = math.nan
    for step in mt.steps(plan.steps, {"tune": learnt}, every=options.checkpoint_every):
        began = time.perf_counter()
        rate = top * rate_at(step, plan.steps, options.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = [found[number] for number in plan.indexes(step, rank)]
        own = _one_step(called, chosen, options, device, pad)
        if options.clip_norm:
            torch.nn.utils.clip_grad_norm_(learning, options.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss = fleet.averaged(own, device)
        _tell(rank, step, plan, loss, rate, sum(len(one.tokens) for one in chosen) * world, began)
    return loss


def _one_step(called: Any, chosen: list[Example], options: Options, device: torch.device, pad: int) -> float:
    """Gradients of all examples of a step, weighed by the tokens that the loss looks at."""
    learnt = sum(sum(label != IGNORED for label in one.labels[1:]) for one in chosen)
    total = 0.0
    parts = [chosen[n : n + options.batch_size] for n in range(0, len(chosen), options.batch_size)]
    for number, part in enumerate(parts):
        batch = {name: value.to(device) for name, value in collated(part, pad).items()}
        labels = batch.pop("labels")
        if hasattr(called, "require_backward_grad_sync"):  # the ranks meet once a step
            called.require_backward_grad_sync = number == len(parts) - 1
        scores = called(**batch, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            scores.flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        (loss / learnt).backward()
        total += float(loss.detach())
    return total / learnt


def rate_at(step: int, steps: int, warmup: int) -> float:
    """Up in a line, down along a cosine to a tenth."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2


def _tell(rank: int, step: int, plan: Plan, loss: float, rate: float, tokens: int, began: float) -> None:
    epoch = (step + 1) / plan.steps_per_epoch
    speed = tokens / max(time.perf_counter() - began, 1e-9)
    figures = {"loss": loss, "learning_rate": rate, "epoch": round(epoch, 3), "tokens_per_second": speed}
    mt.report(progress=100 * (step + 1) / plan.steps, metrics=figures)
    if rank == 0:
        told = f"step {step + 1}/{plan.steps} epoch {epoch:.2f} loss={loss:.4f} lr={rate:.2e}"
        print(f"{told} {speed:,.0f} tokens/s", flush=True)
