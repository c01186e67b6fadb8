"""What a framework plugin is asked and answers; the core knows the question and no member."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.trainer.domain import words

BLOCKS_FIRST, BLOCKS, BLOCK = 10000, 312, 32


@dataclass(frozen=True)
class Layout:
    """What a framework needs to know of a job. `cpu` in cores per node, `devices` accelerators per node.

    `num_proc_per_node` is the job's own word, `policy` what the runtime's mlPolicy says under the framework's key. The
    last three are set for elastic jobs only.
    """

    name: str
    service: str
    num_nodes: int
    cpu: float
    devices: int
    num_proc_per_node: int | str | None
    port: int
    policy: Mapping[str, Any] = field(default_factory=dict)
    min_nodes: int | None = None
    max_nodes: int | None = None
    max_restarts: int | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all nodes, by their index."""
        return tuple(self.host(index) for index in range(self.num_nodes))

    def host(self, index: int, role: str = words.NODE) -> str:
        return f"{words.child_job(self.name, role)}-{index}.{self.service}"

    def processes(self, otherwise: int) -> int:
        """Processes on every node: the job's word, else the runtime's, else `otherwise`."""
        asked = self.num_proc_per_node or self.policy.get("numProcPerNode") or otherwise
        if isinstance(asked, int):
            return asked
        by_word = {"cpu": self.cores, "gpu": self.devices or 1, "auto": self.devices or self.cores}
        return by_word[asked] if asked in by_word else int(asked)

    def ports(self, count: int) -> list[int]:
        """For programs that listen on all addresses of their machine, which on a laptop all pods share: a port each,
        out of a block that no other running job has. Where machines are many the block may be used again."""
        first = BLOCKS_FIRST + self.port % BLOCKS * BLOCK
        return [first + number % BLOCK for number in range(count)]

    @property
    def cores(self) -> int:
        return max(1, int(self.cpu))


@dataclass(frozen=True)
class Role:
    """Pods that do the same. What the user wants run is run by the first role of a job, whose end is the job's end.

    `command` is run instead of it, `before` in front of it. `env` and `ports` are on top of those of all roles.
    """

    name: str
    count: int
    env: tuple[dict[str, Any], ...] = ()
    ports: tuple[dict[str, Any], ...] = ()
    command: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shape:
    """What a framework adds to a job: environment variables (Kubernetes EnvVar), container ports, files (text by its
    absolute path) and folders of its own (`scratch`) for every pod; `roles` where not all pods do the same."""

    env: tuple[dict[str, Any], ...] = ()
    ports: tuple[dict[str, Any], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[Role, ...] = ()
    scratch: tuple[str, ...] = ()
    spares: int = 0
    """How many nodes that end with a failure are made again while the others go on: their program must bear that."""

    def parts(self, num_nodes: int) -> tuple[Role, ...]:
        """The roles; where a framework names none, all nodes are alike."""
        return self.roles or (Role(words.NODE, num_nodes),)


class Framework(Protocol):
    """One way to train. `policy` is its key in a runtime's `mlPolicy`; the empty key serves runtimes that name none.

    `causes` is asked before a runtime is stored: (field below the key, what is wrong with it), nothing for a good one.
    """

    policy: str

    def shape(self, layout: Layout) -> Shape: ...

    def causes(self, policy: Mapping[str, Any]) -> Sequence[tuple[str, str]]: ...


def framework_for(policy: Mapping[str, Any], frameworks: Sequence[Framework]) -> Framework:
    """The plugin of the first policy key that the runtime names, in the registry's order. KeyError without one."""
    for framework in frameworks:
        if framework.policy and framework.policy in policy:
            return framework
    return {framework.policy: framework for framework in frameworks}[""]


INDEX = {"fieldRef": {"fieldPath": f"metadata.annotations['{words.COMPLETION_INDEX}']"}}
"""Where a pod learns which of its role it is."""


def variable(name: str, value: object) -> dict[str, Any]:
    """An EnvVar; a dict is taken for its `valueFrom`."""
    return {"name": name, "valueFrom": value} if isinstance(value, dict) else {"name": name, "value": str(value)}


def container_port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def unknown_keys(policy: Mapping[str, Any], known: Sequence[str]) -> list[tuple[str, str]]:
    told = f"is not known here; known: {', '.join(known) or 'none'}"
    return [(key, told) for key in policy if key not in known]


def bad_processes(policy: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with `numProcPerNode`, which all frameworks may have."""
    value = policy.get("numProcPerNode")
    whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if value is None or whole or value in ("auto", "cpu", "gpu") or (isinstance(value, str) and value.isdigit()):
        return []
    return [("numProcPerNode", f"{value!r} must be a whole number of at least 1, auto, cpu or gpu")]
