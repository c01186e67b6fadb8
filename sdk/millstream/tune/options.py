"""What is to be done, read from words like `dtype=bf16 dataset.split=train model.lora_rank=8`, checked early."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from millstream.tune.errors import TuneError

LOSSES = ("CEWithChunkedOutputLoss", "LinearCrossEntropyLoss", "CrossEntropyLoss")
"""torchtune's names of cross-entropy. They differ in how much memory they take, not in what comes out."""
KINDS = {
    "instruct_dataset": "instruct",
    "alpaca_dataset": "instruct",
    "alpaca_cleaned_dataset": "instruct",
    "chat_dataset": "chat",
    "text_completion_dataset": "text",
}


@dataclass(frozen=True)
class Data:
    """`kind` is None where the columns are to tell. `files` wins over `folder`."""

    folder: str = "/workspace/dataset"
    files: str | None = None
    source: str | None = None
    kind: str | None = None
    split: str = "train"
    train_on_input: bool = False
    system: str | None = None
    column_map: dict[str, str] | None = None


@dataclass(frozen=True)
class Lora:
    """`modules` in torchtune's words or the model's own; `quantize` makes it QLoRA, `dora` DoRA."""

    modules: tuple[str, ...] = ("q_proj", "v_proj", "output_proj")
    mlp: bool = False
    output: bool = False
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    quantize: bool = False
    dora: bool = False


@dataclass(frozen=True)
class Options:
    data: Data
    lora: Lora | None
    model: str = "/workspace/model"
    output: str | None = None
    dtype: str = "fp32"
    loss: str = LOSSES[0]
    batch_size: int = 2
    accumulate: int = 1
    epochs: int = 1
    steps_per_epoch: int | None = None
    sequence_max: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_steps: int = 0
    clip_norm: float | None = 1.0
    seed: int = 0
    checkpoint_every: int = 100
    distributed: str = "ddp"
    recompute: bool = False
    merged: bool = True


def parse(words: Sequence[str]) -> Options:
    """Raises TuneError naming the word. Of a word said twice the last one counts: a job's come after its runtime's."""
    groups: dict[str, dict[str, Any]] = {"": {}, "data": {}, "lora": {}}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise TuneError(f"{word!r} is no setting: write key=value")
        if key not in WORDS:
            near = difflib.get_close_matches(key, WORDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(WORDS)}"
            raise TuneError(f"{key!r} is not known here; {hint}")
        group, name, read = WORDS[key]
        try:
            groups[group][name] = read(text)
        except (ValueError, SyntaxError) as error:
            raise TuneError(f"{key}={text}: {error}") from error
    return _checked(groups)


def _checked(groups: dict[str, dict[str, Any]]) -> Options:
    lora = Lora(**groups["lora"]) if groups["lora"] else None
    if lora and groups["lora"].keys() <= {"quantize", "dora"} and not (lora.quantize or lora.dora):
        lora = None  # both said and both refused: all weights are trained
    if lora and lora.quantize and lora.dora:
        raise TuneError("model.quantize_base and model.use_dora exclude each other here; choose one")
    options = Options(data=Data(**groups["data"]), lora=lora, **groups[""])
    if options.distributed == "fsdp" and options.lora and options.lora.quantize:
        raise TuneError("distributed=fsdp cannot shard a quantized model; use distributed=ddp with model.quantize_base")
    return options


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < least:
            raise ValueError(f"must be a whole number of at least {least}")
        return int(text)

    return read


def _number(least: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not value >= least:
            raise ValueError(f"must be at least {least:g}")
        return value

    return read


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be True or False")
    return text.lower() == "true"


def _one_of(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return text

    return read


def _share(text: str) -> float:
    value = _number(0)(text)
    if value >= 1:
        raise ValueError("must be below 1")
    return value


def _names(text: str) -> tuple[str, ...]:
    found = tuple(name.strip(" '\"") for name in text.strip("[]").split(",") if name.strip())
    if not found:
        raise ValueError("must name modules, like [q_proj,v_proj]")
    return found


def _map(text: str) -> dict[str, str]:
    value = ast.literal_eval(text)
    if not isinstance(value, dict) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise ValueError('must be like {"input": "question", "output": "answer"}')
    return value


def _kind(text: str) -> str:
    return KINDS[_one_of(*KINDS)(text.rpartition(".")[2])]


def _loss(text: str) -> str:
    return _one_of(*LOSSES)(text.rpartition(".")[2])


WORDS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "dtype": ("", "dtype", _one_of("bf16", "fp32")),
    "batch_size": ("", "batch_size", _whole(1)),
    "gradient_accumulation_steps": ("", "accumulate", _whole(1)),
    "epochs": ("", "epochs", _whole(1)),
    "max_steps_per_epoch": ("", "steps_per_epoch", _whole(1)),
    "seed": ("", "seed", _whole(0)),
    "loss": ("", "loss", _loss),
    "optimizer.lr": ("", "learning_rate", _number(0)),
    "optimizer.weight_decay": ("", "weight_decay", _number(0)),
    "lr_scheduler.num_warmup_steps": ("", "warmup_steps", _whole(0)),
    "clip_grad_norm": ("", "clip_norm", _number(0)),
    "enable_activation_checkpointing": ("", "recompute", _truth),
    "tokenizer.max_seq_len": ("", "sequence_max", _whole(8)),
    "checkpointer.checkpoint_dir": ("", "model", str),
    "output_dir": ("", "output", str),
    "save_merged": ("", "merged", _truth),
    "checkpoint_every_n_steps": ("", "checkpoint_every", _whole(1)),
    "distributed": ("", "distributed", _one_of("ddp", "fsdp")),
    "dataset": ("data", "kind", _kind),
    "dataset.source": ("data", "source", _one_of("json", "csv", "parquet", "arrow", "text")),
    "dataset.data_dir": ("data", "folder", str),
    "dataset.data_files": ("data", "files", str),
    "dataset.split": ("data", "split", str),
    "dataset.train_on_input": ("data", "train_on_input", _truth),
    "dataset.new_system_prompt": ("data", "system", str),
    "dataset.column_map": ("data", "column_map", _map),
    "model.lora_attn_modules": ("lora", "modules", _names),
    "model.apply_lora_to_mlp": ("lora", "mlp", _truth),
    "model.apply_lora_to_output": ("lora", "output", _truth),
    "model.lora_rank": ("lora", "rank", _whole(1)),
    "model.lora_alpha": ("lora", "alpha", _number(0)),
    "model.lora_dropout": ("lora", "dropout", _share),
    "model.quantize_base": ("lora", "quantize", _truth),
    "model.use_dora": ("lora", "dora", _truth),
}
"""Each word, the field that it sets, and how it is read."""
