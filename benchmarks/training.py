"""What the platform costs a training program: steps a second and start, beside bare torchrun; how fast it recovers.

Both run the same script on two nodes of one process each, in turns, so that the machine's mood meets both. The program
tells each step to a socket of this process. A start is counted from the command, or the request, to the first step.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from millstream.client import Client

from tests.e2e.recovering import Ear, job
from tests.platform import MILLSTREAM, free_ports, started, until

ROUNDS = 3
STEPS, WARM = 500, 50
KILLS = 3
PROGRAM = """
import os, socket, time
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from millstream import training as mt

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
tell, where = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ("127.0.0.1", int(os.environ["TELL_PORT"]))
torch.manual_seed(1)
model = torch.nn.Sequential(*(torch.nn.Linear(384, 384) for _ in range(6)))
parallel = DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.randn(64, 384)
for step in mt.steps(int(os.environ["STEPS"])):
    optimizer.zero_grad()
    loss = (parallel(x) - x).pow(2).mean()
    loss.backward()
    optimizer.step()
    mt.report(metrics={"loss": loss})
    tell.sendto(f"0 {rank} {rank} {step} {os.getpid()} {time.time()}".encode(), where)
dist.barrier()
dist.destroy_process_group()
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench") as folder, started(Path(folder) / "home") as platform:
        print(f"two nodes, gloo, {STEPS} steps, {ROUNDS} rounds in turns", flush=True)
        with Client.from_home(platform.home) as client:
            _platform(client, Ear(), "warm-up")
            _overhead(client, Path(folder))
            _recovery(client)


def _overhead(client: Client, folder: Path) -> None:
    bare, ours = [], []
    for number in range(ROUNDS):
        bare.append(_measured(lambda ear: _bare(ear, folder)))
        ours.append(_measured(lambda ear: _platform(client, ear, f"round-{number}")))  # noqa: B023
    for label, found in (("bare torchrun", bare), ("TrainJob", ours)):
        starts, rates = zip(*found, strict=True)
        told = ", ".join(f"{rate:.1f}" for rate in rates)
        print(f"{label:<14} start to first step p50 {statistics.median(starts):5.2f} s   steps/s {told}", flush=True)
    rate = 100 * (1 - statistics.median(r for _, r in ours) / statistics.median(r for _, r in bare))
    start = 1e3 * (statistics.median(s for s, _ in ours) - statistics.median(s for s, _ in bare))
    print(f"overhead: {rate:.1f} % of steps/s   (aim: under 2 %)")
    print(f"start: {start:+.0f} ms against bare torchrun   (aim: under +300 ms)", flush=True)


def _measured(run: object) -> tuple[float, float]:
    """Seconds to the first step, and steps a second after the first WARM ones."""
    assert callable(run)
    ear = Ear()
    began = time.time()
    run(ear)
    made = {step.number: step.at for step in ear.of(0)}
    ear.close()
    assert len(made) == STEPS, f"{len(made)} steps of {STEPS} were told"
    return made[0] - began, (STEPS - 1 - WARM) / (made[STEPS - 1] - made[WARM])


def _bare(ear: Ear, folder: Path) -> None:
    script = folder / "train.py"
    script.write_text(PROGRAM)
    (port,) = free_ports(1)
    told = {"TELL_PORT": str(ear.port), "STEPS": str(STEPS), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [str(MILLSTREAM.parent / "torchrun"), "--nnodes=2", "--master-addr=127.0.0.1", f"--master-port={port}"]
    nodes = [
        subprocess.Popen([*command, f"--node-rank={rank}", str(script)], env={**os.environ, **told}, cwd=folder)
        for rank in (0, 1)
    ]
    assert [node.wait() for node in nodes] == [0, 0]


def _platform(client: Client, ear: Ear, name: str) -> None:
    client.apply(_job(name, ear.port, STEPS))
    client.wait("trainjobs", name, "Complete", timeout_s=180)


def _job(name: str, port: int, steps: int) -> dict[str, object]:
    made = job(name, port, steps, every=1)
    script = f"cat > train.py << 'EOM'\n{PROGRAM}\nEOM\nexec torchrun train.py"
    made["spec"]["trainer"]["command"] = ["bash", "-c", script]
    return made


def _recovery(client: Client) -> None:
    """From the kill of a worker process to the first step that is new, the redone ones of a checkpoint included."""
    ear, took, first = Ear(), [], []
    client.apply(job("killed", ear.port, 1000, every=20))
    for number in range(KILLS):
        ear.wait_for("steps", lambda step: step.attempt == number and step.number >= 100 * (number + 1))  # noqa: B023
        last, killed = ear.newest(node=0).number, time.time()
        os.kill(ear.newest(node=1).pid, signal.SIGKILL)
        again = ear.wait_for("a step again", lambda step: step.attempt == number + 1)  # noqa: B023
        new = ear.wait_for("a new step", lambda step: step.attempt == number + 1 and step.number > last)  # noqa: B023
        first.append(again.at - killed)
        took.append(new.at - killed)
    client.delete("trainjobs", "killed")
    until(lambda: client.find("trainjobs", "killed") is None, 60, "the job gone")
    told = ", ".join(f"{seconds:.2f}" for seconds in took)
    print(f"worker killed -> it trains again p50 {statistics.median(first):.2f} s, first new step {told} s", flush=True)


if __name__ == "__main__":
    main()
