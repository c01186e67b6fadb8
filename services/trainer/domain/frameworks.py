"""What a framework plugin is asked and answers; the core knows the question and no member."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Layout:
    """What a framework needs to know of a job. `cpu` in cores per node, `devices` accelerators per node."""

    name: str
    service: str
    num_nodes: int
    cpu: float
    devices: int
    num_proc_per_node: int | None
    port: int


@dataclass(frozen=True)
class Shape:
    """What a framework adds to every training node: environment variables (Kubernetes EnvVar) and container ports."""

    env: tuple[dict[str, Any], ...] = ()
    ports: tuple[dict[str, Any], ...] = field(default=())


class Framework(Protocol):
    """One way to train. `policy` is its key in a runtime's `mlPolicy`; the empty key serves runtimes that name none."""

    policy: str

    def shape(self, layout: Layout) -> Shape: ...


def framework_for(policy: dict[str, Any], frameworks: Sequence[Framework]) -> Framework:
    """The plugin of the first policy key that the runtime names, in the registry's order. KeyError without one."""
    for framework in frameworks:
        if framework.policy and framework.policy in policy:
            return framework
    return {framework.policy: framework for framework in frameworks}[""]
