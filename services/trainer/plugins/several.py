"""Frameworks whose programs are told by variables who they are, and start no further processes by themselves."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from services.trainer.domain import words
from services.trainer.domain.frameworks import (
    INDEX,
    Layout,
    Role,
    Shape,
    bad_processes,
    container_port,
    unknown_keys,
    variable,
)

PROGRAMS = Path(__file__).parent / "programs"
PROCESSES = "/etc/millstream/processes.py"


class ByVariables:
    """One process on every node unless the job wants more. `rank` is the variable that tells a process its number."""

    policy = ""
    rank = ""

    def told(self, layout: Layout, processes: int) -> Mapping[str, str]:
        """The variables that are the same everywhere, for `processes` on every node."""
        raise NotImplementedError

    def shape(self, layout: Layout) -> Shape:
        processes = layout.processes(max(1, layout.devices))
        env = [variable(name, value) for name, value in self.told(layout, processes).items()]
        if self.rank and self.rank not in {entry["name"] for entry in env}:
            env.append(variable(self.rank, INDEX))
        ports = (container_port("train", layout.port),)
        if processes == 1:
            return Shape(env=tuple(env), ports=ports)
        before = ("python3", PROCESSES, str(processes), self.rank, "--")
        role = Role(words.NODE, layout.num_nodes, before=before)
        return Shape(env=tuple(env), ports=ports, files={PROCESSES: program("processes")}, roles=(role,))

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [*unknown_keys(policy, ("numProcPerNode",)), *bad_processes(policy)]


@cache
def program(name: str) -> str:
    """The text of one of the programs beside this file."""
    return (PROGRAMS / f"{name}.py").read_text()
