"""Loads a model and its tokenizer from a folder, and puts adapters into it as asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from millstream.tune.errors import TuneError
from millstream.tune.options import Lora, Options

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
OWN_NAMES = {"output_proj": "o_proj"}
"""torchtune's word for a module where Hugging Face's models say another one."""
MLP, OUTPUT = ("gate_proj", "up_proj", "down_proj"), "lm_head"


def tokenizer_of(folder: str) -> Any:
    _present(folder)
    try:
        found = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise TuneError(f"{folder} has no tokenizer that can be read: {_line(error)}") from error
    if found.pad_token_id is None:
        found.pad_token = found.eos_token or found.convert_ids_to_tokens(0)
    return found


def base(options: Options, device: torch.device) -> Any:
    """The model as it was, in memory on `device`; quantized to 4 bits (NF4) where LoRA asks for that."""
    _present(options.model)
    more: dict[str, Any] = {}
    if options.lora and options.lora.quantize:
        kind = DTYPES[options.dtype]
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=kind
        )
        more["device_map"] = {"": device}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            options.model, dtype=DTYPES[options.dtype], local_files_only=True, **more
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise TuneError(f"{options.model} holds no causal language model that can be read: {_line(error)}") from error
    model.config.use_cache = False
    return model if more else model.to(device)


def adapted(model: Any, lora: Lora) -> Any:
    """With adapters in the named modules, which alone are trained."""
    if lora.quantize:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_dora=lora.dora,
        target_modules=_modules(model, lora),
    )
    return get_peft_model(model, config)


def _modules(model: Any, lora: Lora) -> list[str]:
    linear = {name.rpartition(".")[2] for name, part in model.named_modules() if "Linear" in type(part).__name__}
    linear |= {name.rpartition(".")[2] for name, part in model.named_modules() if type(part).__name__ == "Conv1D"}
    wanted = [name if name in linear else OWN_NAMES.get(name, name) for name in lora.modules]
    wanted += [*(MLP if lora.mlp else ()), *((OUTPUT,) if lora.output else ())]
    if missing := [name for name in wanted if name not in linear]:
        told = f"this model has no module {', '.join(missing)}; it has {', '.join(sorted(linear))}"
        raise TuneError(f"{told}: name those in model.lora_attn_modules")
    return wanted


def trainable(model: Any) -> tuple[int, int]:
    """(numbers that are trained, numbers in all)."""
    sizes = [(part.numel(), part.requires_grad) for part in model.parameters()]
    return sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes)


def length_max(folder: str, asked: int | None, otherwise: int = 2048) -> int:
    """Tokens that fit into the model; what was asked for must not be more."""
    told = json.loads((Path(folder) / "config.json").read_text())
    known = told.get("max_position_embeddings") or (told.get("text_config") or {}).get("max_position_embeddings")
    if asked and known and asked > known:
        raise TuneError(f"tokenizer.max_seq_len={asked}: this model takes at most {known} tokens")
    return asked or min(known or otherwise, otherwise)


def _present(folder: str) -> None:
    if not (Path(folder) / "config.json").exists():
        there = ", ".join(sorted(file.name for file in Path(folder).glob("*"))[:10]) or "nothing"
        remedy = "give the job initializer.model, or checkpointer.checkpoint_dir"
        raise TuneError(f"there is no model at {folder} (config.json is missing; it holds {there}): {remedy}")


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
