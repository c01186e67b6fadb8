"""All keys and passwords of a running platform are changed under load, and not one request is refused."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from millstream.cluster.rotation import STEPS

from tests.engines.front import Front
from tests.engines.ground import Ground
from tests.engines.test_services import MODELS, broker, service

PAUSE_S = 0.1


class Platform:
    """A broker, a registry and a gateway with what their Secrets say when they start; replicas follow one another."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        self._ground, self._folder = ground, folder
        self._running: dict[str, ExitStack] = {}
        self.registry, self.door = Front(), Front()
        self._broker = ""

    def restart_broker(self) -> None:
        """The one server of a small cluster is away for a moment."""
        self._end("broker")
        self._broker = self._keep("broker").enter_context(broker(self._ground, self._folder))

    def replace_registry(self) -> None:
        """A new replica is ready before the old one goes."""
        own = self._ground.secrets()["millstream-registry"]
        within = f".{self._ground.namespace}.svc.cluster.local"
        nats = own["MILLSTREAM_NATS_URL"].replace(f"nats{within}", self._broker)
        store = own["MILLSTREAM_STORE_URL"].replace(f"postgres{within}:5432", "") + f"?host={self._ground.socket}"
        self._replace("registry", self.registry, {**own, "MILLSTREAM_NATS_URL": nats, "MILLSTREAM_STORE_URL": store})

    def replace_gateway(self) -> None:
        ways = {"MILLSTREAM_UPSTREAMS": json.dumps({"registry": self.registry.url})}
        self._replace("gateway", self.door, {**self._ground.secrets()["millstream-gateway"], **ways})

    def stop(self) -> None:
        for name in list(self._running):
            self._end(name)
        self.door.close()
        self.registry.close()

    def _replace(self, name: str, front: Front, environ: dict[str, str]) -> None:
        with ExitStack() as following:
            front.lead(following.enter_context(service(name, environ)))
            time.sleep(PAUSE_S)  # what was under way towards the old one arrives
            self._end(name)
            self._running[name] = following.pop_all()

    def _keep(self, name: str) -> ExitStack:
        return self._running.setdefault(name, ExitStack())

    def _end(self, name: str) -> None:
        if name in self._running:
            self._running.pop(name).close()


class Load(threading.Thread):
    """Registers one model after the other until it is told to stop."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(daemon=True)
        self._url, self._headers = f"{url}{MODELS}", {"Authorization": f"Bearer {token}"}
        self._over = threading.Event()
        self.made, self.refused = 0, list[str]()

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                told = {"name": f"m{self.made}"}
                answer = httpx.post(self._url, json=told, headers=self._headers, trust_env=False, timeout=20)
                if answer.status_code != 201:
                    self.refused.append(f"{answer.status_code} {answer.text}")
            except httpx.HTTPError as error:
                self.refused.append(repr(error))
            self.made += 1

    def end(self) -> None:
        self._over.set()
        self.join(30)


@pytest.mark.timeout(600)  # a dozen processes start one after the other
def test_identity_broker_and_database_change_their_secrets_and_no_request_is_refused(
    ground: Ground, tmp_path: Path
) -> None:
    ground.run()
    before = ground.secrets()
    platform = Platform(ground, tmp_path)
    try:
        platform.restart_broker()
        platform.replace_registry()
        platform.replace_gateway()
        load = Load(platform.door.url, before["millstream-operator"]["MILLSTREAM_TOKEN"])
        load.start()
        for step in STEPS:
            for what in ("identity", "nats", "postgres"):
                ground.rotate(what, step)
            ground.run()
            platform.restart_broker()
            platform.replace_registry()
            if step == "switch":
                platform.replace_gateway()
        load.end()
    finally:
        platform.stop()
    assert load.refused == [] and load.made > 50
    after = ground.secrets()
    for secret, key in (("gateway", "IDENTITY_PRIVATE_KEY"), ("registry", "STORE_URL"), ("registry", "NATS_URL")):
        name, key = f"millstream-{secret}", f"MILLSTREAM_{key}"
        assert after[name][key] != before[name][key]
