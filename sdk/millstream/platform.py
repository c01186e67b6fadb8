"""Starting, watching and ending the platform of one home: the node first, then the overlay's pods, then the doors."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from millstream import brokerconf, keys, laptop
from millstream.client import Client, conditions_of
from millstream.errors import ClientError
from millstream.home import SYSTEM_NAMESPACE, Home, Ports
from millstream.kubeconfig import write_env, write_kubeconfig

OWNERS = ("deployments", "statefulsets")
LOOK_S = 0.2
PARTS = ("contracts", "libs", "services")


def start(home: Home, ports: Ports) -> None:
    """Render the manifests and see to it that a node runs which applies them. Safe to repeat."""
    from services.node.runtime.control import at_rest

    tracking = laptop.tracking(home.tracking(), os.environ)
    home.make()
    rests = node_url(home) is None and at_rest(home.path)
    mine = None if rests else home.ports()  # those our own edge may hold
    _check_free(ports, mine)
    home.keep_ports(ports)
    home.keep_tracking(tracking)
    if rests:
        home.keep_code(code_ns())
    keys.local_token(home)
    keys.certificates(home, dt.datetime.now(dt.UTC))
    manifests = laptop.render(home)
    with open(home.logs / "node.log", "ab", opener=_private) as log:
        subprocess.Popen(
            [sys.executable, "-m", "services.node", "--home", str(home.path), "--apply", str(manifests)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=home.path,
        )


def code_ns() -> int:
    """When the newest of the platform's own files was written, in nanoseconds."""
    root = Path(__file__).resolve().parents[2]
    return max(file.stat().st_mtime_ns for part in PARTS for file in (root / part).rglob("*.py"))


def is_behind(home: Home) -> bool:
    """Whether the home runs from code that has changed since: new processes would be of two minds."""
    return node_url(home) is not None and 0 < home.code() < code_ns()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _check_free(ports: Ports, mine: Ports | None) -> None:
    for option, port in (("--http", ports.http), ("--https", ports.https)):
        if mine is not None and port in (mine.http, mine.https):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                why = f"port {port} of 127.0.0.1 is not free ({error.strerror})"
                raise ClientError(f"{why}: choose another with {option}") from None


def stop(home: Home, timeout_s: float = 30) -> bool:
    """End everything the home runs; False when nothing ran. Raises ClientError if something is left."""
    from services.node.runtime.control import stop_everything

    ran = node_url(home) is not None
    if not stop_everything(home.path, grace_s=min(10.0, timeout_s), patience_s=timeout_s + 10):
        raise ClientError(f"something of {home.path} still runs: see {home.logs / 'spawner.log'}")
    return ran


def node_url(home: Home) -> str | None:
    """The address of the home's node, if one answers."""
    record = home.run / "node.json"
    try:
        url = str(json.loads(record.read_text())["url"])
        httpx.get(f"{url}/livez", timeout=2, trust_env=False).raise_for_status()
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None
    return url


def node_client(home: Home) -> Client | None:
    """A client of the node itself, which answers while the gateway does not."""
    url = node_url(home)
    return Client(url, keys.local_token(home)) if url else None


def wait_ready(home: Home, timeout_s: float, progress: Callable[[str], None]) -> None:
    """Until every part of the platform is ready and the gateway answers; tells of each part as it becomes ready.

    Raises ClientError naming what is not ready, with the last thing it said.
    """
    end = time.monotonic() + timeout_s
    told: set[str] = set()
    waiting: dict[str, str] = {"node": "not up yet"}
    while time.monotonic() < end:
        states = _states(home)
        if states is not None:
            for name in sorted(set(states) - told):
                if states[name] == "ready":
                    told.add(name)
                    progress(f"[green]ready[/] {name}")
            waiting = {name: state for name, state in states.items() if state != "ready"}
            if not waiting and _gateway_answers(home):
                return
        time.sleep(LOOK_S)
    missing = "; ".join(f"{name}: {state}" for name, state in sorted(waiting.items())) or "the gateway does not answer"
    looks = f"see `{home.command('status')}` and {home.logs}; `{home.command('down')}` ends it"
    raise ClientError(f"not ready after {timeout_s:.0f} s ({missing}); it goes on trying: {looks}")


def unwell(home: Home) -> dict[str, str]:
    """Each part that is not ready and why; empty while the platform does what it should."""
    states = _states(home)
    if states is None:
        return {"node": "it has not begun the platform's parts yet"}
    found = {name: state for name, state in states.items() if state != "ready"}
    return found if found or _gateway_answers(home) else {"gateway": "it does not answer"}


def _states(home: Home) -> dict[str, str] | None:
    """Name of each part -> "ready" or why not; None while the node is not up or has not applied the overlay."""
    client = node_client(home)
    if client is None:
        return None
    with client:
        try:
            found = [obj for kind in OWNERS for obj in client.list(kind, SYSTEM_NAMESPACE)]
        except ClientError:
            return None
        known = {obj["metadata"]["name"]: obj for obj in found}
        return {name: _state(known.get(name), mark) for name, mark in laptop.owners(home).items()}


def _state(obj: dict[str, Any] | None, mark: str) -> str:
    if obj is None:
        return "not applied yet"
    if laptop.mark_of(obj) != mark:
        return "its new settings are not applied yet"
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    current = status.get("observedGeneration", 0) >= obj["metadata"].get("generation", 1)
    updated = status.get("updatedReplicas", wanted)
    if current and status.get("readyReplicas", 0) >= wanted and updated >= wanted:
        old = status.get("replicas", 0) - updated  # they serve until the new ones do
        return "ready" if old <= 0 else "its new pod is not ready yet"
    said = [c.get("message", "") for c in conditions_of(obj).values() if c["status"] == "False" and c.get("message")]
    return said[0] if said else f"{status.get('readyReplicas', 0)} of {wanted} ready"


def _gateway_answers(home: Home) -> bool:
    try:
        answer = httpx.get(f"{home.http_url}/readyz", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def write_doors(home: Home) -> None:
    """Write `<home>/kubeconfig` and `<home>/env`."""
    token = keys.local_token(home)
    write_kubeconfig(home, token)
    secrets = keys.passwords(home, [brokerconf.PERSON, "s3"])
    nats, s3 = _address(home, "nats-0"), _address(home, "s3-0")
    write_env(
        home,
        {
            "MILLSTREAM_URL": home.http_url,
            "MILLSTREAM_TOKEN": token,
            "KUBECONFIG": str(home.kubeconfig),
            "NATS_URL": f"nats://{brokerconf.PERSON}:{secrets[brokerconf.PERSON]}@{nats}:4222",
            "AWS_ENDPOINT_URL": f"http://{s3}:9000",
            "AWS_S3_ENDPOINT": f"http://{s3}:9000",
            "AWS_ACCESS_KEY_ID": laptop.S3_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": secrets["s3"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "SSL_CERT_FILE_MILLSTREAM": str(home.tls / "ca.crt"),
        },
    )


def _address(home: Home, pod: str) -> str:
    client = node_client(home)
    if client is None:
        raise ClientError(f"the node of {home.path} does not answer")
    with client:
        return str(client.get("pods", pod, SYSTEM_NAMESPACE)["status"]["podIP"])


def doors(home: Home) -> str:
    """How to reach the platform, as text for people."""
    return "\n".join(
        [
            f"[bold]Millstream[/] is up: {home.http_url}  {home.https_url}",
            f"  every client   source {home.env}",
            f"  kubectl        export KUBECONFIG={home.kubeconfig}; kubectl get trainjobs",
            "  Kubeflow SDK   TrainerClient() finds KUBECONFIG by itself; KServeClient() too",
            f'  registry       ModelRegistry("http://127.0.0.1", {home.ports().http}, is_secure=False, author="me", '
            "user_token=...)",
            f'  pipelines      {home.command("pipeline run FILE.py")}; kfp.Client(host="{home.http_url}"); '
            f"in a browser {home.http_url}/",
            f"  events         {home.command('events tail')}",
            *(f"  pipelines tell {name}={url}" for name, url in home.tracking().items() if name in laptop.TOLD),
        ]
    )


def services(home: Home) -> list[list[str]] | None:
    """One row a pod of the platform: name, ready, phase, restarts, address. None when the node does not run."""
    client = node_client(home)
    if client is None:
        return None
    with client:
        return [_pod_row(pod) for pod in client.list("pods", SYSTEM_NAMESPACE)]


def _pod_row(pod: dict[str, Any]) -> list[str]:
    status = pod.get("status") or {}
    held = status.get("containerStatuses") or []
    ready = f"{sum(bool(c['ready']) for c in held)}/{len(pod['spec']['containers'])}"
    restarts = str(sum(c["restartCount"] for c in held))
    waiting = next((c["state"]["waiting"]["reason"] for c in held if "waiting" in c.get("state", {})), None)
    return [pod["metadata"]["name"], ready, waiting or status.get("phase", ""), restarts, status.get("podIP", "")]
