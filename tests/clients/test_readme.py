"""What README.md and docs/pipelines.md tell users to type, typed: their manifests, shell commands and Python.

The Kubeflow SDK's function is trained in test_kubeflow_sdk.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.clients.conftest import Client
from tests.clients.models import store_iris
from tests.clients.readme import block
from tests.platform import run


def shell(client: Client, commands: str, folder: Path, timeout_s: float = 180) -> str:
    """The commands as a user's shell runs them, `millstream` on its path too; the first that fails ends it."""
    path = f"{client.bin}:{Path(sys.executable).parent}:{client.env['PATH']}"
    env = {**client.env, "PATH": path, "MILLSTREAM_HOME": str(client.platform.home), "PWD": str(folder)}
    return run(["bash", "-euc", f"cd '{folder}'\n{commands}"], env, timeout_s=timeout_s)


@pytest.mark.timeout(240)
def test_the_job_is_applied_waited_for_read_and_deleted(kubectl: Client, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(block("yaml", "# job.yaml"))
    told = shell(kubectl, block("sh", "kubectl apply -f job.yaml"), tmp_path)
    assert "node-0 | 0" in told and "node-1 | 1" in told, told
    kept = shell(kubectl, block("sh", "millstream logs hello "), tmp_path)
    assert "node-0 | 0" in kept and "node-1 (attempt 0) | 1" in kept and "hello has reported nothing" in kept, kept


@pytest.mark.timeout(240)
def test_a_job_is_published_to_nats_and_waited_for_in_python(kubectl: Client, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(block("yaml", "# job.yaml").replace("hello", "said"))
    (tmp_path / "client.py").write_text(block("python", "Client.from_home()").replace("hello", "said"))
    says = block("sh", "millstream events publish training").replace("--since 10m", "--since 10m | head -n 1")
    told = shell(kubectl, f"{says}\n{sys.executable} client.py\nkubectl delete trainjob said", tmp_path)
    assert "training.trainjob.applied.v1" in told and "Traceback" not in told, told
    assert "\n0\n" in told and "\n1\n" in told, told


@pytest.mark.timeout(320)
def test_a_job_whose_pod_is_deleted_goes_on_from_its_checkpoint(kubectl: Client, tmp_path: Path) -> None:
    (tmp_path / "resumable.py").write_text(block("python", "# resumable.py"))
    (tmp_path / "resumable.yaml").write_text(block("yaml", "# resumable.yaml"))
    told = shell(kubectl, block("sh", "create configmap resumable"), tmp_path, timeout_s=310)
    [row] = [line.split() for line in told.splitlines() if line.startswith("resumable ")]
    assert row[1] == "Complete" and row[-3:-1] == ["5000", "1"], f"steps, restarts: {row}"
    assert "node-1 was taken away (PodDeleted" in told


@pytest.mark.timeout(120)
def test_a_trigger_is_applied_fired_by_hand_suspended_and_deleted(kubectl: Client, tmp_path: Path) -> None:
    (tmp_path / "nightly.yaml").write_text(block("yaml", "# nightly.yaml"))
    apply, fire, *rest = block("sh", "kubectl apply -f nightly.yaml").splitlines()
    job = "{.status.succeeded[0].name}"
    done = f"kubectl wait --for=jsonpath='{job}' trigger/nightly --timeout=60s"
    log = f"millstream logs $(kubectl get trigger nightly -o jsonpath='{job}')"
    told = shell(kubectl, "\n".join((apply, fire, done, log, *rest)), tmp_path)
    assert "0 3 * * MON-FRI" in told and "published " in told and "node-0 | for " in told, told
    assert "nightly patched" in told and '"nightly" deleted' in told, told


@pytest.mark.timeout(240)
def test_a_team_gets_a_queue_and_asks_why_its_job_waits(kubectl: Client, tmp_path: Path) -> None:
    (tmp_path / "queues.yaml").write_text(block("yaml", "# queues.yaml"))
    (tmp_path / "job.yaml").write_text(block("yaml", "# job.yaml"))
    told = shell(kubectl, block("sh", "kubectl apply -f queues.yaml"), tmp_path)
    assert "It would start at once: 2 node on default-flavor." in told, told
    assert "trainjob-hello-" in told and "team-queue" in told and "trainjob.trainer.kubeflow.org/hello created" in told


@pytest.mark.timeout(240)
def test_a_registered_model_is_listed_served_and_asked(kubectl: Client, model_registry: Client, tmp_path: Path) -> None:
    """The README's model is the digits one; a small sklearn model of another name takes its place."""
    platform = model_registry.platform
    iris = store_iris(platform, "tests/readme")
    host, _, port = platform.http.rpartition(":")
    snippet = block("python", "ModelRegistry").replace("8080", port).replace("TOKEN", repr(platform.token))
    first, _, rest = snippet.replace("http://127.0.0.1", host).replace('"digits"', '"readme"').partition("for version")
    register = f'registry.register_model("readme", "{iris.uri}", version="1", model_format_name="sklearn"'
    (tmp_path / "list.py").write_text(f'{first}{register}, model_format_version="1")\nfor version{rest}')
    assert "\n1 " in model_registry.call("python", str(tmp_path / "list.py"))
    service = block("yaml", "# service.yaml").replace("digits", "readme").replace("name: pytorch", "name: sklearn")
    (tmp_path / "service.yaml").write_text(service)
    commands = block("sh", "kubectl apply -f service.yaml").replace("digits", "readme")
    assert '"name":"readme"' in shell(kubectl, commands, tmp_path).replace('": "', '":"')
    kubectl.call("kubectl", "delete", "isvc", "readme")


@pytest.mark.timeout(240)
def test_a_pipeline_is_run_shown_debugged_submitted_uploaded_and_started_as_an_object(
    kfp: Client, tmp_path: Path
) -> None:
    (tmp_path / "squares.py").write_text(block("python", "# squares.py"))
    (tmp_path / "submit.py").write_text(block("python", "# submit.py"))
    (tmp_path / "squares.yaml").write_text(block("yaml", "# squares.yaml"))
    told = shell(kfp, block("sh", "millstream pipeline run squares.py"), tmp_path)
    assert "miss: " in told, told
    assert "Wrote executor output" in told and " report " in told and "Markdown" in told, told
    assert "miss: input x changed" in told and "(fork)" in told and " later " in told, told
    assert "SUCCEEDED for-loop-1/for-loop-1 [2]/square" in told and "SUCCEEDED for-loop-1/2/square" in told, told
    assert shell(kfp, "python -W ignore submit.py", tmp_path).count("\nSUCCEEDED\n") == 1
    told = shell(kfp, block("sh", "kubectl apply -f squares.yaml"), tmp_path)
    assert "squares-once condition met" in told and "pipelines.pipelinerun.applied.v1" in told, told
    assert "squares-twice" in told
    told = shell(kfp, block("sh", "kubectl apply -f pipeline.yaml"), tmp_path)
    assert "pipelineversion.pipelines.kubeflow.org/applied-v1 created" in told and "Squares of numbers" in told, told
    assert "pipeline.pipelines.kubeflow.org/squares " in told, "what was uploaded is an object, too"
    recorded = shell(kfp, block("sh", "/apis/v2beta1"), tmp_path)
    assert recorded.count('"uri":"s3://elsewhere/rows"') == 2, recorded
