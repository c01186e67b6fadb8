"""What a training program asks of its platform: give me the data, note my progress, keep my checkpoints and my model.

    from millstream import training as mt
    rows = pq.read_table(mt.dataset())
    for step in mt.steps(1000, {"model": model, "optimizer": optimizer}):   # goes on from the last checkpoint
        mt.report(metrics={"loss": 0.3})
    mt.save_model("model.pt2")

It needs the standard library and `minio`, reads where to go from the environment that a TrainJob gives to its pods,
and does no harm outside of one: `report` is silent then. Reporting never fails a training.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from millstream import reporting
from millstream.checkpoints import Checkpoints, Restored
from millstream.places import s3_client
from millstream.resuming import steps

__all__ = ["Checkpoints", "Restored", "dataset", "flush", "report", "save_model", "steps"]


def dataset(uri: str | None = None, into: str | Path = ".millstream/data") -> str:
    """The local path of a dataset, downloaded once: a file for an object, a folder for a prefix.

    Without `uri` it is the one that the job names (annotation `millstream.dev/dataset-uri`). Local paths come back as
    they are. Raises ValueError without any URI and for schemes other than s3 and file, FileNotFoundError for nothing,
    ConnectionError where no object store answers.
    """
    uri = uri or os.environ.get("MILLSTREAM_DATASET_URI") or ""
    where = urlsplit(uri)
    if where.scheme in ("", "file") and where.path:
        return where.path
    if where.scheme != "s3":
        raise ValueError(f"cannot fetch {uri!r}: a dataset is s3://bucket/path or a local path")
    key = where.path.lstrip("/")
    with _answering(uri):
        return str(_download(s3_client(), where.netloc, key, Path(into) / where.netloc / (key.rstrip("/") or "all")))


def save_model(source: str | Path | bytes, uri: str | None = None, name: str | None = None) -> str:
    """Stores a model file, folder or bytes and answers its URI. Call it on one rank only.

    Without `uri` it goes to the job's own place. A `uri` that ends with `/` is a folder: the file keeps its name there
    (`name` for bytes, else `model.bin`). Raises ValueError when there is no URI, FileNotFoundError for no source.
    """
    uri = uri or os.environ.get("MILLSTREAM_MODEL_URI") or ""
    where = urlsplit(uri)
    if where.scheme != "s3":
        raise ValueError(f"cannot store a model at {uri!r}: give an s3:// URI, or run inside a TrainJob")
    with _answering(uri):
        return _store(s3_client(), where.netloc, where.path.lstrip("/"), source, name)


def report(
    progress: float | None = None,
    metrics: Mapping[str, float] | None = None,
    remaining_s: float | None = None,
    step: int | None = None,
) -> None:
    """Notes how far the job is (`progress` in percent, `step` in steps done) and its figures; seen in its status.

    Only rank 0 is heard. At most one message a second goes out, from a thread of its own; what came in between is sent
    with the next one, and the last state always before the program ends. On every rank it tells that the rank is alive.
    """
    reporting.watch.alive()
    if not reporting.is_heard():
        return
    told: dict[str, int] = {}
    if progress is not None:
        told["progressPercentage"] = max(0, min(100, round(progress)))
    if remaining_s is not None:
        told["estimatedRemainingSeconds"] = max(0, round(remaining_s))
    reporting.reporter.note(told, metrics or {}, {"step": step} if step is not None else {})


def flush() -> None:
    """Sends what has not been sent yet. Done by itself when the program ends."""
    reporting.reporter.flush()


@contextmanager
def _answering(uri: str) -> Iterator[None]:
    from urllib3.exceptions import HTTPError

    try:
        yield
    except HTTPError as error:
        told = f"{uri}: no object store answers: {error}; outside of a job, `source ~/.millstream/env` says where it is"
        raise ConnectionError(told) from None


def _download(client: Any, bucket: str, key: str, target: Path) -> Path:
    if target.exists():
        return target
    found = [entry.object_name for entry in client.list_objects(bucket, prefix=key, recursive=True)]
    if key in found:
        return _fetch(client, bucket, key, target)
    prefix = key.rstrip("/") + "/" if key else ""
    inside = [name for name in found if name.startswith(prefix) and not name.endswith("/")]
    if not inside:
        raise FileNotFoundError(f"there is nothing at s3://{bucket}/{key}")
    for name in inside:
        _fetch(client, bucket, name, target / name.removeprefix(prefix))
    return target


def _fetch(client: Any, bucket: str, key: str, target: Path) -> Path:
    """Whole or not at all: processes of one node may fetch the same file at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / "part"
        client.fget_object(bucket, key, str(part))
        part.replace(target)
    return target


def _store(client: Any, bucket: str, key: str, source: str | Path | bytes, name: str | None) -> str:
    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)
    if isinstance(source, bytes):
        return _put_bytes(client, bucket, _file_key(key, name or "model.bin"), source)
    path = Path(source)
    if path.is_dir():
        return _put_folder(client, bucket, key, path)
    target = _file_key(key, name or path.name)
    client.fput_object(bucket, target, str(path))
    return f"s3://{bucket}/{target}"


def _file_key(key: str, name: str) -> str:
    return f"{key}{name}" if not key or key.endswith("/") else key


def _put_bytes(client: Any, bucket: str, key: str, data: bytes) -> str:
    import io

    client.put_object(bucket, key, io.BytesIO(data), len(data))
    return f"s3://{bucket}/{key}"


def _put_folder(client: Any, bucket: str, key: str, folder: Path) -> str:
    prefix = key.rstrip("/") + "/"
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        client.fput_object(bucket, prefix + file.relative_to(folder).as_posix(), str(file))
    return f"s3://{bucket}/{prefix}"
