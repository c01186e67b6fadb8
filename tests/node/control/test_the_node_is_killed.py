"""kill -9 of the node at random moments: what runs is adopted, nothing runs twice, nothing is counted twice."""

import asyncio
import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from services.node.runtime.control import stop_everything
from tests.node.control.test_owners_run import job

ROOT = Path(__file__).parents[3]
SEED = 20261122


def ask(home, method, path, body=None):
    url = json.loads((home / "run" / "node.json").read_text())["url"]
    headers = {"Authorization": "Bearer owner", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode() if body else None, headers, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


async def insist(home, method, path, body=None, timeout_s=30):
    """Asks until a node answers; a repeated POST finds its object there already."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return await asyncio.to_thread(ask, home, method, path, body)
        except urllib.error.HTTPError as error:
            if error.code == 409 and method == "POST":
                return None
            if time.monotonic() > end:
                raise AssertionError(error.read()) from error
        except (OSError, ValueError):
            if time.monotonic() > end:
                raise
        await asyncio.sleep(0.05)


@pytest.fixture
async def home(tmp_path):
    (tmp_path / "token").write_text("owner")
    with (tmp_path / "log").open("wb") as log:
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.node", "--home", str(tmp_path), "--backoff-first-s", "0.1",
            cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    yield tmp_path
    await asyncio.to_thread(stop_everything, tmp_path, 0.5, 15)


async def test_jobs_complete_exactly_once_while_the_node_is_killed_again_and_again(home):
    rng = random.Random(SEED)
    names = [f"j{n}" for n in range(5)]
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "runs"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    await insist(home, "POST", "/api/v1/namespaces/default/persistentvolumeclaims", claim)
    for name in names:
        made = job(name, f"echo {name} $JOB_COMPLETION_INDEX >> /runs/log; sleep 1", completions=4, parallelism=1,
                   completionMode="Indexed", backoffLimit=0)  # fmt: skip
        template = made["spec"]["template"]["spec"]
        template["volumes"] = [{"name": "runs", "persistentVolumeClaim": {"claimName": "runs"}}]
        template["containers"][0]["volumeMounts"] = [{"name": "runs", "mountPath": "/runs"}]
        await insist(home, "POST", "/apis/batch/v1/namespaces/default/jobs", made)
    killed: set[int] = set()
    patience = time.monotonic() + 60
    while len(killed) < 3 and time.monotonic() < patience:
        pid = json.loads((home / "run" / "node.json").read_text())["pid"]
        if pid in killed:
            await asyncio.sleep(0.05)
            continue
        await asyncio.sleep(rng.uniform(0.0, 0.5))
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    end = time.monotonic() + 60
    while True:
        jobs = (await insist(home, "GET", "/apis/batch/v1/namespaces/default/jobs"))["items"]
        over = [
            j
            for j in jobs
            if any(c["type"] in ("Complete", "Failed") for c in (j.get("status") or {}).get("conditions") or [])
        ]
        if len(over) == len(names):
            break
        assert time.monotonic() < end, [(j["metadata"]["name"], j.get("status")) for j in jobs] + [
            (home / "log").read_text()[-3000:]
        ]
        await asyncio.sleep(0.2)
    assert len(killed) == 3
    assert {j["metadata"]["name"]: j["status"].get("succeeded") for j in jobs} == dict.fromkeys(names, 4)
    assert {j["status"]["completedIndexes"] for j in jobs} == {"0-3"}
    ran = sorted((home / "data" / "default" / "runs" / "log").read_text().splitlines())
    assert ran == sorted(f"{name} {index}" for name in names for index in range(4))
    pods = (await insist(home, "GET", "/api/v1/namespaces/default/pods"))["items"]
    assert len(pods) == 20 and {p["status"]["phase"] for p in pods} == {"Succeeded"}
