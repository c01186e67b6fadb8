"""Kill a worker, the master, the trainer service, the node service in turn during one job: it ends as if nothing was.

The same number of steps is made, and of each step that is lost with a rank at most one checkpoint interval is repeated.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from millstream.client import Client
from millstream.errors import ClientError

from tests.e2e import flow
from tests.e2e.recovering import Ear, job, kill_with_launcher
from tests.e2e.test_crash import pids_of
from tests.platform import Platform, until

STEPS, EVERY = 600, 20


@pytest.fixture
def ear() -> Iterator[Ear]:
    heard = Ear()
    yield heard
    heard.close()


def _job(client: Client, name: str) -> dict[str, Any]:
    """As it is; {} while nobody can tell."""
    try:
        return client.get("trainjobs", name)
    except ClientError:
        return {}


def _wait_over(client: Client, name: str, timeout_s: float = 150) -> dict[str, Any]:
    until(lambda: flow.outcome(_job(client, name)), timeout_s, f"{name} over")
    return _job(client, name)


@pytest.mark.timeout(400)
def test_a_job_outlives_its_worker_its_master_the_trainer_and_the_node_service(platform: Platform, ear: Ear) -> None:
    with Client.from_home(platform.home) as client:
        uid = flow.insist(client, job("survivor", ear.port, STEPS, EVERY))
        ear.wait_for("the job to get on", lambda step: step.number >= 50)
        os.kill(ear.newest(node=1).pid, signal.SIGKILL)
        ear.wait_for("the job to get on again", lambda step: step.attempt == 1 and step.number >= 130)
        kill_with_launcher(ear.newest(node=0).pid)
        ear.wait_for("the job to get on once more", lambda step: step.attempt == 2 and step.number >= 210)
        for service in ("trainer", "node"):
            (pid,) = pids_of(platform, service)
            os.kill(pid, signal.SIGKILL)
            at = ear.newest(node=0).number
            until(lambda: ear.newest(node=0).number >= at + 60, 60, f"steps without the {service}")  # noqa: B023
            until(lambda: len(pids_of(platform, service)) == 1, 60, f"the {service} back")  # noqa: B023
        over = _wait_over(client, "survivor")

    status = over["status"]
    assert flow.outcome(over) == "Complete", status
    assert over["metadata"]["uid"] == uid and status["restarts"] == 2
    assert [entry["reason"] for entry in status["recoveries"]] == ["Killed", "Killed"]
    assert status["steps"] == status["checkpoint"]["step"] == STEPS
    assert 0 < status["goodput"] < 1
    for rank in (0, 1):
        made = [step.number for step in ear.of(rank)]
        assert set(made) == set(range(STEPS))
        assert len(made) - STEPS <= 2 * EVERY, f"rank {rank} repeated {len(made) - STEPS} steps for two faults"
    assert {step.attempt for step in ear.made} == {0, 1, 2}
    counts = flow.counted(flow.change_log(platform, "trainer"), "training.trainjob.restarted.v1")
    assert counts[uid] == 2


@pytest.mark.timeout(400)
def test_a_suspended_job_goes_on_where_it_was_and_a_hung_one_is_begun_again(platform: Platform, ear: Ear) -> None:
    with Client.from_home(platform.home) as client:
        wanted = job("paused", ear.port, 120, 1000, hang_timeout=8, HANG_AT=80)
        flow.insist(client, wanted)
        ear.wait_for("the job to get on", lambda step: step.number >= 30)
        flow.insist(client, {**wanted, "spec": {**wanted["spec"], "suspend": True}})
        until(lambda: "Suspended" in str(_job(client, "paused")["status"].get("conditions")), 40, "suspended")
        before = len(ear.of(0))
        flow.insist(client, {**wanted, "spec": {**wanted["spec"], "suspend": False}})
        until(lambda: _job(client, "paused").get("status", {}).get("recoveries"), 100, "the hung job is begun again")
        flow.insist(client, job("paused", ear.port, 120, 1000, hang_timeout=300, HANG_AT=80))  # a busy machine is slow
        over = _wait_over(client, "paused")

    assert flow.outcome(over) == "Complete", over["status"]
    resumed = ear.of(0)[before]
    assert resumed.number == ear.of(0)[before - 1].number + 1, "the step in hand was finished and saved"
    assert [entry["reason"] for entry in over["status"]["recoveries"]] == ["Hung"]
    assert {step.number for step in ear.of(0)} == set(range(120))


@pytest.mark.timeout(400)
def test_an_elastic_job_goes_on_at_its_next_step_with_fewer_nodes(platform: Platform, ear: Ear) -> None:
    with Client.from_home(platform.home) as client:
        wanted = job("elastic", ear.port, 150, 1000, min_nodes=1, max_nodes=2)
        flow.insist(client, wanted)
        ear.wait_for("the job to get on", lambda step: step.number >= 30)
        fewer = {**wanted["spec"]["trainer"], "numNodes": 1}
        flow.insist(client, {**wanted, "spec": {**wanted["spec"], "trainer": fewer}})
        over = _wait_over(client, "elastic")

    assert flow.outcome(over) == "Complete" and "restarts" not in over["status"], over["status"]
    assert [entry["reason"] for entry in over["status"]["recoveries"]] == ["Resized"]
    assert [step.number for step in ear.of(0)] == list(range(150)), "none was repeated"
    assert len(ear.of(1)) < 60


@pytest.mark.timeout(400)
def test_a_killed_program_among_independent_ones_is_made_again_alone(platform: Platform, ear: Ear) -> None:
    with Client.from_home(platform.home) as client:
        flow.insist(client, job("alone", ear.port, 100, 10, min_nodes=2, ALONE=1))
        ear.wait_for("both to get on", lambda step: step.node == 1 and step.number >= 20)
        os.kill(ear.newest(node=1).pid, signal.SIGKILL)
        over = _wait_over(client, "alone")

    assert flow.outcome(over) == "Complete" and "restarts" not in over["status"], over["status"]
    (entry,) = over["status"]["recoveries"]
    assert (entry["reason"], entry["node"]) == ("NodeReplaced", "node-1")
    assert [len({step.pid for step in ear.made if step.node == node}) for node in (0, 1)] == [1, 2]


HELD = """
import os, pathlib, socket, subprocess, sys

pathlib.Path("train.py").write_text("import torch.distributed as dist; dist.init_process_group('gloo')")
held = None
if os.environ["MILLSTREAM_RESTART"] == "0":
    held = socket.create_server(("0.0.0.0", int(os.environ["PET_MASTER_PORT"])))
sys.exit(subprocess.call(["torchrun", "train.py"]))
"""


@pytest.mark.timeout(200)
def test_a_rendezvous_port_that_somebody_else_holds_is_left_to_him(platform: Platform) -> None:
    limits = {"cpu": "1", "memory": "2Gi"}
    trainer = {"numNodes": 1, "command": ["python", "-c", HELD], "resourcesPerNode": {"limits": limits}}
    spec = {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer}
    made = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": "held"}}
    with Client.from_home(platform.home) as client:
        client.apply({**made, "spec": spec})
        over = _wait_over(client, "held")
    assert flow.outcome(over) == "Complete", over["status"]
    assert [entry["reason"] for entry in over["status"]["recoveries"]] == ["PortTaken"]
