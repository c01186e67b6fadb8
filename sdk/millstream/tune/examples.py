"""Rows as token sequences with labels: what the model reads, and which of it the loss looks at.

A row is a conversation (`messages`, or `conversations` as ShareGPT has them), an instruction with its answer
(`instruction`/`input`/`output` as Alpaca has them, or two columns), or plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from millstream.tune.errors import TuneError
from millstream.tune.options import Data
from millstream.tune.rows import Row

IGNORED = -100
"""Labels that the loss does not look at."""
PAIRS = (("input", "output"), ("prompt", "completion"), ("question", "answer"), ("prompt", "response"))
TEXTS = ("text", "content")
ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}

Message = dict[str, str]


@dataclass(frozen=True)
class Example:
    tokens: list[int]
    labels: list[int]


def examples(rows: Sequence[Row], data: Data, tokenizer: Any, length_max: int) -> list[Example]:
    """One for each row, cut to `length_max` tokens; rows of which nothing to learn is left are dropped."""
    kind = data.kind or _kind_of(rows[0], data)
    made = [_text(row, tokenizer) if kind == "text" else _talk(row, kind, data, tokenizer) for row in rows]
    cut = [Example(one.tokens[:length_max], one.labels[:length_max]) for one in made]
    kept = [one for one in cut if any(label != IGNORED for label in one.labels[1:])]
    if not kept:
        told = "no row has an answer within the first"
        raise TuneError(f"{told} {length_max} tokens: raise tokenizer.max_seq_len, or look at the columns")
    return kept


def _kind_of(row: Row, data: Data) -> str:
    if data.column_map or "instruction" in row or any(a in row and b in row for a, b in PAIRS):
        return "instruct"
    if "messages" in row or "conversations" in row:
        return "chat"
    if any(name in row for name in TEXTS):
        return "text"
    told = f"the columns {', '.join(row)} tell of no known form"
    raise TuneError(f"{told}; name them: dataset.column_map={{'input': '<column>', 'output': '<column>'}}")


def _text(row: Row, tokenizer: Any) -> Example:
    text = next((row[name] for name in TEXTS if row.get(name)), "")
    tokens = [*tokenizer.encode(str(text)), *_end(tokenizer)]
    return Example(tokens, list(tokens))


def _talk(row: Row, kind: str, data: Data, tokenizer: Any) -> Example:
    messages = _messages(row) if kind == "chat" else _instruction(row, data)
    if data.system:
        messages = [{"role": "system", "content": data.system}, *(m for m in messages if m["role"] != "system")]
    write = _templated if getattr(tokenizer, "chat_template", None) else _plain
    tokens, labels = write(messages, tokenizer)
    return Example(tokens, list(tokens) if data.train_on_input else labels)


def _messages(row: Row) -> list[Message]:
    said = row.get("messages") or row.get("conversations") or []
    try:
        return [
            {
                "role": ROLES[one.get("role") or one["from"]],
                "content": str(one.get("content") or one.get("value") or ""),
            }
            for one in said
        ]
    except KeyError as error:
        raise TuneError(f"a message has the role {error}, and known are {', '.join(ROLES)}") from error


def _instruction(row: Row, data: Data) -> list[Message]:
    names = data.column_map or {}
    if "instruction" in row and not names:
        asked = "\n\n".join(str(part) for part in (row["instruction"], row.get("input")) if part)
        return _pair(asked, row.get("output"))
    pair = next(((a, b) for a, b in PAIRS if a in row and b in row), PAIRS[0])
    asked_in, answered_in = names.get("input", pair[0]), names.get("output", pair[1])
    for name in (asked_in, answered_in):
        if name not in row:
            raise TuneError(f"there is no column {name!r}; there are {', '.join(row)}: set dataset.column_map")
    return _pair(row[asked_in], row[answered_in])


def _pair(asked: Any, answered: Any) -> list[Message]:
    return [{"role": "user", "content": str(asked or "")}, {"role": "assistant", "content": str(answered or "")}]


def _templated(messages: list[Message], tokenizer: Any) -> tuple[list[int], list[int]]:
    """As the model's own template writes it; the loss looks at what the assistant says."""

    def written(upto: int, prompt: bool = False) -> list[int]:
        found = tokenizer.apply_chat_template(
            messages[:upto], tokenize=True, add_generation_prompt=prompt, return_dict=False
        )
        return list(found)

    tokens = written(len(messages))
    labels = [IGNORED] * len(tokens)
    for number, message in enumerate(messages):
        if message["role"] == "assistant":
            start, stop = len(written(number, prompt=True)) if number else 0, len(written(number + 1))
            labels[start:stop] = tokens[start:stop]
    return tokens, labels[: len(tokens)]


def _plain(messages: list[Message], tokenizer: Any) -> tuple[list[int], list[int]]:
    """For models that were never taught to talk: one paragraph a message, and the end after each answer."""
    tokens: list[int] = []
    labels: list[int] = []
    for message in messages:
        head = tokenizer.encode(f"{message['role']}: ", add_special_tokens=not tokens)
        said = tokenizer.encode(message["content"], add_special_tokens=False)
        answer = [*said, *_end(tokenizer)] if message["role"] == "assistant" else said
        after = tokenizer.encode("\n\n", add_special_tokens=False)
        tokens += [*head, *answer, *after]
        known = answer if message["role"] == "assistant" else [IGNORED] * len(answer)
        labels += [*[IGNORED] * len(head), *known, *[IGNORED] * len(after)]
    return tokens, labels


def _end(tokenizer: Any) -> list[int]:
    return [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
