"""A two-node torch job that tells every step it makes to a socket of the test, so that the test can count and kill."""

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
attempt = os.environ["MILLSTREAM_RESTART"]
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
    tell.sendto(f"{attempt} {rank} {step} {os.getpid()} {time.time()}".encode(), where)
    time.sleep(max(0.0, float(os.environ["STEP_S"]) - (time.monotonic() - began)))
dist.barrier()
dist.destroy_process_group()
"""


def job(name: str, port: int, steps: int, every: int, **more: Any) -> dict[str, Any]:
    """`more` are annotations (with `_` for `-`) and, in capitals, variables of the program."""
    notes = {f"millstream.dev/{key.replace('_', '-')}": str(v) for key, v in more.items() if not key.isupper()}
    told = {"TELL_PORT": port, "STEPS": steps, "EVERY": every, "STEP_S": STEP_S}
    told |= {key: value for key, value in more.items() if key.isupper()}
    script = f"cat > train.py << 'EOM'\n{PROGRAM}\nEOM\ntorchrun train.py"
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name, "namespace": "default", "annotations": notes},
        "spec": {
            "runtimeRef": {"name": "torch-distributed"},
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
    """One step that one rank has made. `at` is the machine's time of day, in seconds."""

    attempt: int
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

    def wait_for(self, what: str, true: Callable[[Step], bool], timeout_s: float = 60) -> Step:
        """The first step for which `true` holds, once it was made."""
        until(lambda: any(map(true, list(self.made))), timeout_s, what, every_s=0.02)
        return next(step for step in self.made if true(step))

    def newest(self, rank: int) -> Step:
        return next(step for step in reversed(self.made) if step.rank == rank)

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
            attempt, rank, number, pid, at = words
            self.made.append(Step(int(attempt), int(rank), int(number), int(pid), float(at)))


def kill_with_launcher(pid: int) -> None:
    """A whole node's program: torchrun, which would tell of its worker's death, and the worker."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    for each in (parent, pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
