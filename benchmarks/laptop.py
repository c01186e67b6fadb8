"""What the whole platform costs on this machine: start to ready, memory and CPU while idle, a command's way in.

The start is measured twice in one home: first with cold keys and imports, then warm. Memory is PSS (shared
pages counted once, divided among those who share them), CPU the sum over all processes.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from millstream.client import Client
from millstream.errors import ClientError

from tests.e2e.flow import small_job
from tests.platform import MILLSTREAM, Platform, free_ports, processes_of, run

IDLE_S = 30
COMMANDS = 60
PODS = 20
TELL = "import time; print(time.time(), flush=True)"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        home = Path(folder) / "home"
        http, https = free_ports(2)
        platform = Platform(home, f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}")
        for label in ("first", "warm"):
            print(
                f"millstream up to ready, {label:<6} {_up(platform, http, https):6.2f} s   (aim, warm: 6 s)", flush=True
            )
            if label == "first":
                platform.run("down")
        try:
            print(f"bare limit: python -c 'import fastapi, sqlmodel, nats, kubernetes' {_bare_import():.2f} s")
            _idle(home)
            _pods(platform)
            asyncio.run(_commands(platform))
        finally:
            platform.run("down")


def _up(platform: Platform, http: int, https: int) -> float:
    began = time.monotonic()
    platform.run("up", "--detach", "--http", str(http), "--https", str(https))
    return time.monotonic() - began


def _bare_import() -> float:
    python = str(MILLSTREAM.parent / "python")
    began = time.monotonic()
    run([python, "-c", "import fastapi, sqlmodel, nats, kubernetes.aio.client"], dict(os.environ))
    return time.monotonic() - began


def _idle(home: Path) -> None:
    time.sleep(10)  # what starts in the background has started
    before, began = _cpu_s(home), time.monotonic()
    time.sleep(IDLE_S)
    used = (_cpu_s(home) - before) / (time.monotonic() - began)
    pss = {pid: _pss_mib(pid) for pid in processes_of(home)}
    print(f"idle CPU {100 * used:.1f} % of a core over {IDLE_S} s   (aim: under 5 %)")
    print(f"idle memory {sum(pss.values()):.0f} MiB PSS in {len(pss)} processes   (aim: under 800 MiB)")
    names = processes_of(home)
    for pid, mib in sorted(pss.items(), key=lambda item: -item[1]):
        words = names.get(pid, "?").replace(str(home), "HOME").replace(f"{MILLSTREAM.parent}/", "")
        print(f"    {mib:6.1f} MiB  {words[:80]}")


def _cpu_s(home: Path) -> float:
    ticks = 0
    for pid in processes_of(home):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _pss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _pods(platform: Platform) -> None:
    """From the request that creates a pod to the first instruction of its Python program, which prints the time."""
    took = []
    with Client.from_home(platform.home) as client:
        path = client.resource("pods").path("default")
        for number in range(PODS):
            container = {"name": "main", "image": "python:3.11", "command": ["python", "-c", TELL]}
            spec = {"restartPolicy": "Never", "containers": [container]}
            began = time.time()
            client.request("POST", path, json={"metadata": {"name": f"bench-{number}"}, "spec": spec})
            took.append(_told(client, f"bench-{number}") - began)
    took.sort()
    p50, worst = statistics.median(took) * 1e3, took[-1] * 1e3
    print(f"pod created -> its program runs    p50 {p50:.1f} ms  max {worst:.1f} ms   (aim: under 100 ms)")


def _told(client: Client, pod: str) -> float:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            lines = list(client.logs(pod))
        except ClientError:
            lines = []
        if lines:
            return float(lines[0])
        time.sleep(0.05)
    raise AssertionError(f"{pod} said nothing")


async def _commands(platform: Platform) -> None:
    """Apply commands for suspended jobs, one by one: publish to answer heard, which includes the handler's commit."""
    from millstream import messages

    bus = await messages.connect(platform.env["NATS_URL"])
    took = []
    for number in range(COMMANDS):
        manifest = small_job(f"bench-{number}")
        manifest["spec"]["suspend"] = True
        letter = messages.compose("training.trainjob.apply.v1", {"manifest": manifest}, "default")
        began = time.perf_counter()
        answer = await messages.ask(bus, letter)
        took.append(time.perf_counter() - began)
        assert answer["type"] == "training.trainjob.applied.v1", answer
    await bus.close()
    took = sorted(took[5:])
    p50, p99 = statistics.median(took) * 1e3, took[int(0.99 * (len(took) - 1))] * 1e3
    print(f"command published -> answer heard  p50 {p50:.1f} ms  p99 {p99:.1f} ms   (aim: committed p50 under 15 ms)")


if __name__ == "__main__":
    main()
