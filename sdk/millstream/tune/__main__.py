"""`torchrun -m millstream.tune key=value ...`: reads, trains, saves; what the user can mend is told in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from millstream.tune.errors import TuneError
from millstream.tune.options import Options, parse


def main(words: Sequence[str]) -> int:
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    try:
        _tune(parse(words))
    except TuneError as error:
        print(f"tune: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _tune(options: Options) -> None:
    """1. look at the data, 2. load the model, 3. train, 4. save."""
    import torch
    from transformers.utils import logging

    from millstream.tune import fleet, loop, models, saving
    from millstream.tune.examples import examples
    from millstream.tune.rows import rows

    logging.disable_progress_bar()
    torch.manual_seed(options.seed)
    with fleet.fleet() as (rank, world, device):
        tokenizer = models.tokenizer_of(options.model)
        read = rows(options.data)
        found = examples(read, options.data, tokenizer, models.length_max(options.model, options.sequence_max))
        model = models.base(options, device)
        if options.lora:
            model = models.adapted(model, options.lora)
        if options.recompute:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        learnt, total = models.trainable(model)
        if rank == 0:
            print(f"{len(found)} of {len(read)} rows, {world} ranks, {learnt:,} of {total:,} weights learn", flush=True)
        called = fleet.spread(model, options.distributed, device)
        loss = loop.train(model, called, found, options, (rank, world, device), tokenizer.pad_token_id)
        place = saving.save(model, tokenizer, options, rank)
        if rank == 0:
            print(f"done: loss={loss:.4f}, model at {place}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
