"""Kill -9 of the pipelines service, of the node and of the broker during a run of 200 steps: every step has one
recorded result, none is lost, and what the cache keeps is whole."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sqlite3
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from millstream.home import SYSTEM_NAMESPACE

from tests.e2e import broker, flow
from tests.e2e.test_crash import MARKS, SEED
from tests.platform import Platform, processes_of, until

CHAINS, LENGTH = 20, 10
KILLS = 2
VICTIMS = {
    "pipelines": "-m services.pipelines ",
    "node": MARKS["node"],
    "nats": MARKS["nats"],
}
PROGRAM = (
    "import os, sys; n = int(sys.argv[1]) + 1\n"
    "for path, text in ((sys.argv[2], str(n)), (sys.argv[3], f'{n} of {sys.argv[4]}\\n' * 1000)):\n"
    "    os.makedirs(os.path.dirname(path), exist_ok=True)\n"
    "    open(path, 'w').write(text)\n"
)


def pipeline() -> dict[str, Any]:
    """Chains of steps side by side; each writes a number, one more than it was given, and a table."""
    inputs = {"x": {"parameterType": "NUMBER_INTEGER"}, "chain": {"parameterType": "STRING"}}
    args = [
        "{{$.inputs.parameters['x']}}",
        "{{$.outputs.parameters['y'].output_file}}",
        "{{$.outputs.artifacts['table'].path}}",
        "{{$.inputs.parameters['chain']}}",
    ]
    table = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
    component = {
        "executorLabel": "exec-step",
        "inputDefinitions": {"parameters": inputs},
        "outputDefinitions": {
            "parameters": {"y": {"parameterType": "NUMBER_INTEGER"}},
            "artifacts": {"table": table},
        },
    }
    container = {"image": "python:3.11", "command": ["python3", "-c", PROGRAM], "args": args}
    tasks = dict(_task(chain, place) for chain in range(CHAINS) for place in range(LENGTH))
    return {
        "pipelineInfo": {"name": "crash"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": {"comp-step": component},
        "deploymentSpec": {"executors": {"exec-step": {"container": container}}},
        "root": {"dag": {"tasks": tasks}},
    }


def _task(chain: int, place: int) -> tuple[str, dict[str, Any]]:
    given: dict[str, Any] = {"runtimeValue": {"constant": 0}}
    if place:
        given = {"taskOutputParameter": {"producerTask": f"s-{chain}-{place - 1}", "outputParameterKey": "y"}}
    name = f"s-{chain}-{place}"
    return name, {
        "taskInfo": {"name": name},
        "componentRef": {"name": "comp-step"},
        "inputs": {"parameters": {"x": given, "chain": {"runtimeValue": {"constant": str(chain)}}}},
        "cachingOptions": {"enableCache": True},
        **({"dependentTasks": [f"s-{chain}-{place - 1}"]} if place else {}),
    }


class Killer(threading.Thread):
    """Kills one of the victims after the other, from a seed, some times each: a part that is killed whenever it is back
    makes no progress, which is no news."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(daemon=True)
        self.platform, self.random, self.done = platform, random.Random(SEED), threading.Event()
        self.killed: list[str] = []

    def run(self) -> None:
        for name in self.random.sample(list(VICTIMS) * KILLS, len(VICTIMS) * KILLS):
            if self.done.wait(self.random.uniform(1.5, 5.0)):
                return
            for pid, command in processes_of(self.platform.home).items():
                if VICTIMS[name] in f"{command} ":
                    os.kill(pid, signal.SIGKILL)
                    self.killed.append(name)


def call(platform: Platform, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Answers {} while nobody can answer."""
    request = urllib.request.Request(
        f"{platform.http}/apis/v2beta1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {platform.token}"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except OSError:
        return {}


def run_to_its_end(platform: Platform, name: str, timeout_s: float) -> dict[str, Any]:
    made = call(platform, "POST", "runs", {"display_name": name, "pipeline_spec": pipeline()})
    assert made, "the run was not accepted"
    path = f"runs/{made['run_id']}"
    until(lambda: call(platform, "GET", path).get("finished_at", "1970")[:4] != "1970", timeout_s, f"the end of {name}")
    return call(platform, "GET", path)


@pytest.mark.timeout(600)
def test_two_hundred_steps_survive_the_kill_of_service_node_and_broker(platform: Platform) -> None:
    killer = Killer(platform)
    killer.start()
    run = run_to_its_end(platform, "crash", 400)
    killer.done.set()
    killer.join()
    assert set(killer.killed) == set(VICTIMS), killer.killed
    assert run["state"] == "SUCCEEDED", (run.get("error"), killer.killed)
    tasks = _rows(platform, "SELECT body FROM pipeline_tasks WHERE run_id = ?", run["run_id"])
    steps = [task for (body,) in tasks if (task := json.loads(body))["kind"] == "step"]
    assert {task["state"] for task in steps} == {"SUCCEEDED"}
    assert len(steps) == CHAINS * LENGTH
    for task in steps:
        assert task["outputs"]["parameters"]["y"] == int(task["name"].rsplit("-", 1)[1]) + 1
    _said_once(platform, {task["uid"] for task in steps})
    _whole(platform, steps)
    again = run_to_its_end(platform, "again", 120)
    assert again["state"] == "SUCCEEDED"
    reused = _rows(platform, "SELECT body FROM pipeline_tasks WHERE run_id = ?", again["run_id"])
    assert sum(1 for (body,) in reused if json.loads(body)["cached_from"]) == CHAINS * LENGTH


def _said_once(platform: Platform, uids: set[str]) -> None:
    until(lambda: all(letter.marked for letter in flow.change_log(platform, "pipelines")), 60, "every letter said")
    log = flow.change_log(platform, "pipelines")
    told = flow.counted(log, "pipelines.task.succeeded.v1")
    assert {uid: told[uid] for uid in uids} == dict.fromkeys(uids, 1)
    assert not flow.counted(log, "pipelines.task.failed.v1")
    assert {letter.id for letter in log} <= {letter.get("id") for letter in broker.letters(platform)}


def _whole(platform: Platform, steps: list[dict[str, Any]]) -> None:
    """Every artifact's bytes are those whose digest was recorded."""
    for task in steps:
        [made] = task["outputs"]["artifacts"]["table"]
        [file] = [path for path in platform.home.rglob(Path(made["uri"]).name) if str(path).endswith(_key(made))]
        assert made["digest"] == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}", made


def _key(made: dict[str, Any]) -> str:
    return str(made["uri"]).removeprefix("s3:/")


def _rows(platform: Platform, query: str, *values: str) -> list[Any]:
    path = platform.home / "data" / SYSTEM_NAMESPACE / "data" / "pipelines.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute(query, values).fetchall()
