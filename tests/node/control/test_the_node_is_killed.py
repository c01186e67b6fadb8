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

from services.node.runtime import procfs
from services.node.runtime.control import stop_everything
from services.node.runtime.paths import HOME_MARK
from tests.node.control.test_owners_run import job

ROOT = Path(__file__).parents[3]
SEED = 20261122


def ask(home, method, path, body=None):
    url = json.loads((home / "run" / "node.json").read_text())["url"]
    headers = {"Authorization": "Bearer owner", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode() if body else None, headers, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


async def insist(home, method, path, body=None, timeout_s=60):
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


def _rolling(version):
    container = {"name": "main", "image": "python:3.11", "command": ["sleep", f"600.{version}"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }


async def _replace(home, version):
    path = "/apis/apps/v1/namespaces/default/deployments/web"
    current = await insist(home, "GET", path)
    current["spec"] = {**current["spec"], "template": _rolling(version)["spec"]["template"]}
    del current["metadata"]["resourceVersion"]
    await insist(home, "PUT", path, current)


async def test_a_rolling_update_ends_well_although_the_node_and_the_spawner_are_killed_in_it(home):
    rng = random.Random(SEED)
    await insist(home, "POST", "/apis/apps/v1/namespaces/default/deployments", _rolling(1))
    for version in (2, 3, 4):
        await _replace(home, version)
        await asyncio.sleep(rng.uniform(0.0, 0.4))
        node = json.loads((home / "run" / "node.json").read_text())["pid"]
        victims = _spawners(home) if version == 3 else [node]
        assert victims
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        if version == 3:
            await _another_spawner(home, node, victims)
    end = time.monotonic() + 60
    while not _rolled_out(await insist(home, "GET", "/apis/apps/v1/namespaces/default/deployments/web")):
        assert time.monotonic() < end, (home / "log").read_text()[-3000:]
        await asyncio.sleep(0.1)
    pods = (await insist(home, "GET", "/api/v1/namespaces/default/pods"))["items"]
    living = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    assert [pod["spec"]["containers"][0]["command"][1] for pod in living] == ["600.4"] * 3
    assert len({pod["status"]["podIP"] for pod in pods}) == len(pods), "two pods share an address"
    until = time.monotonic() + 10
    while (runs := _sleepers(home)) != ["600.4"] * 3:
        assert time.monotonic() < until, runs
        await asyncio.sleep(0.1)


def _spawners(home):
    mine = {b"services.node.runtime.spawner", str(home).encode()}
    return [pid for pid in procfs.all_pids() if mine <= {*procfs.command_line(pid)} and procfs.alive(pid)]


async def _another_spawner(home, node, gone):
    """It has begun, no more: a node that is killed before that dies together with its spawner, and nobody is left."""
    end = time.monotonic() + 20
    while not {*_spawners(home)} & {*procfs.children(node)} - {*gone}:
        assert time.monotonic() < end, (home / "log").read_text()[-3000:]
        await asyncio.sleep(0.005)


def _rolled_out(deployment):
    status, meta = deployment.get("status") or {}, deployment["metadata"]
    counts = [status.get(name) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    return status.get("observedGeneration") == meta["generation"] and counts == [3, 3, 3]


def _sleepers(home):
    """What runs for the home's pods, whoever its parent is."""
    found = []
    for pid in procfs.all_pids():
        words = procfs.command_line(pid)
        ours = procfs.environment(pid).get(HOME_MARK.encode()) == str(home).encode()
        if ours and words[0].endswith(b"sleep"):
            found.append(words[1].decode())
    return sorted(found)
