"""Rows of a dataset from the files that a folder holds: JSON, JSON lines, CSV, Parquet, Arrow or plain text."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from millstream.tune.errors import TuneError
from millstream.tune.options import Data

SUFFIXES = {
    "json": (".json", ".jsonl", ".ndjson"),
    "csv": (".csv",),
    "parquet": (".parquet", ".pq"),
    "arrow": (".arrow", ".feather"),
    "text": (".txt",),
}
METADATA = ("dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json")
SPLITS = ("train", "validation", "valid", "val", "test", "dev")
SPLIT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<low>\d*%?):(?P<high>\d*%?)\])?\Z")

Row = dict[str, Any]


def rows(data: Data) -> list[Row]:
    """All rows of the wanted split. Raises TuneError where there are none."""
    found = SPLIT.match(data.split)
    if not found:
        raise TuneError(f"dataset.split={data.split}: write a name like train, or train[:10%]")
    files = _files(data, found["name"])
    read = [row for file in files for row in _read(file)]
    low, high = _bound(found["low"], 0, len(read)), _bound(found["high"], len(read), len(read))
    if not read[low:high]:
        raise TuneError(f"{files[0]}: the split {data.split} holds no row; look into the file, or name another split")
    return read[low:high]


def _bound(text: str | None, otherwise: int, total: int) -> int:
    if not text:
        return otherwise
    return total * min(100, int(text[:-1])) // 100 if text.endswith("%") else min(total, int(text))


def _files(data: Data, split: str) -> list[Path]:
    place = Path(data.files or data.folder)
    if not place.exists():
        raise TuneError(f"there is no dataset at {place}: give the job initializer.dataset, or dataset.data_dir")
    wanted = SUFFIXES[data.source] if data.source else tuple(s for known in SUFFIXES.values() for s in known)
    below = [place] if place.is_file() else sorted(file for file in place.rglob("*") if _is_data(file, place))
    found = [file for file in below if file.suffix.lower() in wanted]
    if not found:
        there = ", ".join(sorted(file.name for file in place.rglob("*"))[:10]) if place.is_dir() else place.name
        raise TuneError(f"{place} has no file that ends with {', '.join(wanted)}; it holds {there or 'nothing'}")
    return _of_split(found, place, split)


def _is_data(file: Path, place: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(place).parts)
    return file.is_file() and not hidden and file.name not in METADATA


def _of_split(files: list[Path], place: Path, split: str) -> list[Path]:
    """Where names of files or their folders tell of splits, those of the wanted one."""
    told = {file: _split_of(file, place) for file in files}
    if not any(told.values()):
        if split not in SPLITS[:1]:
            raise TuneError(f"dataset.split={split}: no file below {place} is named after it; files tell of no split")
        return files
    found = [file for file in files if told[file] == split]
    if not found:
        known = ", ".join(sorted({name for name in told.values() if name}))
        raise TuneError(f"dataset.split={split}: below {place} there are {known}")
    return found


def _split_of(file: Path, place: Path) -> str | None:
    words = file.relative_to(place).parts if file != place else (file.name,)
    for word in reversed(words):
        for name in SPLITS:
            if re.match(rf"{name}(?![a-z])", word.lower()):
                return name
    return None


def _read(file: Path) -> Iterator[Row]:
    try:
        kind = next(name for name, suffixes in SUFFIXES.items() if file.suffix.lower() in suffixes)
        yield from READERS[kind](file)
    except (ValueError, OSError) as error:
        raise TuneError(f"{file} cannot be read: {error}") from error


def _json(file: Path) -> Iterator[Row]:
    """One row a line, or one list of rows, possibly below a single key."""
    text = file.read_text()
    if text.lstrip()[:1] != "[" and file.suffix != ".json":
        yield from (json.loads(line) for line in text.splitlines() if line.strip())
        return
    try:
        found = json.loads(text)
    except ValueError:
        yield from (json.loads(line) for line in text.splitlines() if line.strip())
        return
    lists = [value for value in found.values() if isinstance(value, list)] if isinstance(found, dict) else [found]
    yield from lists[0] if len(lists) == 1 else [found]


def _csv(file: Path) -> Iterator[Row]:
    with file.open(newline="") as lines:
        yield from csv.DictReader(lines)


def _parquet(file: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(file).iter_batches():
        yield from batch.to_pylist()


def _arrow(file: Path) -> Iterator[Row]:
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        head = source.read(6)
        source.seek(0)
        reader = pa.ipc.open_file(source) if head == b"ARROW1" else pa.ipc.open_stream(source)
        yield from reader.read_all().to_pylist()


def _text(file: Path) -> Iterator[Row]:
    yield from ({"text": line} for line in file.read_text().splitlines() if line.strip())


READERS = {"json": _json, "csv": _csv, "parquet": _parquet, "arrow": _arrow, "text": _text}
