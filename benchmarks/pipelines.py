"""What a step costs: a chain of ten and a fan of twenty trivial Python steps, beside kfp.local and other orchestrators.

    .venv/bin/python -m benchmarks.pipelines [ours kfp.local prefect ...]

Each peer runs in an environment of its own (benchmarks/pipelining/requirements), as its users run it, its server
(where it has one) started before. All make the same: a number goes through ten steps; twenty steps make numbers that a
last one adds. The figure is the middle of three runs after a first one. Ours are runs of kfp.Client's pipelines through
the whole platform: submitted over the gateway, a pod a step, every result in the store and the bucket before the next
step starts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.pipelining.peers.common import CHAIN, FAN
from tests.clients.conftest import environment
from tests.platform import free_ports, started

HERE = Path(__file__).parent / "pipelining"


@dataclass(frozen=True)
class Peer:
    """`program` of peers/ with its arguments, in the environment of `requirements`."""

    name: str
    requirements: str
    program: str
    arguments: tuple[str, ...] = ()


PEERS = (
    Peer("kfp.local, a process a step", "kfp", "kfp_local"),
    Peer("Prefect, a thread a task", "prefect", "prefect_flow", ("threads",)),
    Peer("Prefect, a pool of processes", "prefect", "prefect_flow", ("processes",)),
    Peer("Dagster, all in one process", "dagster", "dagster_job", ("in-process",)),
    Peer("Dagster, a process an op", "dagster", "dagster_job", ("processes",)),
    Peer("Metaflow, a process a step", "metaflow", "metaflow_flow"),
)


def main() -> None:
    wanted = sys.argv[1:]
    print(f"{'':32} chain of {CHAIN}, ms a step   fan of {FAN}, ms a step", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        if not wanted or "ours" in wanted:
            ours(Path(folder) / "home")
        for peer in PEERS:
            if not wanted or any(each.lower() in peer.name.lower() for each in wanted):
                with surrounding(peer, Path(folder)) as env:
                    told = run(peer, env)
                    row(peer.name, told["chain"], told["fan"])


def ours(home: Path) -> None:
    ours = Peer("Millstream, a pod a step, durable", "kfp", "ours")
    with started(home) as platform:
        env = {**os.environ, **platform.env, "HOME": str(platform.home)}
        said = output(ours, env)
        told = result(said)
        row(ours.name, told["chain"], told["fan"])
        firsts = json.loads(said.rpartition("FIRST ")[2])
        print(f"request to the first step's start, p50 {1e3 * statistics.median(firsts[1:]):.0f} ms")
        for count in (100, 400):
            seconds = result(output(ours, env, str(count)))["seconds"]
            print(f"{count} steps side by side: {1e3 * seconds / count:.0f} ms a step", flush=True)


def row(name: str, chain: float, fan: float) -> None:
    print(f"{name:36} {1e3 * chain / CHAIN:18.0f} {1e3 * fan / (FAN + 1):22.0f}", flush=True)


def run(peer: Peer, env: dict[str, str]) -> dict[str, float]:
    return result(output(peer, env, *peer.arguments))


def output(peer: Peer, env: dict[str, str], *arguments: str) -> str:
    python = environment(f"bench-{peer.requirements}", HERE / "requirements" / f"{peer.requirements}.txt") / "python"
    program = HERE / "peers" / f"{peer.program}.py"
    path = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    done = subprocess.run([python, "-W", "ignore", program, *arguments], env=env | path, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{peer.name} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def result(said: str) -> dict[str, float]:
    return dict(json.loads(said.rpartition("RESULT ")[2].splitlines()[0]))


@contextmanager
def surrounding(peer: Peer, folder: Path) -> Iterator[dict[str, str]]:
    """The variables of a peer, whose state lies in a folder of its own; Prefect's server runs meanwhile."""
    home = folder / peer.requirements
    (home / "dagster").mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), "METAFLOW_USER": "bench"}
    quiet = {"PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    if peer.requirements != "prefect":
        yield env
        return
    (port,) = free_ports(1)
    api = f"http://127.0.0.1:{port}/api"
    command = environment("bench-prefect", HERE / "requirements" / "prefect.txt") / "prefect"
    server = subprocess.Popen(
        [command, "server", "start", "--port", str(port)],
        env=env | quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _answers(f"{api}/health")
        yield env | quiet | {"PREFECT_API_URL": api}
    finally:
        server.terminate()
        server.wait()


def _answers(url: str) -> None:
    for _ in range(600):
        try:
            urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nobody answers at {url}")


if __name__ == "__main__":
    main()
