"""What the bootstrap made is all that services need: gateway and registry start with it and serve its administrator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from libs.testing.bus_server import free_port
from tests.engines import engine_pods
from tests.engines.ground import Ground

READY_S = 40.0
MODELS = "/api/model_registry/v1alpha3/registered_models"


@contextmanager
def broker(ground: Ground, folder: Path) -> Iterator[str]:
    """The single broker by its manifest, with the configuration of its Secret; gives its address."""
    host = f"127.253.{os.getpid() % 250 + 2}.1"
    (folder / "nats.conf").write_text(ground.secrets()["nats-config"]["nats.conf"])
    own = {"$(POD_NAME)": "nats-0", "/etc/nats": folder, "/data": folder / "data"}
    command = engine_pods.command(engine_pods.container("nats")["command"], own)
    with (folder / "nats.log").open("ab") as log:
        server = subprocess.Popen([*command, "-a", host], stderr=log)
    try:
        yield host
    finally:
        server.kill()
        server.wait()


@contextmanager
def service(name: str, secret: Mapping[str, str], **more: str) -> Iterator[str]:
    """A service as its container runs it; gives its URL once it is ready, its broker included."""
    port = free_port()
    environ = {"PATH": os.environ["PATH"], "MILLSTREAM_PORT": str(port), **secret, **more}
    command = [sys.executable, "-m", f"services.{name}"]
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        until_ready(f"{url}/readyz?strict", process)
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=20)


def until_ready(url: str, process: subprocess.Popen[str]) -> None:
    end, said = time.monotonic() + READY_S, "nothing"
    while time.monotonic() < end and process.poll() is None:
        try:
            answer = httpx.get(url, trust_env=False, timeout=2)
            if answer.status_code == 200:
                return
            said = answer.text
        except httpx.HTTPError as error:
            said = str(error)
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"{url}: {said}: {process.communicate()[1][-2000:]}")


def test_a_service_and_the_gateway_start_with_their_secrets_and_serve_the_administrator(
    ground: Ground, tmp_path: Path
) -> None:
    ground.run()
    secrets = ground.secrets()
    within = f".{ground.namespace}.svc.cluster.local"
    with broker(ground, tmp_path) as host:
        own = secrets["millstream-registry"]
        own["MILLSTREAM_NATS_URL"] = own["MILLSTREAM_NATS_URL"].replace(f"nats{within}", host)
        store = own["MILLSTREAM_STORE_URL"].replace(f"postgres{within}:5432", "")
        own["MILLSTREAM_STORE_URL"] = f"{store}?host={ground.socket}"
        with service("registry", own, MILLSTREAM_NATS_MONITOR_URL=f"http://{host}:8222") as registry:
            ways = json.dumps({"registry": registry})
            with service("gateway", secrets["millstream-gateway"], MILLSTREAM_UPSTREAMS=ways) as door:
                administrator = {"Authorization": f"Bearer {secrets['millstream-operator']['MILLSTREAM_TOKEN']}"}
                asked = httpx.post(
                    f"{door}{MODELS}", json={"name": "digits"}, headers=administrator, trust_env=False, timeout=10
                )
                assert asked.status_code == 201, asked.text
                assert httpx.get(f"{door}{MODELS}", trust_env=False, timeout=10).status_code == 401
                assert httpx.get(f"{registry}{MODELS}", trust_env=False, timeout=10).status_code == 401
