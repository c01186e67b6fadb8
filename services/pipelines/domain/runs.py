"""A run as it is kept, and what is asked for a new one; what becomes of it is decided by domain.engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

PENDING, RUNNING, CANCELING, PAUSED = "PENDING", "RUNNING", "CANCELING", "PAUSED"
SUCCEEDED, FAILED, CANCELED, SKIPPED = "SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"
ACTIVE = (PENDING, RUNNING, CANCELING, PAUSED)
OVER = (SUCCEEDED, FAILED, CANCELED, SKIPPED)

AVAILABLE, ARCHIVED, LEAVING = "AVAILABLE", "ARCHIVED", "LEAVING"


@dataclass(frozen=True)
class RunOptions:
    """What a run may be told beyond its parameters. `cache` None leaves it to the tasks; `timeout_s` 0 is for ever,
    `exits_s` how long exit tasks may take when the run is stopped; with `fail_fast` nothing more is begun after a
    failure.

    `pipeline_run` is the name of the object that it was made for, whose uid is the run's id.

    A fork keeps what the run `fork_of` has done, but for the paths in `anew` and what follows from them; with `only` it
    does no more than those need."""

    cache: bool | None = None
    timeout_s: float = 0.0
    exits_s: float = 600.0
    fail_fast: bool = False
    queue: str = ""
    priority_class: str = ""
    pipeline_run: str = ""
    fork_of: str = ""
    anew: tuple[str, ...] = ()
    only: bool = False
    plugins: Mapping[str, Any] = field(default_factory=dict)
    """What the run tells systems that are told of it, by their names."""

    def to_json(self) -> dict[str, Any]:
        plain = RunOptions()
        return {name: value for name, value in vars(self).items() if value != getattr(plain, name)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> RunOptions:
        known = {name: value for name, value in told.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, "anew": tuple(known.get("anew", ()))})


@dataclass(frozen=True)
class NewRun:
    """`spec` is the digest under which the catalog keeps the compiled pipeline, `parameters` are checked and typed by
    domain.ir.values. Without a `root` the run gets the one of its namespace and id, without an `id` a fresh one."""

    namespace: str
    name: str
    spec: str
    pipeline_name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    experiment_id: str = ""
    description: str = ""
    service_account: str = ""
    pipeline_id: str = ""
    version_id: str = ""
    recurring_run_id: str = ""
    root: str = ""
    scheduled_ms: int | None = None
    options: RunOptions = RunOptions()
    id: str = ""


@dataclass(frozen=True)
class Run:
    """Times are milliseconds since the epoch, `finished_ms` None while it goes on; `history` are (ms, state) in order.

    `error` is a sentence for people, empty where nothing failed.
    """

    id: str
    namespace: str
    name: str
    spec: str
    pipeline_name: str
    state: str
    storage_state: str
    parameters: Mapping[str, Any]
    experiment_id: str
    description: str
    service_account: str
    pipeline_id: str
    version_id: str
    recurring_run_id: str
    root: str
    options: RunOptions
    error: str
    history: tuple[tuple[int, str], ...]
    created_ms: int
    scheduled_ms: int
    finished_ms: int | None = None

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_leaving(self) -> bool:
        """Somebody deleted it while it went on: it goes when its exit tasks have cleaned up."""
        return self.storage_state == LEAVING


@dataclass(frozen=True)
class Artifact:
    """What a task made or imported, as it is kept: `kind` is its schema title, `digest` sha256:<hex> or empty."""

    id: str
    namespace: str
    run_id: str
    task_uid: str
    name: str
    kind: str
    uri: str
    digest: str
    size: int
    metadata: Mapping[str, Any]
    created_ms: int


def drafted(new: NewRun, id: str, now_ms: int, home: str) -> Run:
    """The run as it begins; `home` is the URI below which namespaces keep their runs' outputs."""
    return Run(
        id=id,
        namespace=new.namespace,
        name=new.name,
        spec=new.spec,
        pipeline_name=new.pipeline_name,
        state=PENDING,
        storage_state=AVAILABLE,
        parameters=new.parameters,
        experiment_id=new.experiment_id,
        description=new.description,
        service_account=new.service_account,
        pipeline_id=new.pipeline_id,
        version_id=new.version_id,
        recurring_run_id=new.recurring_run_id,
        root=f"{(new.root or f'{home}/{new.namespace}').rstrip('/')}/{id}",
        options=new.options,
        error="",
        history=((now_ms, PENDING),),
        created_ms=now_ms,
        scheduled_ms=now_ms if new.scheduled_ms is None else new.scheduled_ms,
    )


def task_uid(run_id: str, path: str) -> str:
    """The same for the same task of the same run, whoever asks and whenever."""
    return str(uuid5(UUID(run_id), path))
