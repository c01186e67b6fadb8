"""The way from this machine to the platform: a URL and a token, or a port-forward that mends itself and the Secret."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from tests.cluster_suite.kubectl import Kubectl
from tests.cluster_suite.options import SYSTEM, Options

OPERATOR = "millstream-operator"
"""The Secret in which bootstrap keeps what operators need: a token of the owner, keys of the object store."""


class Unreachable(Exception):
    """There is no way to the platform from here; the message says what to set."""


@dataclass(frozen=True)
class Reach:
    """`forwarded`: requests go through a port-forward, which is bound to one pod and breaks when that pod goes."""

    url: str
    token: str
    s3: Mapping[str, str]
    forwarded: bool

    @property
    def env(self) -> Mapping[str, str]:
        """What tests/clients/models.py asks of a platform."""
        return self.s3


class Forward:
    """`kubectl port-forward` to a Service on one local port, begun anew whenever it ends."""

    def __init__(self, kubectl: Kubectl, service: str, port: int) -> None:
        self._kubectl, self._service, self._remote = kubectl, service, port
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._said = b""
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        target = ["-n", SYSTEM, f"svc/{self._service}", f"{self.port}:{self._remote}"]
        while not self._over.is_set():
            command = [str(self._kubectl.program), "port-forward", *target]
            self._process = subprocess.Popen(
                command, env={**os.environ, **self._kubectl.env}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            self._said = self._process.communicate()[1] or self._said
            self._over.wait(0.3)

    def wait(self, timeout_s: float = 30) -> None:
        """Until the port accepts; raises Unreachable with kubectl's words."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.2)
        raise Unreachable(
            f"no port-forward to svc/{self._service}: {self._said.decode(errors='replace').strip()[-300:]}"
        )

    def renew(self) -> None:
        """Ends the present one, which may hang on a pod that is gone."""
        if self._process is not None:
            self._process.terminate()

    def close(self) -> None:
        self._over.set()
        self.renew()
        self._thread.join(timeout=5)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Ways:
    """The open ways, to be renewed after the pods behind them were replaced."""

    def __init__(self, reach: Reach, forwards: list[Forward]) -> None:
        self.reach, self._forwards = reach, forwards

    def begin_anew(self) -> None:
        """At once, for a forward may hang on a pod that was just killed."""
        for forward in self._forwards:
            forward.renew()

    def renew(self) -> None:
        """The same, and waits until they lead somewhere again; raises Unreachable."""
        self.begin_anew()
        for forward in self._forwards:
            forward.wait(120)


@contextmanager
def reached(kubectl: Kubectl, options: Options) -> Iterator[Ways]:
    """Ways to the gateway and the object store; raises Unreachable."""
    with ExitStack() as stack:
        forwards: list[Forward] = []

        def forward(service: str, port: int) -> str:
            made = Forward(kubectl, service, port)
            stack.callback(made.close)
            made.wait()
            forwards.append(made)
            return f"http://127.0.0.1:{made.port}"

        secret = {} if options.token and options.s3 else operator_secret(kubectl)
        token = options.token or secret.get("MILLSTREAM_TOKEN")
        if not token:
            raise Unreachable(f"no token: set MILLSTREAM_TOKEN, or let bootstrap make the Secret {SYSTEM}/{OPERATOR}")
        url = options.url or forward("gateway", 8080)
        s3 = dict(options.s3) or _s3(secret, forward)
        ways = Ways(Reach(url, token, s3, forwarded=options.url is None), forwards)
        answering(ways.reach)
        yield ways


def operator_secret(kubectl: Kubectl) -> dict[str, str]:
    """What bootstrap keeps for operators; empty when there is none."""
    found = kubectl.items("secrets", "-n", SYSTEM, f"--field-selector=metadata.name={OPERATOR}")
    data = (found[0].get("data") or {}) if found else {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def _s3(secret: Mapping[str, str], forward) -> dict[str, str]:  # type: ignore[no-untyped-def]
    keys = secret.get("MILLSTREAM_S3_ACCESS_KEY"), secret.get("MILLSTREAM_S3_SECRET_KEY")
    if not all(keys):
        raise Unreachable("no keys of the object store: set AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY")
    endpoint = secret.get("MILLSTREAM_S3_ENDPOINT", "")
    inside = not endpoint or f".{SYSTEM}.svc" in endpoint
    return {
        "AWS_ENDPOINT_URL": forward("s3", 9000) if inside else endpoint,
        "AWS_ACCESS_KEY_ID": str(keys[0]),
        "AWS_SECRET_ACCESS_KEY": str(keys[1]),
        "AWS_REGION": "us-east-1",
    }


def answering(reach: Reach, timeout_s: float = 60) -> None:
    """Until the gateway answers as the owner; raises Unreachable with its last words."""
    end, last = time.monotonic() + timeout_s, ""
    while time.monotonic() < end:
        try:
            answer = httpx.get(
                f"{reach.url}/apis", headers={"Authorization": f"Bearer {reach.token}"}, timeout=10, trust_env=False
            )
            if answer.status_code == 200:
                return
            last = f"{answer.status_code} {answer.text[:200]}"
        except httpx.HTTPError as error:
            last = repr(error)
        time.sleep(0.5)
    raise Unreachable(f"the gateway at {reach.url} does not answer: {last}")
