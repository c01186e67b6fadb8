"""A cluster to bootstrap: the node's API and a PostgreSQL that asks for passwords; programs run as in a pod."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from libs.testing.store_postgres import Postgres

READY_S = 40.0
_number = count(1)
Secrets = dict[str, dict[str, str]]


@contextmanager
def running_node(home: Path) -> Iterator[tuple[str, str]]:
    """A node in a process of its own; gives its URL and a kubeconfig."""
    home.chmod(0o700)
    (home / "token").write_text("owner")
    log = (home / "log").open("wb")
    process = subprocess.Popen([sys.executable, "-m", "services.node", "--home", home], stdout=log, stderr=log)
    try:
        url = _url(home, process)
        kubeconfig = home / "kubeconfig"
        kubeconfig.write_text(json.dumps(_kubeconfig(url)))
        yield url, str(kubeconfig)
    finally:
        from services.node.runtime.control import stop_everything

        process.terminate()
        process.wait(20)
        stop_everything(home, 0.5, 10)
        log.close()


def _url(home: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < end:
        try:
            url = str(json.loads((home / "run" / "node.json").read_text())["url"])
            httpx.get(f"{url}/readyz", trust_env=False, timeout=2).raise_for_status()
            return url
        except (OSError, ValueError, httpx.HTTPError):
            time.sleep(0.05)
    raise AssertionError(f"the node did not start: {(home / 'log').read_text()[-2000:]}")


def _kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "node", "cluster": {"server": url}}],
        "users": [{"name": "owner", "user": {"token": "owner"}}],
        "contexts": [{"name": "node", "context": {"cluster": "node", "user": "owner"}}],
        "current-context": "node",
    }


class Ground:
    """A namespace, and the words with which a bootstrap finds it."""

    def __init__(self, url: str, kubeconfig: str, postgres: Postgres) -> None:
        self.namespace = f"ground-{next(_number)}"
        self.kubeconfig, self._server = kubeconfig, postgres._server
        self._api = httpx.Client(base_url=url, headers={"Authorization": "Bearer owner"}, trust_env=False)
        self.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.socket = str(self._server.pgdata)
        self.empty_postgres()

    @property
    def arguments(self) -> list[str]:
        """Where everything is."""
        return ["--namespace", self.namespace, "--kubeconfig", self.kubeconfig, "--postgres-at", self.socket]

    def empty_postgres(self) -> None:
        """No databases, no users; who is not the administrator must show a password."""
        hba = Path(self.socket) / "pg_hba.conf"
        if "scram" not in (text := hba.read_text()):
            hba.write_text(f"local all {self._server.postgres_user} trust\nlocal all all scram-sha-256\n{text}")
        orders = ["SET client_min_messages = warning;", "SELECT pg_reload_conf();"]
        for name in ("pipelines", "registry", "scheduler", "serving", "trainer", "tuner"):
            orders.append(f"DROP DATABASE IF EXISTS {name} WITH (FORCE);")
            orders.append(f"DROP ROLE IF EXISTS {name}, {name}_b, {name}_owner;")
        self._server.psql("\n".join(orders))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The bootstrap, begun."""
        command = [sys.executable, "-m", "millstream.cluster.bootstrap", *words, *self.arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str, code: int = 0) -> str:
        """What the bootstrap prints; fails the test unless it ends with `code`."""
        return _said(self.start(*words), code)

    def rotate(self, *words: str, code: int = 0) -> str:
        """The same of one step of a rotation."""
        where = ["--namespace", self.namespace, "--kubeconfig", self.kubeconfig]
        command = [sys.executable, "-m", "millstream.cluster.rotate", *words, *where]
        return _said(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), code)

    def post(self, path: str, obj: dict[str, Any]) -> None:
        self._api.post(path, json=obj).raise_for_status()

    def secret(self, name: str, texts: dict[str, str], **labels: str) -> None:
        """A Secret that a person makes."""
        meta = {"name": name, "labels": labels}
        obj = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": texts}
        self.post(f"/api/v1/namespaces/{self.namespace}/secrets", obj)

    def delete(self, name: str) -> None:
        self._api.delete(f"/api/v1/namespaces/{self.namespace}/secrets/{name}").raise_for_status()

    def objects(self, path: str = "/api/v1", plural: str = "secrets") -> list[dict[str, Any]]:
        return list(self._api.get(f"{path}/namespaces/{self.namespace}/{plural}").raise_for_status().json()["items"])

    def secrets(self) -> Secrets:
        """Name -> key -> text."""
        return {
            each["metadata"]["name"]: {key: base64.b64decode(text).decode() for key, text in each["data"].items()}
            for each in self.objects()
        }

    def versions(self) -> dict[str, str]:
        return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in self.objects()}


def _said(process: subprocess.Popen[str], code: int) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    return out + err
