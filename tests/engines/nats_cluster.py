"""Three real nats-servers on loopback addresses, each with the file of production's pods and a pod's arguments."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from millstream.brokerconf import PERSON, Login
from millstream.cluster import authority, broker

from libs.service.manifest import Manifest
from tests.engines import engine_pods

SERVERS = 3
POD = engine_pods.container("nats-cluster")
READY_S = 30.0


class NatsCluster:
    """Ports are the pods' own; the loopback network 127.x.y.z, free for this process, gives each an address."""

    def __init__(self, home: Path, manifests: list[Manifest]) -> None:
        self._home, self._manifests = home, manifests
        number = os.getpid() % 250 + 2
        self.hosts = [f"127.251.{number}.{server + 1}" for server in range(SERVERS)]
        self.logins: dict[str, list[Login]] = {
            user: [(user, f"secret-of-{user}")] for user in (*(m.name for m in manifests), PERSON)
        }
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        home.mkdir(parents=True, exist_ok=True)
        self.authority = authority.founded(dt.datetime.now(dt.UTC))
        self.ca_file = home / "ca.crt"
        self.write()

    def write(self) -> None:
        """The files of the Secrets nats-config and nats-tls."""
        leaf = authority.issued(self.authority, [*self.hosts, "nats"], dt.datetime.now(dt.UTC), peer=True)
        for name, text in {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": self.authority.bundle}.items():
            (self._home / name).write_text(text)
        peers = broker.Peers(self.hosts, str(self._home))
        (self._home / "nats.conf").write_text(broker.config(self._manifests, self.logins, peers))

    def url(self, user: str) -> str:
        """All servers, as broker.url writes it."""
        name, password = self.logins[user][-1]
        return ",".join(f"tls://{name}:{password}@{host}:{broker.CLIENT}" for host in self.hosts)

    @property
    def monitor_url(self) -> str:
        return f"https://{self.hosts[-1]}:{broker.MONITOR}"

    async def start(self) -> None:
        for number in range(SERVERS):
            self.launch(number)
        await self.ready()

    def launch(self, number: int) -> None:
        """By the StatefulSet's own command line; only its addresses must differ on one machine."""
        host, own = self.hosts[number], self._home / f"nats-{number}"
        own.mkdir(exist_ok=True)
        command = engine_pods.command(POD["command"], self._instead(number))
        with (own / "log").open("ab") as log:
            more = ["-a", host, "--cluster", f"nats://{host}:{broker.ROUTE}"]
            self._running[number] = subprocess.Popen([*command, *more], stdout=log, stderr=log)

    def _instead(self, number: int) -> dict[str, object]:
        own = self._home / f"nats-{number}"
        paths = {"/etc/nats/nats.conf": self._home / "nats.conf", "/data": own, "/run/nats": own}
        return {"$(POD_NAME)": f"nats-{number}", **paths}

    async def ready(self) -> None:
        """Until every running server says so on its probe's page."""
        for _ in range(int(READY_S / 0.1)):
            if all([await asyncio.to_thread(self.healthy, number, "") for number in self._running]):
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("".join((self._home / f"nats-{n}" / "log").read_text()[-2000:] for n in self._running))

    def healthy(self, number: int, query: str) -> bool:
        """What a kubelet finds at /healthz."""
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            page = f"https://{self.hosts[number]}:{broker.MONITOR}/healthz{query}"
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
            )
            with opener.open(page, timeout=2) as answer:
                return bool(json.loads(answer.read())["status"] == "ok")
        except (OSError, urllib.error.HTTPError):
            return False

    def kill(self, number: int) -> None:
        """kill -9."""
        process = self._running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    async def replace(self, number: int) -> None:
        """As a rolling update does: lame duck (the preStop hook), the end, another pod, its start-up probe."""
        process = self._running.pop(number)
        order = engine_pods.command(POD["lifecycle"]["preStop"]["exec"]["command"], self._instead(number))
        await asyncio.to_thread(subprocess.run, order, check=True)
        process.send_signal(signal.SIGTERM)  # which must not cut the lame duck short
        await asyncio.to_thread(process.wait, 60)
        self.launch(number)
        await self.ready()

    def stop(self) -> None:
        for number in list(self._running):
            self.kill(number)
