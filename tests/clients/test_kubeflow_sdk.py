"""The Kubeflow SDK's TrainerClient finds runtimes, trains a function on two nodes, follows and ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Client
from tests.clients.readme import block


@pytest.mark.timeout(300)
def test_the_readmes_function_trains_on_two_nodes_and_its_logs_are_followed(kubeflow: Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(block("python", "from kubeflow.trainer"))
    told = kubeflow.program("kubeflow_train", snippet=str(tmp_path / "train.py"))
    assert "torch-distributed" in told["runtimes"]
    assert told["status"] == "Complete"
    assert told["nodes"] == 2
    lines = [line for step in told["logs"].values() for line in step]
    assert any("rank 0 of 2" in line for line in lines), told["logs"]
    assert any("rank 1 of 2" in line for line in lines), told["logs"]
    assert any("rank 0 of 2" in line for line in told["followed"])
    assert told["listed"]
    assert told["events"], "the SDK shows no events of the job"
    assert told["gone"], "the job is still there after delete_job"


@pytest.mark.timeout(180)
def test_a_job_that_fails_says_why(kubeflow: Client) -> None:
    told = kubeflow.program("kubeflow_fail")
    assert told["waited"] == f"TrainJob {told['name']} is Failed"
    assert told["status"] == "Failed"
    assert any("FileNotFoundError: no data at /nowhere" in line for line in told["logs"]), told["logs"]
    assert any("no data at /nowhere" in message for message in told["events"]), told["events"]
