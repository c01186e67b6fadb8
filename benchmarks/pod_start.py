"""How long a container takes from `start_container` to its own code; assumes an otherwise idle machine.

python benchmarks/pod_start.py [--rounds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from services.node.ports import ContainerExited, ContainerSpec, PodSandbox  # noqa: E402
from services.node.runtime import procfs  # noqa: E402
from services.node.runtime.control import stop_everything  # noqa: E402
from services.node.runtime.local import LocalRuntime, RuntimeConfig  # noqa: E402

SAY_WHEN = "import time; print(time.time_ns())"
CASES = {
    "fork server, platform image": ("millstream/bench", ("python", "-c", SAY_WHEN)),
    "fork server, torch ready": ("pytorch/bench", ("python", "-c", "import torch, " + SAY_WHEN[7:])),
    "exec of a binary": ("nats", ("date", "+%s%N")),
    "exec of a cold python": ("millstream/bench", ("env", "python", "-c", SAY_WHEN)),
}


async def start_ms(runtime: LocalRuntime, case: str, number: int) -> float:
    """Milliseconds from the call to the first line of user code, by the machine's own clock."""
    image, argv = CASES[case]
    uid = f"{abs(hash(case))}-{number}"
    await runtime.start_pod(PodSandbox(uid, "bench", uid, "127.0.0.1", uid))
    events = runtime.events()
    begin = time.time_ns()
    await runtime.start_container(ContainerSpec(uid, "main", 0, image, argv))
    async for event in events:
        if isinstance(event, ContainerExited) and event.pod_uid == uid:
            break
    first = int(runtime.log_path(uid, "main", 0).read_text().split()[3])
    await runtime.remove_pod(uid)
    return (first - begin) / 1e6


def cold_ms(code: str) -> float:
    """Milliseconds of a whole `python -c code`, start and end included."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


def show(name: str, values: list[float]) -> None:
    values = sorted(values)
    print(f"{name:34} p50 {statistics.median(values):8.1f} ms   max {values[-1]:8.1f} ms   n={len(values)}")


async def measure(home: str, rounds: int) -> None:
    runtime = await LocalRuntime.open(home, RuntimeConfig(ml="background"))
    for zygote in ("platform", "ml"):
        begin = time.perf_counter()
        await runtime.warm(zygote)
        print(f"{zygote + ' fork server warm after':34} {time.perf_counter() - begin:12.2f} s")
    for case in CASES:
        show(case, [await start_ms(runtime, case, number) for number in range(rounds)])
    info = await runtime._ask({"op": "info"})
    pids = {"spawner": info["pid"], **{name: each["pid"] for name, each in info["zygotes"].items()}}
    for name, pid in pids.items():
        print(f"{name + ' memory (PSS)':34} {procfs.proportional_bytes(pid) / 2**20:10.1f} MiB")
    await runtime.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="millstream-bench-") as home:
        try:
            asyncio.run(measure(home, rounds))
        finally:
            stop_everything(home, 1)
    show("cold python -c 'import torch'", [cold_ms("import torch") for _ in range(3)])
    show("cold python -c pass", [cold_ms("pass") for _ in range(3)])


if __name__ == "__main__":
    main()
