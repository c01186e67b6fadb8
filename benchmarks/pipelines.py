"""What a step costs: a chain of ten and a fan of twenty trivial Python steps, beside kfp.local and other orchestrators.

    .venv/bin/python -m benchmarks.pipelines [ours kfp.local prefect ...]
    .venv/bin/python -m benchmarks.pipelines --tasks 10000

Each peer runs in an environment of its own (benchmarks/pipelining/requirements), as its users run it, its server
(where it has one) started before. All make the same: a number goes through ten steps; twenty steps make numbers that a
last one adds. The figure is the middle of three runs after a first one, of one where a peer is slow. Ours are runs of
kfp.Client's pipelines through the whole platform: submitted over the gateway, a pod a step, every result in the store
and the bucket before the next step starts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.pipelining.peers.common import CHAIN, FAN
from tests.clients.conftest import environment
from tests.platform import Platform, free_ports, processes_of, started

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
OURS = Peer("Millstream, a pod a step, durable", "kfp", "ours")
PATIENCE_S = 200.0
"""How long a peer may take in all."""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("names", nargs="*", help="some of: ours, and parts of the peers' names")
    asked.add_argument("--tasks", type=int, default=0, help="also one run of ours with so many steps, and no peers")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        if given.tasks:
            return many(Path(folder) / "home", given.tasks)
        compare([name.lower() for name in given.names], Path(folder))


def compare(wanted: list[str], folder: Path) -> None:
    print(f"{'':36} chain of {CHAIN}, ms a step   fan of {FAN}, ms a step   times ours", flush=True)
    own = None
    if not wanted or "ours" in wanted:
        with started(folder / "home") as platform:
            own = attempted(OURS, surroundings(platform))
            row(OURS.name, own, own)
    for peer in PEERS:
        if not wanted or any(each in peer.name.lower() for each in wanted):
            with surrounding(peer, folder) as env:
                row(peer.name, attempted(peer, env), own)
    print(f"machine: load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")


def many(home: Path, count: int) -> None:
    """One run with so many steps on pods; whether the last cost what the first did, and what grew meanwhile."""
    with started(home) as platform:
        env = surroundings(platform)
        output(OURS, env, "20")  # its environment is made, its images are known
        before = footprint(home)
        told = result(output(OURS, env, str(count)))
        print(f"{count:,} steps side by side: {1e3 * told['seconds'] / count:.1f} ms a step", flush=True)
        some = int(told["some"])
        first, last = (1e3 * told[name] for name in ("first", "last"))
        print(f"  from one end to the next: {first:.1f} ms in the first {some}, {last:.1f} ms in the last")
        for name, after in footprint(home).items():
            print(f"  {name:32} {before.get(name, 0):8.1f} -> {after:8.1f} MB")
    print(f"machine: load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")


def footprint(home: Path) -> dict[str, float]:
    """Memory of the platform's processes and sizes of its stores, in MB."""
    found = {}
    for pid, command in processes_of(home).items():
        words = command.split()
        service = next((word for word in words if word.startswith(("services.", "nats-server", "rclone"))), "")
        if service:
            with suppress(OSError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                found[f"memory of {service}"] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    for path in sorted([*home.glob("node/store.db*"), *home.glob("data/millstream-system/data/*.db*")]):
        found[str(path.relative_to(home))] = path.stat().st_size / 1e6
    return found


def surroundings(platform: Platform) -> dict[str, str]:
    return {**os.environ, **platform.env, "HOME": str(platform.home)}


def row(name: str, told: dict[str, float] | str, own: dict[str, float] | str | None) -> None:
    if isinstance(told, str):
        print(f"{name:36} {told}", flush=True)
        return
    chain, fan = 1e3 * told["chain"] / CHAIN, 1e3 * told["fan"] / (FAN + 1)
    ratio = ""
    if isinstance(own, dict):
        ratio = f"{told['chain'] / own['chain']:14.1f} {told['fan'] / own['fan']:5.1f}"
    print(f"{name:36} {chain:18.0f} {fan:25.0f} {ratio}", flush=True)
    if "cold" in told:
        print(
            f"  to the first step's first line: {told['cold']:.2f} s at first, {told['warm']:.2f} s after", flush=True
        )


def attempted(peer: Peer, env: dict[str, str]) -> dict[str, float] | str:
    """Its figures, or why it has none: one peer that fails costs the others nothing."""
    print(f"... {peer.name}", file=sys.stderr, flush=True)
    try:
        return result(output(peer, env, *peer.arguments))
    except subprocess.TimeoutExpired:
        return f"no figure within {PATIENCE_S:.0f} s"
    except Failed as error:
        print(error, file=sys.stderr)
        return "failed"


class Failed(Exception):
    """A peer's program ended with an error."""


def output(peer: Peer, env: dict[str, str], *arguments: str) -> str:
    python = environment(f"bench-{peer.requirements}", HERE / "requirements" / f"{peer.requirements}.txt") / "python"
    program = HERE / "peers" / f"{peer.program}.py"
    path = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    command = [str(python), "-W", "ignore", str(program), *arguments]
    process = subprocess.Popen(
        command, env=env | path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        said, wrong = process.communicate(timeout=None if peer is OURS else PATIENCE_S)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes of its steps
        process.wait()
        raise
    if process.returncode:
        raise Failed(f"{peer.name} failed:\n{said[-3000:]}\n{wrong[-3000:]}")
    return said


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
