"""Metaflow with its local datastore and metadata: a process a step, the run started by its own command as users do."""

import subprocess
import sys
import tempfile
from pathlib import Path

from common import CHAIN, FAN, measured

HEAD = """
from metaflow import FlowSpec, step
class {name}(FlowSpec):
    @step
    def start(self):
        self.number = 0
        self.numbers = list(range({fan}))
        self.next(self.{first}{each})
"""
STEP = """
    @step
    def {name}(self):
        self.number = {value}
        self.next(self.{after})
"""
JOIN = """
    @step
    def join(self, inputs):
        self.number = sum(each.number for each in inputs)
        self.next(self.end)
"""
END = """
    @step
    def end(self):
        with open({out!r}, "w") as file:
            file.write(str(self.number))
if __name__ == "__main__":
    {name}()
"""


def chain_of(out):
    """CHAIN steps that work and the two that Metaflow demands; `end` only tells."""
    names = [f"add{number}" for number in range(CHAIN)]
    steps = [
        STEP.format(name=name, value="self.number + 1", after=after)
        for name, after in zip(names, [*names[1:], "end"], strict=True)
    ]
    head = HEAD.format(name="Chain", fan=0, first=names[0], each="")
    return head + "".join(steps) + END.format(name="Chain", out=out)


def fan_of(out):
    step = STEP.format(name="one", value="self.input + 1", after="join")
    head = HEAD.format(name="Fan", fan=FAN, first="one", each=", foreach='numbers'")
    return head + step + JOIN + END.format(name="Fan", out=out)


def run(program, out):
    done = subprocess.run(
        [sys.executable, program, "--quiet", "run"], capture_output=True, text=True, cwd=program.parent
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return int(Path(out).read_text())


with tempfile.TemporaryDirectory() as folder:
    out = f"{folder}/out"
    chain, fan = Path(folder, "chain.py"), Path(folder, "fan.py")
    chain.write_text(chain_of(out))
    fan.write_text(fan_of(out))
    measured(lambda: run(chain, out), lambda: run(fan, out))
