"""One task of a run as it is stored: what it was given, how it stands, what it gave; JSON both ways, nothing decided.

A run may have tens of thousands: what many of them say alike they share.

A path tells the place: `root` is the run, `root/train` a task of it, `root/for-loop-1` a loop, `root/for-loop-1/3` its
fourth iteration, `root/for-loop-1/3/train` a task of that one.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from sys import intern
from typing import Any, Self

from libs.base import parse_rfc3339, rfc3339_micro
from services.pipelines.domain.codes import INTERNAL


class State(StrEnum):
    """KFP's states of runs and tasks."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    PAUSED = "PAUSED"

    @property
    def over(self) -> bool:
        return self in OVER


OVER = frozenset({State.SUCCEEDED, State.SKIPPED, State.FAILED, State.CANCELED})


class Kind(StrEnum):
    """step: a pod. importer: an artifact that is only named. dag: a graph. loop: the iterations of a task."""

    STEP = "step"
    IMPORTER = "importer"
    DAG = "dag"
    LOOP = "loop"


@dataclass(frozen=True, slots=True)
class Error:
    """Why something failed; `code` is a code of gRPC, as in KFP's answers. `path` is the task where it happened, of an
    error that a graph or a loop has from inside."""

    message: str
    code: int = INTERNAL
    reason: str = ""
    path: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "reason": self.reason, "path": self.path}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        return cls(said["message"], said.get("code", INTERNAL), said.get("reason", ""), said.get("path", ""))


Try = tuple[datetime, int, Error]
"""When an attempt failed that was not the last, which it was, and why."""
TRIES_MAX = 10
DAMAGED = "DamagedInput"
"""The reason of who failed because the bytes of an input, whose URI its message names, are not what was stored."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One artifact. `digest` is `sha256:...` of its bytes, empty where nobody has read them (an imported one)."""

    name: str
    uri: str
    schema_title: str = "system.Artifact"
    schema_version: str = "0.0.1"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    size: int = 0
    id: str = ""

    def to_json(self) -> dict[str, Any]:
        """KFP's RuntimeArtifact, and what we know besides."""
        return {
            "name": self.name,
            "type": {"schemaTitle": self.schema_title, "schemaVersion": self.schema_version},
            "uri": self.uri,
            "metadata": dict(self.metadata),
            "digest": self.digest,
            "size": self.size,
            "id": self.id,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        kind = said.get("type", {})
        return cls(
            name=intern(said["name"]),
            uri=said["uri"],
            schema_title=intern(kind.get("schemaTitle", "system.Artifact")),
            schema_version=intern(kind.get("schemaVersion", "0.0.1")),
            metadata=said.get("metadata", {}),
            digest=said.get("digest", ""),
            size=said.get("size", 0),
            id=said.get("id", ""),
        )


@dataclass(frozen=True, slots=True)
class Values:
    """What a task takes or gives: parameters by name, and artifacts by name (always a tuple; a plain one has one)."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "parameters": dict(self.parameters),
            "artifacts": {name: [each.to_json() for each in all_] for name, all_ in self.artifacts.items()},
        }

    def names(self, uris: Container[str]) -> bool:
        """Whether one of these is among its artifacts."""
        return any(one.uri in uris for many in self.artifacts.values() for one in many)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        artifacts, parameters = said.get("artifacts", {}), said.get("parameters", {})
        if not artifacts and not parameters:
            return NOTHING  # type: ignore[return-value]
        return cls(
            {intern(name): value for name, value in parameters.items()},
            {intern(name): tuple(Artifact.from_json(each) for each in all_) for name, all_ in artifacts.items()},
        )


NOTHING = Values()
"""What most tasks take or give in the one way or the other; records share it."""
Inputs = Values
Outputs = Values


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """The newest truth about one task.

    attempt     1 is the first; it only grows, also over a retry of the run: pods and tokens are named after it
    failures    attempts of this life of the task that failed and counted against the user's retries
    losses      attempts that ended without a result (node lost, pod deleted) and did not count
    retry_at    the next attempt begins then; only while PENDING
    waiting     it was reset by a retry of the run and waits for its upstream again: as if there were no record
    reason      one word on the state: ConditionFalse, UpstreamFailed, UpstreamSkipped, Cached, Retry, ...
    cached_from the uid of the task whose outputs these are
    inputs      of an iteration: its item only; the rest is the loop's
    tries       the newest of its attempts that failed and were followed by another, also over a retry of the run
    """

    path: str
    uid: str
    parent: str
    name: str
    display_name: str
    kind: Kind
    component: str
    state: State
    iteration: int | None = None
    attempt: int = 1
    failures: int = 0
    losses: int = 0
    inputs: Values = NOTHING
    outputs: Values = NOTHING
    error: Error | None = None
    reason: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    retry_at: datetime | None = None
    waiting: bool = False
    cached_from: str = ""
    history: tuple[tuple[State, datetime], ...] = ()
    tries: tuple[Try, ...] = ()

    def tried(self, at: datetime, error: Error) -> tuple[Try, ...]:
        """Its failed tries, with this one."""
        return (*self.tries[1 - TRIES_MAX :], (at, self.attempt, error))

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def active(self) -> bool:
        """A step or importer that has been started and has not ended: one that should have a pod, or waits for a
        person."""
        return (
            self.kind in (Kind.STEP, Kind.IMPORTER)
            and self.state in (State.PENDING, State.RUNNING, State.PAUSED)
            and not self.waiting
            and self.retry_at is None
        )

    def outcome(self) -> Self:
        """Of one that is over only what others decide by: how it ended and what it gave."""
        past: dict[str, Any] = {"inputs": NOTHING, "created_at": None, "ended_at": None, "history": (), "tries": ()}
        return replace(self, uid="", display_name="", **past)

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "uid": self.uid,
            "parent": self.parent,
            "name": self.name,
            "display_name": self.display_name,
            "kind": str(self.kind),
            "component": self.component,
            "state": str(self.state),
            "iteration": self.iteration,
            "attempt": self.attempt,
            "failures": self.failures,
            "losses": self.losses,
            "inputs": self.inputs.to_json(),
            "outputs": self.outputs.to_json(),
            "error": self.error and self.error.to_json(),
            "reason": self.reason,
            "created_at": _text(self.created_at),
            "started_at": _text(self.started_at),
            "ended_at": _text(self.ended_at),
            "retry_at": _text(self.retry_at),
            "waiting": self.waiting,
            "cached_from": self.cached_from,
            "history": [[str(state), rfc3339_micro(at)] for state, at in self.history],
            **({"tries": [_try_told(each) for each in self.tries]} if self.tries else {}),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        times: dict[str, Any] = {
            name: _time(said.get(name)) for name in ("created_at", "started_at", "ended_at", "retry_at")
        }
        plain = ("path", "uid", "iteration", "attempt", "failures", "losses", "waiting", "cached_from")
        common = ("parent", "name", "display_name", "component", "reason")
        return cls(
            **{name: said[name] for name in plain},
            **{name: intern(said[name]) for name in common},
            **times,
            kind=Kind(said["kind"]),
            state=State(said["state"]),
            inputs=Values.from_json(said["inputs"]),
            outputs=Values.from_json(said["outputs"]),
            error=Error.from_json(said["error"]) if said.get("error") else None,
            history=tuple((State(state), parse_rfc3339(at)) for state, at in said.get("history", ())),
            tries=tuple(_try_read(each) for each in said.get("tries", ())),
        )


def _try_told(one: Try) -> dict[str, Any]:
    at, attempt, error = one
    return {"at": rfc3339_micro(at), "attempt": attempt, "error": error.to_json()}


def _try_read(said: Mapping[str, Any]) -> Try:
    return parse_rfc3339(said["at"]), said["attempt"], Error.from_json(said["error"])


def _text(at: datetime | None) -> str | None:
    return None if at is None else rfc3339_micro(at)


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_rfc3339(text)
