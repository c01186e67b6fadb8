"""What README.md tells users of clients to type, typed: its manifests, its shell commands, its Python.

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


def shell(client: Client, commands: str, folder: Path) -> str:
    """The commands as a user's shell runs them, `millstream` on its path too; the first that fails ends it."""
    path = f"{client.bin}:{Path(sys.executable).parent}:{client.env['PATH']}"
    env = {**client.env, "PATH": path, "MILLSTREAM_HOME": str(client.platform.home), "PWD": str(folder)}
    return run(["bash", "-euc", f"cd '{folder}'\n{commands}"], env)


@pytest.mark.timeout(240)
def test_the_job_is_applied_waited_for_read_and_deleted(kubectl: Client, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(block("yaml", "# job.yaml"))
    told = shell(kubectl, block("sh", "kubectl apply -f job.yaml"), tmp_path)
    assert "node-0 | 0" in told and "node-1 | 1" in told, told
    kept = shell(kubectl, block("sh", "millstream logs hello "), tmp_path)
    assert "node-0 | 0" in kept and "node-1 (attempt 0) | 1" in kept and "hello has reported nothing" in kept, kept


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
