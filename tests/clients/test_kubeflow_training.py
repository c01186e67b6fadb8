"""kubeflow-training's TrainingClient, unmodified, with each of the Training Operator's kinds; real frameworks train."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.clients.conftest import Client, _client
from tests.clients.readme import block
from tests.platform import Platform

JOBS = Path(__file__).parent / "jobs"
LOSS = re.compile(r"loss ([0-9.e+-]+)(?: ([0-9.e+-]+))?")


@pytest.fixture(scope="module")
def training(platform: Platform) -> Client:
    return _client("kubeflow-training", platform)


def program(name: str) -> list[str]:
    """The job's program as a command; it gets its own text, which a launcher may need as a file."""
    text = (JOBS / f"{name}.py").read_text()
    return ["python", "-u", "-c", text, text]


def job(client: Client, kind: str, name: str, image: str, replicas: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = client.program("kubeflow_job", kind=kind, name=name, image=image, replicas=replicas, **more)
    assert told["started"] and told["completed"] and told["listed"] and told["gone"], told
    assert "already exists" in told["again"]
    return told


def losses(lines: str) -> list[float]:
    return [float(part) for found in LOSS.findall(lines) for part in found if part]


@pytest.mark.timeout(180)
def test_the_readmes_function_trains_on_two_workers_and_its_job_is_read_changed_and_ended(
    training: Client, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(block("python", "from kubeflow.training"))
    told = training.program("kubeflow_function", snippet=str(tmp_path / "train.py"))
    assert told["conditions"] == {"Created": "True", "Running": "False", "Succeeded": "True"}
    assert told["succeeded"] == {"Master": 1, "Worker": 1} and told["asked"] == [True, False, False]
    assert told["master"] == ["linear-master-0"] and told["worker"] == ["linear-worker-0"]
    for pod, rank in (("linear-master-0", 0), ("linear-worker-0", 1)):
        lines = "\n".join(told["logs"][pod])
        assert f"rank {rank} of 2" in lines
        found = losses(lines)
        assert found[-1] < found[0] / 10, lines
    assert told["followed"]["linear-master-0"] > 0
    assert any("successfully completed" in line for line in told["events"]["pytorchjob/linear"])
    assert told["labels"] == {"team": "b"} and told["listed"] and told["gone"]
    assert "already exists" in told["again"]
    assert "metadata.name" in told["wrong"] and "Not_A_Name" in told["wrong"]
    assert "spec.pytorchReplicaSpecs" in told["frozen"] and "create a new job" in told["frozen"]


@pytest.mark.timeout(240)
def test_xgboost_and_jax_jobs_of_two_users_train_at_once(training: Client) -> None:
    two = {"Master": {"replicas": 1, "command": program("xgboost")}}
    two["Worker"] = two["Master"]
    pair = {"Worker": {"replicas": 2, "command": program("jax")}}
    with ThreadPoolExecutor(2) as users:
        trees = users.submit(job, training, "XGBoostJob", "trees", "kubeflow/xgboost-dist-iris", two)
        arrays = users.submit(job, training, "JAXJob", "arrays", "ghcr.io/nvidia/jax", pair, memory="1Gi")
        grown, summed = trees.result(), arrays.result()
    assert grown["conditions"]["Succeeded"][:2] == ["True", "XGBoostJobSucceeded"]
    assert grown["master"] == ["trees-master-0"]
    for rank, pod in enumerate(("trees-master-0", "trees-worker-0")):
        assert "of 2" in grown["logs"][pod], grown["logs"]
        first, last = losses(grown["logs"][pod])
        assert last < first, rank
    assert summed["conditions"]["Succeeded"][:2] == ["True", "JAXJobSucceeded"]
    assert summed["pods"] == ["arrays-worker-0", "arrays-worker-1"] and summed["master"] == ["arrays-worker-0"]
    for pod in summed["pods"]:
        found = losses(summed["logs"][pod])
        assert "of 2" in summed["logs"][pod] and found[-1] < found[0] / 100


@pytest.mark.timeout(240)
def test_a_tfjob_trains_over_a_parameter_server_while_an_evaluator_looks_on(training: Client) -> None:
    replicas = {
        role: {"replicas": 1, "command": program("tensorflow")} for role in ("Chief", "Worker", "PS", "Evaluator")
    }
    told = job(training, "TFJob", "ps", "tensorflow/tensorflow:2.19.0", replicas, memory="1Gi")
    assert told["conditions"]["Succeeded"][0] == "True", told["conditions"]
    assert told["master"] == ["ps-chief-0"]
    assert told["replicas"]["Chief"]["succeeded"] == 1 and told["replicas"]["PS"]["active"] == 1
    found = losses(told["logs"]["ps-chief-0"])
    assert found[-1] < found[0] / 10
    assert "task evaluator 0 cluster ['chief', 'ps', 'worker']" in told["logs"]["ps-evaluator-0"]


@pytest.mark.timeout(240)
def test_a_paddlejob_trains_under_paddles_own_launcher(training: Client) -> None:
    replicas = {"Worker": {"replicas": 2, "command": program("paddle")}}
    told = job(training, "PaddleJob", "paddles", "paddlepaddle/paddle:3.0", replicas, memory="1Gi")
    assert told["conditions"]["Succeeded"][0] == "True", told["conditions"]
    for pod in ("paddles-worker-0", "paddles-worker-1"):
        found = losses(told["logs"][pod])
        assert "of 2" in told["logs"][pod] and found[-1] < found[0] / 100


@pytest.mark.timeout(180)
def test_an_mpijobs_mpirun_starts_a_rank_on_each_worker(training: Client) -> None:
    mpirun = ["mpirun", "-np", "2", *program("mpi")[:4]]
    replicas = {"Launcher": {"replicas": 1, "command": mpirun}, "Worker": {"replicas": 2, "command": ["sleep", "1h"]}}
    told = job(training, "MPIJob", "ranks", "mpioperator/mpi-pi:openmpi", replicas)
    assert told["conditions"]["Succeeded"][0] == "True", told["conditions"]
    lines = told["logs"]["ranks-launcher-0"]
    for rank in (0, 1):
        own = "\n".join(line for line in lines.splitlines() if f"rank {rank} of 2 on ranks-worker-" in line)
        assert losses(own)[-1] < losses(own)[0] / 100, lines
    assert "ranks-worker-0" in lines and "ranks-worker-1" in lines


FAILS_ONCE = """
import os, pathlib, signal, sys
seen = pathlib.Path("MARK")
print("attempt", 2 if seen.exists() else 1, flush=True)
if not seen.exists():
    seen.write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that pods see as it is: their /tmp is their own."""
    with TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("policy", ["OnFailure", "ExitCode"])
def test_a_killed_worker_begins_again_as_its_restart_policy_says(training: Client, policy: str, outside: Path) -> None:
    command = ["python", "-c", FAILS_ONCE.replace("MARK", str(outside / "mark"))]
    replicas = {"Worker": {"replicas": 1, "command": command, "restartPolicy": policy}}
    told = job(training, "PyTorchJob", f"killed-{policy.lower()}", "python:3.11", replicas, timeout=60)
    assert told["conditions"]["Succeeded"][0] == "True", told["conditions"]
    assert "attempt 2" in told["logs"][f"killed-{policy.lower()}-worker-0"]
    assert (outside / "mark").exists()


@pytest.mark.timeout(120)
def test_a_worker_that_may_not_begin_again_fails_its_job_with_its_last_words(training: Client) -> None:
    command = ["python", "-c", "raise FileNotFoundError('no data at /nowhere')"]
    replicas = {"Worker": {"replicas": 1, "command": command, "restartPolicy": "ExitCode"}}
    told = job(training, "PyTorchJob", "doomed", "python:3.11", replicas)
    message = told["conditions"]["Failed"][2]
    assert message.startswith("PyTorchJob doomed is failed because 1 Worker replica(s) failed.")
    assert "worker-0 (pytorch) ended with exit code 1" in message and "no data at /nowhere" in message
    assert any("no data at /nowhere" in line for line in told["events"]["pytorchjob/doomed"])


QUEUE = """
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: one-core}
spec:
  namespaceSelector: {}
  resourceGroups:
  - coveredResources: [cpu, memory]
    flavors:
    - name: default-flavor
      resources: [{name: cpu, nominalQuota: 1}, {name: memory, nominalQuota: 4Gi}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: narrow, namespace: queued}
spec: {clusterQueue: one-core}
"""


@pytest.mark.timeout(150)
def test_a_job_waits_in_its_queue_until_another_one_is_suspended_which_then_goes_on(
    training: Client, kubectl: Client
) -> None:
    kubectl.call("kubectl", "create", "namespace", "queued")
    kubectl.call("kubectl", "apply", "-f", "-", stdin=QUEUE)
    told = training.program("kubeflow_queue", namespace="queued", queue="narrow")
    assert told["waiting"] == {"Created": "True"} and told["pods"] == []
    assert told["suspended"] == {"Created": "True", "Running": "False", "Suspended": "True"}
    assert told["resumed"] == {"Created": "True", "Running": "False", "Suspended": "False", "Succeeded": "True"}
    assert told["logs"] == {"first-master-0": "first is done\n"}
    kubectl.call("kubectl", "delete", "clusterqueue", "one-core")
    kubectl.call("kubectl", "delete", "namespace", "queued", "--wait=false")


MANIFEST = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: typed}
spec:
  pytorchReplicaSpecs:
    Master:
      replicas: 1
      restartPolicy: OnFailure
      template:
        spec:
          containers:
          - name: pytorch
            image: docker.io/kubeflowkatib/pytorch-mnist:v1beta1-45c5727
            imagePullPolicy: Always
            command: [python, -c, "import os; print('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'])"]
    Worker:
      replicas: 1
      restartPolicy: OnFailure
      template:
        spec:
          containers:
          - name: pytorch
            image: docker.io/kubeflowkatib/pytorch-mnist:v1beta1-45c5727
            command: [python, -c, "import os; print('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'])"]
"""


@pytest.mark.timeout(120)
def test_kubectl_applies_shows_and_deletes_a_job_in_upstreams_own_form(kubectl: Client) -> None:
    assert "created" in kubectl.call("kubectl", "apply", "-f", "-", stdin=MANIFEST)
    assert "unchanged" in kubectl.call("kubectl", "apply", "-f", "-", stdin=MANIFEST)
    kubectl.call("kubectl", "wait", "--for=condition=Succeeded", "pytorchjob/typed", "--timeout=60s")
    listed = kubectl.call("kubectl", "get", "pytorchjobs")
    assert re.search(r"^NAME +STATE +AGE\n(?:.*\n)*typed +Succeeded", listed), listed
    described = kubectl.call("kubectl", "describe", "pytorchjob", "typed")
    assert "PyTorchJobSucceeded" in described and "typed is successfully completed." in described
    logs = kubectl.call("kubectl", "logs", "-l", "training.kubeflow.org/job-name=typed", "--prefix")
    assert "rank 0 of 2" in logs and "rank 1 of 2" in logs
    wrong = MANIFEST.replace("- name: pytorch\n", "- name: main\n")
    refused = kubectl.call("kubectl", "apply", "-f", "-", stdin=wrong.replace("typed", "wrong"), check=False)
    assert "one container must be called 'pytorch'" in refused, refused
    assert "replicaa" in kubectl.call(
        "kubectl", "apply", "-f", "-", stdin=MANIFEST.replace("replicas: 1", "replicaa: 1"), check=False
    )
    assert "deleted" in kubectl.call("kubectl", "delete", "pytorchjob", "typed", "--timeout=30s")
    left = kubectl.call("kubectl", "get", "services", "-l", "training.kubeflow.org/job-name=typed", "-o", "name")
    assert left == ""
    assert kubectl.call("kubectl", "logs", "typed-worker-0") == "rank 1 of 2\n", "its log is kept"
