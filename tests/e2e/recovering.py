"""Two-node jobs that tell every step they make to a socket of the test, so that the test can count and kill."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.platform import until

STEP_S = 0.02
TORCH = "torch-distributed"
PROGRAM = """
import os, socket, time
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from millstream import training as mt

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
tell = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
where = ("127.0.0.1", int(os.environ["TELL_PORT"]))
attempt, node = os.environ["MILLSTREAM_RESTART"], os.environ["JOB_COMPLETION_INDEX"]
torch.manual_seed(1)
model = torch.nn.Linear(8, 1)
parallel = DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
kept, steps, every = {"model": model, "optimizer": optimizer}, int(os.environ["STEPS"]), int(os.environ["EVERY"])
for step in mt.steps(steps, kept, every=every):
    began = time.monotonic()
    if step == int(os.environ.get("HANG_AT", -1)) and attempt == "0":
        time.sleep(3600)
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(step * 2 + rank))
    optimizer.zero_grad()
    loss = (parallel(x) - x.sum(1, keepdim=True)).pow(2).mean()
    loss.backward()
    optimizer.step()
    mt.report(metrics={"loss": loss})
    tell.sendto(f"{attempt} {node} {rank} {step} {os.getpid()} {time.time()}".encode(), where)
    time.sleep(max(0.0, float(os.environ["STEP_S"]) - (time.monotonic() - began)))
dist.barrier()
dist.destroy_process_group()
"""
ALONE = """
import os, socket, time

tell = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
node = os.environ["JOB_COMPLETION_INDEX"]
for step in range(int(os.environ["STEPS"])):
    words = f"0 {node} {node} {step} {os.getpid()} {time.time()}"
    tell.sendto(words.encode(), ("127.0.0.1", int(os.environ["TELL_PORT"])))
    time.sleep(float(os.environ["STEP_S"]))
"""


def job(name: str, port: int, steps: int, every: int, **more: Any) -> dict[str, Any]:
    """`more` are annotations (with `_` for `-`) and, in capitals, variables of the program; with ALONE its nodes know
    nothing of each other."""
    notes = {f"millstream.dev/{key.replace('_', '-')}": str(v) for key, v in more.items() if not key.isupper()}
    told = {"TELL_PORT": port, "STEPS": steps, "EVERY": every, "STEP_S": STEP_S}
    told |= {key: value for key, value in more.items() if key.isupper()}
    program, runtime, run = (ALONE, "python", "exec python") if "ALONE" in more else (PROGRAM, TORCH, "torchrun")
    script = f"cat > train.py << 'EOM'\n{program}\nEOM\n{run} train.py"
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name, "namespace": "default", "annotations": notes},
        "spec": {
            "runtimeRef": {"name": runtime},
            "trainer": {
                "numNodes": 2,
                "command": ["bash", "-c", script],
                "env": [{"name": key, "value": str(value)} for key, value in told.items()],
                "resourcesPerNode": {"limits": {"cpu": 1, "memory": "1Gi"}},
            },
        },
    }


@dataclass(frozen=True)
class Step:
    """One step of one rank; a node's rank may be another one after a rendezvous. `at` is the time of day in seconds."""

    attempt: int
    node: int
    rank: int
    number: int
    pid: int
    at: float


class Ear:
    """Hears the ranks; `made` are their steps in the order of their coming."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.made: list[Step] = []
        threading.Thread(target=self._hear, daemon=True).start()

    def wait_for(self, what: str, true: Callable[[Step], bool], timeout_s: float = 120) -> Step:
        """The first step for which `true` holds, once it was made."""
        until(lambda: any(map(true, list(self.made))), timeout_s, what, every_s=0.02)
        return next(step for step in self.made if true(step))

    def newest(self, node: int) -> Step:
        return next(step for step in reversed(self.made) if step.node == node)

    def of(self, rank: int) -> list[Step]:
        return [step for step in self.made if step.rank == rank]

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _hear(self) -> None:
        while True:
            try:
                words = self._socket.recv(256).decode().split()
            except OSError:
                return
            if not words:
                return
            *numbers, at = words
            self.made.append(Step(*map(int, numbers), float(at)))


def kill_with_launcher(pid: int) -> None:
    """A whole node's program: torchrun, which would tell of its worker's death, and the worker."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    for each in (parent, pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
