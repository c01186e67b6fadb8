"""What the six kinds of job differ in, said once for each; the core knows these questions and no member."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Job = dict[str, Any]
EnvVar = dict[str, Any]
FIRST_PORT, PORTS = 10000, 10000
"""Where ports of jobs that name none come from: upstream's fixed ones meet when two pods share a host."""


@dataclass(frozen=True)
class Tally:
    """The pods of one role by what became of them. `first_done` tells that the replica 0 succeeded."""

    wanted: int
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    first_done: bool = False


Tallies = Mapping[str, Tally]


@dataclass(frozen=True)
class Replica:
    """One pod that a job wants. `role` as in the spec (Worker), `host` its name and that of its service."""

    role: str
    index: int
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Crew:
    """All replicas of a job, in the order of the family's roles."""

    job: Job
    replicas: tuple[Replica, ...]

    def of(self, role: str) -> tuple[Replica, ...]:
        return tuple(replica for replica in self.replicas if replica.role == role)

    def first(self, *roles: str) -> Replica:
        """Replica 0 of the first of these roles that the job has."""
        return next(self.of(role)[0] for role in roles if self.of(role))

    def rank(self, replica: Replica) -> int:
        return self.replicas.index(replica)


def all_workers_done(job: Job, tallies: Tallies) -> bool:
    """How a job without a leader succeeds."""
    worker = tallies.get("Worker")
    return worker is not None and worker.succeeded >= worker.wanted


@dataclass(frozen=True)
class Family:
    """One kind. `specs` is the field of its replica specs, `roles` those that there may be, in the order of ranks;
    of `single` roles there is exactly one replica, and `required` ones must be there. `leaders` decide how the job
    ends: all replicas of the first that the job has; without one `done` is asked. `env` is what each container of a
    replica is told. With `ports_apart` every replica gets a port of its own. `files` lie in `folder` of every pod, by
    their names, beside what the adapter adds; roles in `commands` run these instead of what their template says.
    """

    kind: str
    plural: str
    specs: str
    container: str
    port_name: str
    restart: str
    roles: tuple[str, ...]
    env: Callable[[Crew, Replica], Sequence[EnvVar]]
    leaders: tuple[str, ...] = ()
    single: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    done: Callable[[Job, Tallies], bool] = all_workers_done
    ports_apart: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    files: Callable[[Crew], Mapping[str, str]] | None = None
    folder: str = ""
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def operator(self) -> str:
        return f"{self.kind.lower()}-controller"


def leader(family: Family, specs: Mapping[str, Any]) -> str | None:
    """The role that decides, None where the workers do."""
    return next((role for role in family.leaders if role in specs), None)


def succeeded(family: Family, job: Job, tallies: Tallies) -> bool:
    role = leader(family, job["spec"][family.specs])
    return tallies[role].succeeded >= tallies[role].wanted if role else family.done(job, tallies)


def running(family: Family, job: Job, tallies: Tallies) -> bool:
    role = leader(family, job["spec"][family.specs]) or "Worker"
    return role in tallies and tallies[role].active > 0


def value(name: str, content: object) -> EnvVar:
    return {"name": name, "value": str(content)}
