"""The digits as Parquet in S3: 1,797 real scans, one fifth of each digit kept apart for the test."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

BUCKET = "millstream"
TRAIN = f"s3://{BUCKET}/datasets/digits/train.parquet"
TEST = f"s3://{BUCKET}/datasets/digits/test.parquet"
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Pixels (n, 64) float32 in 0..16 and labels (n,) int64."""

    pixels: Any
    labels: Any


def digits() -> tuple[Split, Split]:
    """(train, test), the same split on every call."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    cut = train_test_split(pixels.astype("float32"), labels, test_size=TEST_SHARE, stratify=labels, random_state=7)
    return Split(cut[0], cut[2]), Split(cut[1], cut[3])


def parquet(split: Split) -> bytes:
    """Columns p0..p63 (float32) and label (int64)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {f"p{i}": split.pixels[:, i] for i in range(split.pixels.shape[1])} | {"label": split.labels}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def read_parquet(data: bytes) -> Split:
    """The inverse of `parquet`."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data))
    pixels = np.stack([table[f"p{i}"].to_numpy() for i in range(64)], axis=1)
    return Split(pixels, table["label"].to_numpy())


def upload(endpoint: str, access_key: str, secret_key: str) -> None:
    """Write both splits to the platform's S3; the same bytes again on a second run."""
    store = connect(endpoint, access_key, secret_key)
    if not store.bucket_exists(BUCKET):
        store.make_bucket(BUCKET)
    for uri, split in zip((TRAIN, TEST), digits(), strict=True):
        body = parquet(split)
        store.put_object(BUCKET, key_of(uri), io.BytesIO(body), len(body))


def download(endpoint: str, access_key: str, secret_key: str, uri: str) -> Split:
    """One split as it lies in S3."""
    answer = connect(endpoint, access_key, secret_key).get_object(BUCKET, key_of(uri))
    try:
        return read_parquet(answer.read())
    finally:
        answer.close()
        answer.release_conn()


def key_of(uri: str) -> str:
    """The object's key in its bucket."""
    return uri.removeprefix(f"s3://{BUCKET}/")


def connect(endpoint: str, access_key: str, secret_key: str):  # type: ignore[no-untyped-def]
    from minio import Minio

    host = endpoint.removeprefix("http://")
    return Minio(host, access_key=access_key, secret_key=secret_key, secure=False, region="us-east-1")
