"""Steps of pipelines in a queue of a whole platform: no more run than there is room for, an urgent job has a step's
place, and kills of every part lose nothing."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

import pytest
import yaml

from tests.door import Door
from tests.e2e.test_pipeline_crash import VICTIMS, _rows, call
from tests.platform import Platform, processes_of, until

QUOTA, WIDTH = 2, 10
SLEEP = "import time; time.sleep(1)"


def queues() -> str:
    amounts = {"cpu": str(QUOTA), "memory": "64Gi"}
    offer = {"name": "plain", "resources": [{"name": k, "nominalQuota": v} for k, v in amounts.items()]}
    rules = {
        "namespaceSelector": {},
        "preemption": {"withinClusterQueue": "LowerPriority"},
        "resourceGroups": [{"coveredResources": list(amounts), "flavors": [offer]}],
    }
    found = [
        ("ResourceFlavor", {"name": "plain"}, {}),
        ("ClusterQueue", {"name": "steps"}, {"spec": rules}),
        ("LocalQueue", {"name": "steps", "namespace": "default"}, {"spec": {"clusterQueue": "steps"}}),
        ("WorkloadPriorityClass", {"name": "urgent"}, {"value": 1000}),
    ]
    made = [{"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": k, "metadata": m, **rest} for k, m, rest in found]
    return yaml.safe_dump_all(made)


def pipeline(width: int, program: str) -> dict[str, Any]:
    """Steps side by side, each with one cpu."""
    container = {
        "image": "python:3.11",
        "command": ["python3", "-c", program],
        "resources": {"resourceCpuRequest": "1"},
    }
    tasks = {
        f"s-{number}": {"taskInfo": {"name": f"s-{number}"}, "componentRef": {"name": "comp-step"}}
        for number in range(width)
    }
    return {
        "pipelineInfo": {"name": "queued"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": {"comp-step": {"executorLabel": "exec-step"}},
        "deploymentSpec": {"executors": {"exec-step": {"container": container}}},
        "root": {"dag": {"tasks": tasks}},
    }


def submit(platform: Platform, name: str, width: int, program: str) -> str:
    body = {"display_name": name, "pipeline_spec": pipeline(width, program), "runtime_config": {"queue": "steps"}}
    return str(call(platform, "POST", "runs", body)["run_id"])


def details(platform: Platform, id: str) -> list[dict[str, Any]]:
    found = call(platform, "GET", f"runs/{id}").get("run_details") or {}
    return [task for task in found.get("task_details") or [] if task["display_name"].startswith("s-")]


def over(platform: Platform, id: str, timeout_s: float) -> dict[str, Any]:
    until(lambda: call(platform, "GET", f"runs/{id}").get("finished_at", "1970")[:4] != "1970", timeout_s, "its end")
    return call(platform, "GET", f"runs/{id}")


@pytest.fixture(scope="module", autouse=True)
def steps(platform: Platform) -> None:
    manifest = platform.home / "queues.yaml"
    manifest.write_text(queues())
    platform.run("apply", "-f", str(manifest))


def conditions(platform: Platform, job: str) -> list[str]:
    found = json.loads(platform.run("get", "trainjob", job, "-o", "json"))
    told = (found.get("status") or {}).get("conditions") or []
    return [one["type"] for one in told if one["status"] == "True"]


def pods(platform: Platform) -> list[dict[str, Any]]:
    """Those of steps that have not ended."""
    found = json.loads(platform.run("get", "pods", "-o", "json"))["items"]
    return [pod for pod in found if (pod.get("status") or {}).get("phase") in (None, "Pending", "Running")]


def whys(platform: Platform, id: str) -> list[str]:
    """Why steps of this run wait."""
    return [
        str((task.get("error") or {}).get("message")) for task in details(platform, id) if task["state"] == "PENDING"
    ]


def test_an_urgent_job_has_the_place_of_a_step_which_comes_back(platform: Platform) -> None:
    with Door() as door:
        run = submit(platform, "patient", 3, door.wait)
        until(lambda: sum(task["state"] == "RUNNING" for task in details(platform, run)) == QUOTA, 60, "two steps run")
        why = "waits in queue steps: place 1 in the queue: asks for 1 cpu"
        until(lambda: [each[: len(why)] for each in whys(platform, run)] == [why], 30, "the third says why it waits")
        urgent_job(platform)
    assert over(platform, run, 60)["state"] == "SUCCEEDED"
    rows = _rows(platform, "SELECT body FROM pipeline_tasks WHERE run_id = ?", run)
    steps = [task for (body,) in rows if (task := json.loads(body))["kind"] == "step"]
    assert sorted(task["attempt"] for task in steps) == [1, 1, 2]
    assert [(task["failures"], task["losses"]) for task in steps] == [(0, 0)] * 3
    until(lambda: not json.loads(platform.run("get", "workloads", "-o", "json"))["items"][1:], 30, "no step is left")


def urgent_job(platform: Platform) -> None:
    """One that needs a cpu, too, and comes to its end."""
    labels = {"kueue.x-k8s.io/queue-name": "steps", "kueue.x-k8s.io/priority-class": "urgent"}
    need = {"resourcesPerNode": {"requests": {"cpu": "1"}}, "numNodes": 1, "command": ["python", "-c", "print(1)"]}
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "urgent", "labels": labels},
        "spec": {"runtimeRef": {"name": "python"}, "trainer": need},
    }
    (platform.home / "job.yaml").write_text(yaml.safe_dump(job))
    platform.run("apply", "-f", str(platform.home / "job.yaml"))
    until(lambda: "Complete" in conditions(platform, "urgent"), 60, "the end of the urgent job")


@pytest.mark.timeout(300)
def test_kills_of_every_part_lose_no_step_and_none_runs_beyond_the_quota(platform: Platform) -> None:
    victims = {**VICTIMS, "scheduler": "-m services.scheduler "}
    most, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.3):
            found = call_pods(platform)
            most[0] = max(most[0], found)

    watcher = threading.Thread(target=look, daemon=True)
    run = submit(platform, "killed", WIDTH, SLEEP)
    watcher.start()
    for name, mark in victims.items():
        done.wait(1.5)
        killed = [pid for pid, command in processes_of(platform.home).items() if mark in f"{command} "]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert killed, f"{name} was not there"
    found = over(platform, run, 200)
    done.set()
    watcher.join()
    assert found["state"] == "SUCCEEDED", found.get("error")
    assert 0 < most[0] <= QUOTA
    until(lambda: _rows(platform, "SELECT uid FROM pipeline_seats") == [], 60, "every place is given back")
    assert {task["state"] for task in details(platform, run)} == {"SUCCEEDED"}


def call_pods(platform: Platform) -> int:
    """How many steps have a pod that has not ended; 0 while nobody can say."""
    try:
        return len(pods(platform))
    except Exception:
        return 0
