"""What a fine-tuning leaves: a model folder in Hugging Face format, and the adapter in `adapter/` below it."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from millstream import training as mt
from millstream.tune import fleet
from millstream.tune.models import DTYPES
from millstream.tune.options import Options

ADAPTER = "adapter"


def save(model: Any, tokenizer: Any, options: Options, rank: int) -> str | None:
    """Where the model is, on the first rank; the others only help to gather it."""
    gathered = fleet.weights(model) if options.distributed == "fsdp" or not options.lora else None
    if rank:
        return None
    with ExitStack() as stack:
        folder = Path(options.output or stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        if options.lora:
            model.save_pretrained(folder / ADAPTER, state_dict=gathered)
            if options.merged:
                _merged(options, folder / ADAPTER).save_pretrained(folder)
        else:
            model.save_pretrained(folder, state_dict=gathered)
        tokenizer.save_pretrained(folder)
        if os.environ.get("MILLSTREAM_MODEL_URI"):
            return mt.save_model(folder)
        return str(folder) if options.output else None


def _merged(options: Options, adapter: Path) -> Any:
    """The adapter added to the weights as they were before they were quantized."""
    fresh = AutoModelForCausalLM.from_pretrained(options.model, dtype=DTYPES[options.dtype], local_files_only=True)
    with torch.no_grad():
        return PeftModel.from_pretrained(fresh, str(adapter)).merge_and_unload()
