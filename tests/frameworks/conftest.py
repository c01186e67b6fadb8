"""One platform for all frameworks; what their images stand for is kept between the runs, beside the clients' own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from millstream.client import Client, conditions_of
from millstream.errors import ClientError

from tests.platform import KEPT_IMAGES, Platform, started

PROGRAMS = Path(__file__).parent / "programs"
LOSS = re.compile(r"size (\d+) step (\d+) loss ([\d.]+)")
PATIENCE_S = 600.0
"""The first run of all installs what the images stand for."""


@dataclass(frozen=True)
class Run:
    """How a job ended, and what its pods said by name of role and number."""

    ended: str
    message: str
    logs: dict[str, str]

    @property
    def losses(self) -> list[tuple[int, float]]:
        """(processes that took part, loss) by step, from whoever tells it."""
        found = [match for text in self.logs.values() for match in LOSS.findall(text)]
        return [(int(size), float(loss)) for size, step, loss in sorted(found, key=lambda entry: int(entry[1]))]


@dataclass
class Trainer:
    """Runs programs as TrainJobs of two nodes."""

    client: Client

    def run(self, name: str, runtime: str, command: list[str], **trainer: Any) -> Run:
        limits = {"cpu": "1", "memory": "3Gi"}
        asked = {"numNodes": 2, "command": command, "resourcesPerNode": {"limits": limits}, **trainer}
        self.client.apply(
            {
                "apiVersion": "trainer.kubeflow.org/v1alpha1",
                "kind": "TrainJob",
                "metadata": {"name": name, "annotations": {"millstream.dev/max-restarts": "0"}},
                "spec": {"runtimeRef": {"name": runtime}, "trainer": asked},
            }
        )
        job = self._over(name)
        ended = next(c for kind, c in conditions_of(job).items() if kind in ("Complete", "Failed"))
        return Run(ended["type"], ended.get("message", ""), self._logs(name))

    def _over(self, name: str) -> dict[str, Any]:
        try:
            return self.client.wait("trainjob", name, "Complete", timeout_s=PATIENCE_S)
        except ClientError:
            return self.client.get("trainjob", name)

    def _logs(self, name: str) -> dict[str, str]:
        pods = self.client.list("pods", selector=f"jobset.sigs.k8s.io/jobset-name={name}")
        logs = {}
        for pod in pods:
            labels = pod["metadata"]["labels"]
            who = labels["jobset.sigs.k8s.io/replicatedjob-name"], labels["batch.kubernetes.io/job-completion-index"]
            logs["-".join(who)] = "\n".join(self.client.logs(pod["metadata"]["name"]))
        return logs


def program(name: str) -> str:
    return (PROGRAMS / f"{name}.py").read_text()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with started(tmp_path_factory.mktemp("home"), images=KEPT_IMAGES) as running:
        yield running


@pytest.fixture(scope="session")
def trainer(platform: Platform) -> Iterator[Trainer]:
    with Client.from_home(platform.home) as client:
        yield Trainer(client)
