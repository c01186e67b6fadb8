"""Rows a second into a training loop: the stream beside the bare file, Arrow's own scan and a plain DataLoader.

Run `python -m benchmarks.data_reader [--rows 200000]`. One Parquet file of rows of 256 tokens (int32) and a label, in
row groups of 8,192 rows, uncompressed, in the page cache; batches of 256 rows as tensors, each batch touched. All take
turns, three rounds; the median is told. The plain DataLoader is what tutorials show: a dataset that hands out single
rows of the table, which it holds in memory, shuffled by index. S3 is rclone on loopback.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from millstream.data import Stream
from torch.utils.data import DataLoader, Dataset

from tests.blobs.server import pod_variables, s3_server

TOKENS, GROUP, BATCH, ROUNDS = 256, 8_192, 256, 3


class Rows(Dataset):
    """Single rows of a table in memory, as a first attempt at a dataset is written."""

    def __init__(self, path: Path) -> None:
        table = pq.read_table(path).combine_chunks()
        self._tokens, self._labels = table["tokens"], table["label"]

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        tokens = self._tokens[index].values.to_numpy()
        return {"tokens": torch.tensor(tokens), "label": self._labels[index].as_py()}


def write(path: Path, rows: int) -> None:
    chance = np.random.default_rng(1)
    with pq.ParquetWriter(path, schema(), compression="none", use_dictionary=False) as file:
        for start in range(0, rows, GROUP):
            count = min(GROUP, rows - start)
            flat = pa.array(chance.integers(0, 32_000, count * TOKENS, dtype=np.int32))
            label = pa.array(np.arange(start, start + count))
            file.write_table(pa.table([pa.FixedSizeListArray.from_arrays(flat, TOKENS), label], schema=schema()))


def schema() -> pa.Schema:
    return pa.schema([("tokens", pa.list_(pa.int32(), TOKENS)), ("label", pa.int64())])


def bare_read(path: Path) -> int:
    with path.open("rb", buffering=0) as file:
        held = bytearray(1 << 23)
        while file.readinto(held):
            pass
    return 0


def arrow_scan(path: Path) -> int:
    return sum(batch.num_rows for batch in pq.ParquetFile(path, memory_map=True).iter_batches(GROUP))


def drained(batches: Any) -> int:
    rows = 0
    for batch in batches:
        rows += len(batch["label"])
        batch["tokens"][0, 0].item()
    return rows


@contextmanager
def s3(folder: Path) -> Iterator[None]:
    with s3_server(folder) as endpoint:
        os.environ |= pod_variables(endpoint)
        yield


def s3_get(path: Path) -> int:
    from millstream.data.store import stores

    [store] = stores(f"s3://{path.parent.name}/{path.name}")
    with store.open(store.root) as file:
        while file.read(1 << 23):
            pass
    return 0


def measure(ways: dict[str, Callable[[], int]], rows: int) -> dict[str, float]:
    """Seconds, the median of the rounds."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            count = way()
            found[name].append(time.perf_counter() - began)
            assert count in (0, rows), f"{name}: {count} rows instead of {rows}"
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bucket" / "tokens.parquet"
        path.parent.mkdir()
        write(path, rows)
        plain = Rows(path)
        uri = f"s3://{path.parent.name}/{path.name}"

        def loader(workers: int) -> DataLoader:
            return DataLoader(plain, BATCH, shuffle=True, num_workers=workers)

        with s3(Path(folder)):
            ways: dict[str, Callable[[], int]] = {
                "bare limit: the file's bytes, page cache": lambda: bare_read(path),
                "pyarrow: the scan alone, no tensors": lambda: arrow_scan(path),
                "Stream, in order": lambda: drained(Stream(path, batch=BATCH)),
                "Stream, shuffled": lambda: drained(Stream(path, batch=BATCH, shuffle=True)),
                "Stream, shuffled, loader(2)": lambda: drained(Stream(path, batch=BATCH, shuffle=True).loader(2)),
                "plain DataLoader, shuffled, 0 workers": lambda: drained(loader(0)),
                "plain DataLoader, shuffled, 2 workers": lambda: drained(loader(2)),
                "bare limit: the object's bytes from S3": lambda: s3_get(path),
                "Stream from S3, shuffled": lambda: drained(Stream(uri, batch=BATCH, shuffle=True)),
            }
            seconds = measure(ways, rows)
        size = path.stat().st_size / (1 << 20)
        print(f"{rows:,} rows, {size:.0f} MiB, {os.cpu_count()} cores")
        for name, took in seconds.items():
            print(f"{name:<42}{rows / took:>12,.0f} rows/s {size / took:>8,.0f} MiB/s")


if __name__ == "__main__":
    main()
