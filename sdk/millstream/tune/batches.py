"""Which examples every rank sees in which step: a function of step, seed and numbers, so nothing has to be saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from millstream.tune.examples import IGNORED, Example


@dataclass(frozen=True)
class Plan:
    """`count` examples, `world` ranks, each with `batch_size` examples a step. All ranks have equally many."""

    count: int
    batch_size: int
    world: int
    epochs: int
    seed: int
    steps_max: int | None = None

    @property
    def steps_per_epoch(self) -> int:
        needed = -(-self.count // (self.batch_size * self.world))
        return min(needed, self.steps_max or needed)

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def indexes(self, step: int, rank: int) -> list[int]:
        """The examples of one step of one rank; the last step of an epoch may repeat some from its beginning."""
        epoch, within = divmod(step, self.steps_per_epoch)
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(self.seed * 1_000_003 + epoch))
        first = (within * self.world + rank) * self.batch_size
        return [int(order[number % self.count]) for number in range(first, first + self.batch_size)]


def collated(chosen: Sequence[Example], padding: int) -> dict[str, torch.Tensor]:
    """Filled up to the longest of them; neither attention nor loss sees the filling."""
    length = max(len(one.tokens) for one in chosen)

    def filled(values: list[list[int]], filler: int) -> torch.Tensor:
        return torch.tensor([row + [filler] * (length - len(row)) for row in values])

    return {
        "input_ids": filled([one.tokens for one in chosen], padding),
        "labels": filled([one.labels for one in chosen], IGNORED),
        "attention_mask": filled([[1] * len(one.tokens) for one in chosen], 0),
    }
