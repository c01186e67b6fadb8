"""A compiled pipeline as frozen values: the words are KFP's, the shapes are those that deciding needs.

A name that a value holds (component, executor, task, input, output) is known to exist: reading.py has seen to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.pipelines.domain.ir.conditions import Condition
from services.pipelines.domain.ir.selectors import Selector

ROOT = "root"
"""The name of the component that is the pipeline itself."""


class ParamType(StrEnum):
    """KFP's types of parameters."""

    DOUBLE = "NUMBER_DOUBLE"
    INTEGER = "NUMBER_INTEGER"
    STRING = "STRING"
    BOOLEAN = "BOOLEAN"
    LIST = "LIST"
    STRUCT = "STRUCT"
    FINAL_STATUS = "TASK_FINAL_STATUS"
    TASK_CONFIG = "TASK_CONFIG"


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """A parameter that a component takes or gives. `default` means something only if `has_default`."""

    name: str
    type: ParamType
    optional: bool = False
    has_default: bool = False
    default: Any = None
    literals: tuple[Any, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class ArtifactSpec:
    """An artifact, or a list of them, that a component takes or gives."""

    name: str
    schema_title: str = "system.Artifact"
    schema_version: str = "0.0.1"
    is_list: bool = False
    optional: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class Interface:
    """The inputs, or the outputs, of a component by name."""

    parameters: Mapping[str, ParamSpec] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the pipeline itself."""

    value: Any


@dataclass(frozen=True, slots=True)
class FromInput:
    """An input of the graph that the task stands in."""

    name: str


@dataclass(frozen=True, slots=True)
class FromTask:
    """An output of another task of the same graph."""

    task: str
    output: str


@dataclass(frozen=True, slots=True)
class FinalStatus:
    """How another task of the same graph ended."""

    task: str


@dataclass(frozen=True, slots=True)
class ParamSource:
    """Where a parameter of a task comes from, and which part of it is meant."""

    source: Constant | FromInput | FromTask | FinalStatus
    selector: Selector | None = None


ArtifactSource = FromInput | FromTask


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failed attempt is made again: `max_retries` more, waiting `backoff_s * factor ** n`, capped."""

    max_retries: int
    backoff_s: float = 0.0
    factor: float = 2.0
    backoff_max_s: float = 3600.0

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure (1 is the first)."""
        if self.backoff_s <= 0:
            return 0.0
        # The exponent is capped: a thousand retries must not overflow what the cap cuts off anyway.
        return float(min(self.backoff_s * self.factor ** min(failures - 1, 64), self.backoff_max_s))


@dataclass(frozen=True, slots=True)
class Caching:
    """`barred`: somebody switched it off, which for a graph goes for all that is inside; groups say neither."""

    enabled: bool = False
    key: str = ""
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Iterator:
    """A task that is run once per item: `items` when they stand in the pipeline, else those of `items_input`.
    `limit` is how many iterations run at a time; 0 means all."""

    item_input: str
    items_input: str = ""
    items: tuple[Any, ...] | None = None
    artifacts: bool = False
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """`upstream` is all that must have ended first: the named dependencies and the producers of inputs, once each.
    `always` is KFP's ALL_UPSTREAM_TASKS_COMPLETED: it runs whatever became of them. `exits`: it cleans up after a
    dsl.ExitHandler, also when the run is stopped."""

    name: str
    display_name: str
    component: str
    parameters: Mapping[str, ParamSource] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactSource] = field(default_factory=dict)
    upstream: tuple[str, ...] = ()
    condition: Condition | None = None
    always: bool = False
    exits: bool = False
    caching: Caching = Caching()
    retry: Retry | None = None
    iterator: Iterator | None = None


@dataclass(frozen=True, slots=True)
class DagOutput:
    """An output of a graph: of the first of `producers` that has run and gave it (several: KFP's OneOf)."""

    producers: tuple[FromTask, ...]


@dataclass(frozen=True, slots=True)
class Dag:
    """A graph of tasks. `tasks` stand in an order in which every task comes after its upstream."""

    tasks: Mapping[str, Task]
    downstream: Mapping[str, tuple[str, ...]]
    parameters: Mapping[str, DagOutput] = field(default_factory=dict)
    artifacts: Mapping[str, DagOutput] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Component:
    """Exactly one of `dag` and `executor` is there. `passthroughs` are KFP's taskConfigPassthroughs: field -> whether
    the field is applied to the task's own pod as well."""

    name: str
    inputs: Interface
    outputs: Interface
    dag: Dag | None = None
    executor: str | None = None
    passthroughs: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resources:
    """What a container asks for, as texts that may hold placeholders; an empty text asks for nothing.
    The old numeric fields (memory in GB) have become texts already."""

    cpu_limit: str = ""
    cpu_request: str = ""
    memory_limit: str = ""
    memory_request: str = ""
    accelerator_type: str = ""
    accelerator_count: str = ""


@dataclass(frozen=True, slots=True)
class ContainerExecutor:
    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    resources: Resources = Resources()


@dataclass(frozen=True, slots=True)
class ImporterExecutor:
    """`uri` or, if that is empty, the value of the parameter `uri_input`."""

    name: str
    schema_title: str = "system.Artifact"
    schema_version: str = "0.0.1"
    uri: str = ""
    uri_input: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reimport: bool = False
    to_workspace: bool = False


Executor = ContainerExecutor | ImporterExecutor


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`kubernetes` is the kubernetes platform's document per executor, `config` its pipelineConfig; both as written."""

    name: str
    components: Mapping[str, Component]
    executors: Mapping[str, Executor]
    display_name: str = ""
    description: str = ""
    schema_version: str = ""
    sdk_version: str = ""
    default_root: str = ""
    kubernetes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Component:
        return self.components[ROOT]

    def executor_of(self, component: str) -> Executor | None:
        """What runs a component; None for a graph."""
        label = self.components[component].executor
        return None if label is None else self.executors[label]
