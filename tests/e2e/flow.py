"""Many small jobs that register a model each, and the accounts afterwards: what ended, was said, was recorded."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millstream.client import Client, conditions_of
from millstream.errors import ClientError
from millstream.home import SYSTEM_NAMESPACE

from tests.platform import Platform

MODEL = "crash"
MARK = "a small job of tests/e2e"
CODE = f"import time; time.sleep({{seconds}}); print('done', flush=True)  # {MARK}"


def small_job(name: str, model: str = MODEL, seconds: float = 0.3, namespace: str = "default") -> dict[str, Any]:
    """One node, no torch, a fraction of a second; asks for registration."""
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {
                "millstream.dev/model-name": model,
                "millstream.dev/model-format": "pytorch",
                "millstream.dev/model-uri": f"s3://millstream/{model}/{name}",
            },
        },
        "spec": {
            "runtimeRef": {"name": "python"},
            "trainer": {"numNodes": 1, "command": ["python", "-c", CODE.format(seconds=seconds)]},
        },
    }


def insist(client: Client, manifest: dict[str, Any], timeout_s: float = 60) -> str:
    """Apply until it is stored (services are being killed), which is safe: apply is idempotent. Answers the uid."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return str(client.apply(manifest)["metadata"]["uid"])
        except ClientError as error:
            if time.monotonic() > end or 400 <= error.code < 500:
                raise
            time.sleep(0.2)


def wait_all_over(client: Client, names: list[str], timeout_s: float, namespace: str = "default") -> dict[str, str]:
    """Name -> Complete or Failed, once every job is over."""
    end = time.monotonic() + timeout_s
    ended: dict[str, str] = {}
    while time.monotonic() < end:
        try:
            jobs = client.list("trainjobs", namespace)
        except ClientError:
            time.sleep(0.5)
            continue
        ended = {job["metadata"]["name"]: over for job in jobs if (over := outcome(job))}
        if set(names) <= ended.keys():
            return ended
        time.sleep(0.5)
    raise AssertionError(f"not over after {timeout_s:.0f} s: {sorted(set(names) - ended.keys())}")


def outcome(job: dict[str, Any]) -> str | None:
    held = [kind for kind, c in conditions_of(job).items() if c["status"] == "True" and kind in ("Complete", "Failed")]
    assert len(held) <= 1, f"{job['metadata']['name']} is both: {held}"
    return held[0] if held else None


def versions(client: Client, model: str = MODEL) -> list[dict[str, Any]]:
    """The model's versions in the registry."""
    found = client.request("GET", "/api/model_registry/v1/registered_model", params={"name": model}).json()
    path = f"/api/model_registry/v1/registered_models/{found['id']}/versions"
    return list(client.request("GET", path, params={"pageSize": "500"}).json()["items"])


def insist_versions(client: Client, model: str = MODEL) -> list[dict[str, Any]]:
    """The same while services come and go: none while nobody can tell."""
    try:
        return versions(client, model)
    except ClientError:
        return []


@dataclass(frozen=True)
class Said:
    """One letter of a service's change log."""

    id: str
    type: str
    uid: str
    marked: bool


def change_log(platform: Platform, service: str) -> list[Said]:
    """Every letter that `service` owes the world, from its own database."""
    path = Path(platform.home) / "data" / SYSTEM_NAMESPACE / "data" / f"{service}.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        rows = db.execute("select letter, said_at from changes where letter is not null order by seq").fetchall()
    told = [(json.loads(letter), said_at) for letter, said_at in rows]
    return [
        Said(x["id"], x["type"], x["data"].get("uid") or x["data"].get("job_uid") or "", at is not None)
        for x, at in told
    ]


def counted(letters: list[Said], type: str) -> Counter[str]:
    """How often each uid was told about with this type."""
    return Counter(letter.uid for letter in letters if letter.type == type)
