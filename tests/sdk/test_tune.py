"""What `millstream.tune` makes of words and rows, without any model: settings, files, examples, the order of steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from millstream.tune.batches import Plan, collated
from millstream.tune.errors import TuneError
from millstream.tune.examples import IGNORED, Example, examples
from millstream.tune.options import Data, Lora, Options, parse
from millstream.tune.rows import rows

SENT = [
    "dtype=bf16",
    "batch_size=4",
    "epochs=2",
    "loss=torchtune.modules.loss.CEWithChunkedOutputLoss",
    "dataset.data_dir=/workspace/dataset/.",
    "model.apply_lora_to_mlp=True",
    "model.lora_rank=4",
    "model.lora_alpha=8",
    "model.lora_dropout=0.1",
    "model.quantize_base=False",
    "model.use_dora=True",
    "model.lora_attn_modules=[q_proj,v_proj,output_proj]",
    "dataset=torchtune.datasets.instruct_dataset",
    "dataset.source=parquet",
    "dataset.split=train[:10%]",
    "dataset.train_on_input=True",
    "dataset.new_system_prompt=Be brief.",
    "dataset.column_map={'input': 'question', 'output': 'answer'}",
]
"""Every word that the Kubeflow SDK 0.5 sends for a full TorchTuneConfig."""


def test_all_that_the_kubeflow_sdk_sends_is_understood() -> None:
    read = parse(SENT)
    assert (read.dtype, read.batch_size, read.epochs) == ("bf16", 4, 2)
    assert read.lora == Lora(rank=4, alpha=8, dropout=0.1, mlp=True, dora=True)
    assert read.data == Data(
        folder="/workspace/dataset/.",
        source="parquet",
        kind="instruct",
        split="train[:10%]",
        train_on_input=True,
        system="Be brief.",
        column_map={"input": "question", "output": "answer"},
    )


def test_all_weights_are_trained_unless_something_of_lora_is_said_and_the_last_word_counts() -> None:
    assert parse([]) == Options(data=Data(), lora=None)
    assert parse(["model.quantize_base=False", "model.use_dora=False"]).lora is None
    assert parse(["batch_size=4", "batch_size=8"]).batch_size == 8


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("batch_sise=4", "'batch_sise' is not known here; did you mean batch_size?"),
        ("--config", "'--config' is no setting: write key=value"),
        ("dtype=fp16", "dtype=fp16: must be one of bf16, fp32"),
        ("epochs=0", "epochs=0: must be a whole number of at least 1"),
        ("model.lora_dropout=1", "model.lora_dropout=1: must be below 1"),
        ("loss=torch.nn.MSELoss", "must be one of CEWithChunkedOutputLoss"),
        ("dataset.column_map=[1]", "must be like"),
        ("model.use_dora=yes", "must be True or False"),
    ],
)
def test_a_word_that_cannot_be_is_told_with_what_could(word: str, told: str) -> None:
    with pytest.raises(TuneError) as error:
        parse([word])
    assert told in str(error.value)


@pytest.mark.parametrize(
    "words", [["model.quantize_base=True", "model.use_dora=True"], ["model.quantize_base=True", "distributed=fsdp"]]
)
def test_what_does_not_go_together_is_refused(words: list[str]) -> None:
    with pytest.raises(TuneError, match=r"model\.quantize_base"):
        parse(words)


def test_rows_come_from_every_form_of_file(tmp_path: Path) -> None:
    told = [{"text": "one"}, {"text": "two"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, told)))
    (tmp_path / "b.json").write_text(json.dumps(told))
    (tmp_path / "c.json").write_text(json.dumps({"data": told}))
    (tmp_path / "d.csv").write_text("text\none\ntwo\n")
    (tmp_path / "e.txt").write_text("one\n\ntwo\n")
    pq.write_table(pa.Table.from_pylist(told), tmp_path / "f.parquet")
    with pa.ipc.new_stream(str(tmp_path / "g.arrow"), pa.Table.from_pylist(told).schema) as file:
        file.write_table(pa.Table.from_pylist(told))
    (tmp_path / "dataset_info.json").write_text("{}")
    for file in sorted(tmp_path.glob("?.*")):
        assert rows(Data(files=str(file))) == told, file.name
    assert len(rows(Data(folder=str(tmp_path)))) == 14
    assert len(rows(Data(folder=str(tmp_path), source="parquet"))) == 2


def test_splits_are_told_by_names_and_cut_by_shares(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for split, count in (("train", 10), ("test", 3)):
        lines = "\n".join(json.dumps({"text": f"{split} {n}"}) for n in range(count))
        (tmp_path / "data" / f"{split}-00000-of-00001.jsonl").write_text(lines)
    assert len(rows(Data(folder=str(tmp_path)))) == 10
    assert len(rows(Data(folder=str(tmp_path), split="test"))) == 3
    assert [row["text"] for row in rows(Data(folder=str(tmp_path), split="train[50%:7]"))] == ["train 5", "train 6"]
    with pytest.raises(TuneError, match="there are test, train"):
        rows(Data(folder=str(tmp_path), split="validation"))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x.bin", "", "has no file that ends with .json"),
        ("x.jsonl", "{broken", "x.jsonl cannot be read"),
        ("x.jsonl", "\n", "holds no row"),
    ],
)
def test_a_dataset_that_cannot_be_read_is_told(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TuneError, match=told):
        rows(Data(folder=str(tmp_path)))
    with pytest.raises(TuneError, match="there is no dataset at /nowhere: give the job"):
        rows(Data(folder="/nowhere"))


class Letters:
    """A tokenizer of one token a letter, which writes talks as <role>text."""

    eos_token_id, chat_template = 0, None

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(letter) for letter in text]

    def text(self, tokens: list[int]) -> str:
        return "".join("$" if token == 0 else chr(token) for token in tokens if token != IGNORED)


class Talking(Letters):
    chat_template = "one"

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool, **more: Any) -> list[int]:
        text = "".join(f"<{message['role']}>{message['content']}|" for message in messages)
        return self.encode(text + ("<assistant>" if add_generation_prompt else ""))


@pytest.mark.parametrize(
    ("row", "data", "read", "learnt"),
    [
        ({"instruction": "Add.", "input": "1", "output": "2"}, Data(), "<user>Add.\n\n1|<assistant>2|", "2|"),
        ({"instruction": "Add.", "input": "", "output": "2"}, Data(), "<user>Add.|<assistant>2|", "2|"),
        ({"input": "a", "output": "b"}, Data(system="S"), "<system>S|<user>a|<assistant>b|", "b|"),
        ({"q": "a", "r": "b"}, Data(column_map={"input": "q", "output": "r"}), "<user>a|<assistant>b|", "b|"),
        (
            {"prompt": "a", "completion": "b"},
            Data(train_on_input=True),
            "<user>a|<assistant>b|",
            "<user>a|<assistant>b|",
        ),
        (
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
            Data(),
            "<user>a|<assistant>b|",
            "b|",
        ),
        (
            {"messages": [{"role": r, "content": c} for r, c in (("user", "a"), ("assistant", "b")) * 2]},
            Data(),
            "<user>a|<assistant>b|<user>a|<assistant>b|",
            "b|b|",
        ),
        ({"text": "abc"}, Data(), "abc$", "abc$"),
    ],
    ids=["alpaca", "no input", "system", "column map", "on input", "sharegpt", "two turns", "text"],
)
def test_the_loss_looks_at_what_the_assistant_says(row: dict, data: Data, read: str, learnt: str) -> None:
    tokenizer = Talking()
    [one] = examples([row], data, tokenizer, 1000)
    assert tokenizer.text(one.tokens) == read
    assert tokenizer.text(one.labels) == learnt
    assert len(one.tokens) == len(one.labels)


def test_a_model_without_a_template_gets_a_plain_talk() -> None:
    [one] = examples([{"input": "a", "output": "b"}], Data(), Letters(), 1000)
    assert Letters().text(one.tokens) == "user: a\n\nassistant: b$\n\n"
    assert Letters().text(one.labels) == "b$"


def test_rows_whose_answer_is_cut_off_are_dropped_and_none_left_is_told() -> None:
    told = [{"input": "a" * 50, "output": "b"}, {"input": "a", "output": "b"}]
    assert len(examples(told, Data(), Talking(), 30)) == 1
    with pytest.raises(TuneError, match=r"raise tokenizer\.max_seq_len"):
        examples(told[:1], Data(), Talking(), 30)


@pytest.mark.parametrize(
    ("row", "data", "told"),
    [
        ({"a": 1}, Data(), "the columns a tell of no known form; name them: dataset.column_map="),
        ({"a": 1}, Data(column_map={"input": "q", "output": "a"}), "there is no column 'q'; there are a"),
        ({"messages": [{"role": "tool", "content": "x"}]}, Data(), "a message has the role 'tool'"),
    ],
)
def test_columns_that_tell_nothing_are_told(row: dict, data: Data, told: str) -> None:
    with pytest.raises(TuneError) as error:
        examples([row], data, Talking(), 100)
    assert told in str(error.value)


@pytest.mark.parametrize(("count", "batch", "world"), [(10, 2, 1), (10, 2, 3), (3, 4, 2), (64, 4, 2)])
def test_every_epoch_shows_every_example_to_some_rank_in_steps_that_all_ranks_share(
    count: int, batch: int, world: int
) -> None:
    plan = Plan(count, batch, world, epochs=2, seed=1)
    assert plan.steps == 2 * -(-count // (batch * world))
    for epoch in range(2):
        steps = range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch)
        seen = [index for step in steps for rank in range(world) for index in plan.indexes(step, rank)]
        assert set(seen) == set(range(count))
        assert len(seen) < count + batch * world
    assert plan.indexes(0, 0) == Plan(count, batch, world, 2, 1).indexes(0, 0)


def test_a_batch_is_filled_up_without_teaching_the_filling() -> None:
    made = collated([Example([1, 2, 3], [IGNORED, 2, 3]), Example([4], [4])], padding=9)
    assert made["input_ids"].tolist() == [[1, 2, 3], [4, 9, 9]]
    assert made["labels"].tolist() == [[IGNORED, 2, 3], [4, IGNORED, IGNORED]]
    assert made["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
