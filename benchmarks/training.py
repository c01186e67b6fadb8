"""What the platform costs a training program: steps a second and start, beside bare torchrun; how fast it recovers.

Both run the same script in turns, who is first changing from pair to pair, and each pair is compared by itself: the
machine's mood meets both. Steps are of two nodes with one process each. A start is counted from the command, or the
request, to the first step, with one node: of two, torch's own rendezvous makes the second wait for up to a second and
a half by chance. The program tells each step to a socket of this process.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from millstream.client import Client

from tests.e2e.recovering import Ear, job
from tests.platform import MILLSTREAM, free_ports, started, until

PAIRS, STEPS, WARM = 8, 400, 50
STARTS = 10
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
    with (
        tempfile.TemporaryDirectory(prefix="bench") as folder,
        started(Path(folder) / "home") as platform,
        Client.from_home(platform.home) as client,
    ):
        bench = Bench(client, Path(folder))
        bench.ours(Ear(), nodes=2, steps=2)  # the first of its kind finds nothing warm
        bench.overhead()
        bench.start()
        _recovery(client)


class Bench:
    """Runs the program bare and as a TrainJob."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client, self._folder = client, folder
        self._jobs = 0

    def overhead(self) -> None:
        pairs = self._pairs(PAIRS, 2, STEPS, lambda began, at: (STEPS - 1 - WARM) / (at[STEPS - 1] - at[WARM]))
        losses = [100 * (1 - ours / bare) for bare, ours in pairs]
        told = ", ".join(f"{bare:.1f}/{ours:.1f}" for bare, ours in pairs)
        print(f"two nodes, gloo, {STEPS} steps; steps/s bare/TrainJob: {told}")
        low, middle, high = statistics.quantiles(losses, n=4)
        print(f"overhead p50 {middle:.1f} % of steps/s, half of the pairs {low:.1f} to {high:.1f} %   (aim: under 2 %)")
        print(f"machine: {_mood()}", flush=True)

    def start(self) -> None:
        pairs = self._pairs(STARTS, 1, 2, lambda began, at: at[0] - began)
        more = [1e3 * (ours - bare) for bare, ours in pairs]
        bare, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"start to first step, one node: bare torchrun p50 {bare:.2f} s, TrainJob {ours:.2f} s")
        low, middle, high = statistics.quantiles(more, n=4)
        print(f"added p50 {middle:+.0f} ms, half of the pairs {low:+.0f} to {high:+.0f} ms   (aim: under +300 ms)")
        print(f"machine: {_mood()}", flush=True)

    def _pairs(
        self, count: int, nodes: int, steps: int, figure: Callable[[float, dict[int, float]], float]
    ) -> list[tuple[float, float]]:
        """(bare, TrainJob) of each pair; `figure` is told when the run began and the time of each step."""
        found = []
        for number in range(count):
            sides = (self.bare, self.ours) if number % 2 else (self.ours, self.bare)
            pair = {}
            for run in sides:
                ear, began = Ear(), time.time()
                run(ear, nodes, steps)
                at = {step.number: step.at for step in ear.of(0)}
                ear.close()
                assert len(at) == steps, f"{len(at)} steps of {steps} were told"
                pair[run.__name__] = figure(began, at)
            found.append((pair["bare"], pair["ours"]))
        return found

    def bare(self, ear: Ear, nodes: int, steps: int) -> None:
        script = self._folder / "train.py"
        script.write_text(PROGRAM)
        (port,) = free_ports(1)
        told = {"TELL_PORT": str(ear.port), "STEPS": str(steps), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        torchrun = [str(MILLSTREAM.parent / "torchrun"), f"--nnodes={nodes}", f"--master-port={port}"]
        agents = [
            subprocess.Popen(
                [*torchrun, "--master-addr=127.0.0.1", f"--node-rank={rank}", str(script)],
                env={**os.environ, **told},
                cwd=self._folder,
            )
            for rank in range(nodes)
        ]
        assert [agent.wait() for agent in agents] == [0] * nodes

    def ours(self, ear: Ear, nodes: int, steps: int) -> None:
        self._jobs += 1
        made = job(f"run-{self._jobs}", ear.port, steps, every=1)
        made["spec"]["trainer"]["numNodes"] = nodes
        script = f"cat > train.py << 'EOM'\n{PROGRAM}\nEOM\nexec torchrun train.py"
        made["spec"]["trainer"]["command"] = ["bash", "-c", script]
        self._client.apply(made)
        self._client.wait("trainjobs", f"run-{self._jobs}", "Complete", timeout_s=180)


def _mood() -> str:
    return f"load {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"


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
