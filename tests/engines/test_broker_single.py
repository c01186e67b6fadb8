"""The broker of a small cluster, by its own manifest: it starts, its probes answer, it syncs before it acknowledges."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from millstream.cluster import broker, ledger
from millstream.laptop import manifests

from libs.base.clock import SystemClock
from libs.base.ids import SystemIds
from libs.bus import Bus, Tuning
from tests.engines import engine_pods


@pytest.fixture
def logins() -> dict[str, list[tuple[str, str]]]:
    state = ledger.completed({}, manifests())
    users = [entry.removeprefix("nats.") for entry in state if entry.startswith("nats.")]
    return {user: ledger.logins(state, ledger.nats(user)) for user in users}


@pytest.fixture
def host(tmp_path: Path, logins: dict[str, list[tuple[str, str]]]) -> Iterator[str]:
    """Where the container of the StatefulSet listens."""
    host = f"127.252.{os.getpid() % 250 + 2}.1"
    (tmp_path / "nats.conf").write_text(broker.config(manifests(), logins))
    own = {"$(POD_NAME)": "nats-0", "/etc/nats": tmp_path, "/data": tmp_path / "data"}
    command = engine_pods.command(engine_pods.container("nats")["command"], own)
    server = subprocess.Popen([*command, "-a", host], stderr=subprocess.DEVNULL)
    yield host
    server.kill()
    server.wait()


async def test_the_pod_of_the_manifest_serves(host: str, logins: dict[str, list[tuple[str, str]]]) -> None:
    user, password = logins["trainer"][0]
    bus = await Bus.connect(
        f"nats://{user}:{password}@{host}:4222",
        service="trainer",
        clock=SystemClock(),
        ids=SystemIds(),
        tuning=Tuning(durability="refuse"),
        monitor_url=f"http://{host}:8222",
    )
    try:
        await bus.ensure("trainer", ["scheduling.workload.admitted.v1"])
        await bus.publish("millstream.training.trainjob.created.v1.default", b"{}", headers={}, msg_id="1")
        assert all(answers(f"http://{host}:8222{path}") for path in engine_pods.probe_paths("nats"))
    finally:
        await bus.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as found:
            return bool(found.status == 200)
    except urllib.error.URLError:
        return False
