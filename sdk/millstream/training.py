"""Three things a training program asks of its platform: give me the data, note my progress, keep my model.

    from millstream import training as mt
    rows = pq.read_table(mt.dataset())
    mt.report(progress=50, metrics={"loss": 0.3})
    mt.save_model("model.pt2")

It needs the standard library and `minio`, reads where to go from the environment that a TrainJob gives to its pods,
and does no harm outside of one: `report` is silent then. Reporting never fails a training.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPORT_EVERY_S = 1.0
REPORT_TIMEOUT_S = 5.0
FLUSH_TRIES = 5

__all__ = ["dataset", "flush", "report", "save_model"]


def dataset(uri: str | None = None, into: str | Path = ".millstream/data") -> str:
    """The local path of a dataset, downloaded once: a file for an object, a folder for a prefix.

    Without `uri` it is the one that the job names (annotation `millstream.dev/dataset-uri`). Local paths come back as
    they are. Raises ValueError without any URI and for schemes other than s3 and file, FileNotFoundError for nothing.
    """
    uri = uri or os.environ.get("MILLSTREAM_DATASET_URI") or ""
    where = urlsplit(uri)
    if where.scheme in ("", "file") and where.path:
        return where.path
    if where.scheme != "s3":
        raise ValueError(f"cannot fetch {uri!r}: a dataset is s3://bucket/path or a local path")
    key = where.path.lstrip("/")
    return str(_download(_s3(), where.netloc, key, Path(into) / where.netloc / (key.rstrip("/") or "all")))


def save_model(source: str | Path | bytes, uri: str | None = None, name: str | None = None) -> str:
    """Stores a model file, folder or bytes and answers its URI. Call it on one rank only.

    Without `uri` it goes to the job's own place. A `uri` that ends with `/` is a folder: the file keeps its name there
    (`name` for bytes, else `model.bin`). Raises ValueError when there is no URI, FileNotFoundError for no source.
    """
    uri = uri or os.environ.get("MILLSTREAM_MODEL_URI") or ""
    where = urlsplit(uri)
    if where.scheme != "s3":
        raise ValueError(f"cannot store a model at {uri!r}: give an s3:// URI, or run inside a TrainJob")
    client, key = _s3(), where.path.lstrip("/")
    if not client.bucket_exists(where.netloc):
        client.make_bucket(where.netloc)
    if isinstance(source, bytes):
        return _put_bytes(client, where.netloc, _file_key(key, name or "model.bin"), source)
    path = Path(source)
    if path.is_dir():
        return _put_folder(client, where.netloc, key, path)
    target = _file_key(key, name or path.name)
    client.fput_object(where.netloc, target, str(path))
    return f"s3://{where.netloc}/{target}"


def report(
    progress: float | None = None, metrics: Mapping[str, float] | None = None, remaining_s: float | None = None
) -> None:
    """Notes how far the job is (`progress` in percent) and its figures; visible in the job's status at once.

    Only rank 0 is heard. At most one message a second goes out; what came in between is sent with the next one, and
    the last state always before the program ends.
    """
    if _rank() == 0 and os.environ.get("KUBEFLOW_TRAINER_SERVER_URL"):
        _reporter.note(progress, metrics or {}, remaining_s)


def flush() -> None:
    """Sends what has not been sent yet. Done by itself when the program ends."""
    _reporter.flush()


class _Reporter:
    """The latest state, and when it was last sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {}
        self._metrics: dict[str, str] = {}
        self._sent_at = float("-inf")
        self._dirty = False
        self._warned = False

    def note(self, progress: float | None, metrics: Mapping[str, float], remaining_s: float | None) -> None:
        with self._lock:
            if not self._state:
                atexit.register(self.flush)
            self._metrics.update({name: str(_plain(value)) for name, value in metrics.items()})
            if progress is not None:
                self._state["progressPercentage"] = max(0, min(100, round(progress)))
            if remaining_s is not None:
                self._state["estimatedRemainingSeconds"] = max(0, round(remaining_s))
            self._state["lastUpdatedTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._dirty = True
            if time.monotonic() - self._sent_at >= REPORT_EVERY_S:
                self._send(tries=1)

    def flush(self) -> None:
        with self._lock:
            if self._dirty:
                self._send(tries=FLUSH_TRIES)

    def _send(self, tries: int) -> None:
        """The final report is worth waiting for a restarting trainer; one in between is not."""
        self._sent_at = time.monotonic()
        body = {"trainerStatus": {**self._state, "metrics": _listed(self._metrics)}, "environment": _environment()}
        for left in range(tries - 1, -1, -1):
            try:
                _post(body)
                self._dirty = False
                return
            except (OSError, ValueError) as error:
                if not left and not self._warned:
                    self._warned = True
                    print(f"millstream: progress could not be reported: {error}", file=sys.stderr)
                time.sleep(min(left, 2))


_reporter = _Reporter()


def _post(body: dict[str, Any]) -> None:
    token = Path(os.environ.get("KUBEFLOW_TRAINER_SERVER_TOKEN", "")).read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    url = os.environ.get("KUBEFLOW_TRAINER_SERVER_URL", "")
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=REPORT_TIMEOUT_S) as answer:
        answer.read()


def _environment() -> dict[str, str]:
    torch = sys.modules.get("torch")
    told = {"python": platform.python_version(), "platform": platform.platform()}
    return {**told, "torch": str(torch.__version__)} if torch and hasattr(torch, "__version__") else told


def _rank() -> int:
    for name in ("RANK", "PET_NODE_RANK", "JOB_COMPLETION_INDEX"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 0


def _plain(value: Any) -> float:
    """Tensors and numpy numbers too."""
    return float(value.item() if hasattr(value, "item") else value)


def _listed(metrics: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in metrics.items()]


def _s3() -> Any:
    from minio import Minio

    where = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or "https://s3.amazonaws.com")
    return Minio(
        where.netloc,
        access_key=os.environ.get("AWS_ACCESS_KEY_ID"),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY"),
        region=os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        secure=where.scheme == "https",
    )


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
