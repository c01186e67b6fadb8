"""The pods of a service run as the overlay `dev` says: its migration first, then its code, told by the same variables.

On this machine a container is a process: commands and variables are the manifest's, addresses and Secrets ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from libs.testing.bus_server import free_port
from libs.testing.store_postgres import Postgres
from tests.deploy.builds import Object
from tests.deploy.pods import Pod, pods
from tests.deploy.test_settings import config
from tests.platform import until

SERVICES = ["registry"]
"""What neither the cluster nor a front proxy is part of."""


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.emptied_database()


class Here:
    """A pod's containers as processes: `port` is where the service listens."""

    def __init__(self, pod: Pod, told: dict[str, str], url: str, folder: Path) -> None:
        self.pod, self.port, self.folder = pod, free_port(), folder
        self.told = {**told, "MILLSTREAM_STORE_URL": url, "MILLSTREAM_INSECURE": "true"}
        self.told.pop("MILLSTREAM_NATS_MONITOR_URL")

    def start(self, container: Object) -> subprocess.Popen[str]:
        python, *words = container["command"]
        assert python == "python"
        return subprocess.Popen(
            [sys.executable, *words],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                **self._variables(container),
            },
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _variables(self, container: Object) -> dict[str, str]:
        fields = {"status.podIP": "127.0.0.1", "metadata.uid": "one"}
        own = {
            each["name"]: each["value"] if "value" in each else fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            for each in container["env"]
        }
        return {**self.told, **own, "MILLSTREAM_PORT": str(self.port)}

    def probe(self, path: str) -> int:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=5).status_code
        except httpx.HTTPError:
            return 0


@pytest.fixture(params=SERVICES)
def here(request: pytest.FixtureRequest, built: dict[str, list[Object]], url: str, tmp_path: Path) -> Here:
    objects = built["overlays/dev"]
    [pod] = [pod for pod in pods(objects) if pod.kind == "Deployment" and pod.name == request.param]
    return Here(pod, config(objects), url, tmp_path)


def test_a_service_starts_after_its_migration_answers_its_probes_and_ends_when_told(here: Here) -> None:
    [migrate], [main] = here.pod.spec["initContainers"], here.pod.spec["containers"]
    first = here.start(migrate)
    assert first.wait(timeout=60) == 0, first.communicate()[0]
    process = here.start(main)
    try:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            path = main[probe]["httpGet"]["path"]
            until(lambda path=path: here.probe(path) == 200, 60, f"{path} answers")
        process.terminate()
        assert process.wait(timeout=here.pod.spec["terminationGracePeriodSeconds"]) == 0
    finally:
        process.kill()
        process.communicate()
    assert not list(here.folder.iterdir()), "nothing was written where a container may not write"


def test_without_its_migration_a_service_says_what_is_missing_and_does_not_start(here: Here) -> None:
    process = here.start(here.pod.spec["containers"][0])
    assert process.wait(timeout=60) == 1
    assert "migrate" in process.communicate()[0]
