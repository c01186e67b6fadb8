"""What passes between the service and the launcher inside a step's pod, as values with one JSON form.

The launcher runs in any image, so it shares none of this code: the JSON is the contract. Fields may be added, never
renamed, for pods of the release before are still running when a new one takes over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class ArtifactSlot:
    """An artifact that the step may write: `uri` is where the platform expects its bytes, below the attempt's own
    prefix."""

    name: str
    uri: str
    schema_title: str = "system.Artifact"
    schema_version: str = "0.0.1"
    is_list: bool = False


@dataclass(frozen=True)
class StepOrder:
    """All that one attempt of one step is told. `command` has its placeholders resolved and its arguments appended;
    `executor_input` is KFP's ExecutorInput. `parameters` are the output parameters' types as the IR names them.

    `resources` is the container's resources as Kubernetes writes them, `platform` the executor's part of the
    kubernetes platform document with the parameters in it resolved.
    """

    run_id: str
    namespace: str
    uid: str
    attempt: int
    path: str
    name: str
    component: str
    image: str
    command: tuple[str, ...]
    executor_input: Json
    parameters: Mapping[str, str] = field(default_factory=dict)
    optional_parameters: frozenset[str] = frozenset()
    artifacts: tuple[ArtifactSlot, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    resources: Json = field(default_factory=dict)
    platform: Json = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of the input artifacts whose bytes runs have stored, by URI: they are checked on arrival."""
    workspace: Json = field(default_factory=dict)
    """The claim of the volume that the run's steps share, {} without one."""
    root: str = ""
    """The prefix below which this attempt alone may write, an s3:// URI without a trailing slash."""


@dataclass(frozen=True)
class StoredArtifact:
    """One artifact as the launcher left it. `digest` is sha256:<hex>, of the bytes or, of a folder, of its files'
    names and digests; empty where nothing was written. `size` is in bytes, `files` how many there are."""

    name: str
    uri: str
    digest: str = ""
    size: int = 0
    files: int = 0
    metadata: Json = field(default_factory=dict)
    schema_title: str = ""

    def to_json(self) -> Json:
        return {
            "name": self.name,
            "uri": self.uri,
            "digest": self.digest,
            "size": self.size,
            "files": self.files,
            "metadata": self.metadata,
            "schemaTitle": self.schema_title,
        }

    @classmethod
    def from_json(cls, told: Json) -> StoredArtifact:
        return cls(
            name=str(told["name"]),
            uri=str(told["uri"]),
            digest=str(told.get("digest") or ""),
            size=int(told.get("size") or 0),
            files=int(told.get("files") or 0),
            metadata=dict(told.get("metadata") or {}),
            schema_title=str(told.get("schemaTitle") or ""),
        )


@dataclass(frozen=True)
class StepResult:
    """What an attempt came to, as its launcher posts it to the step door.

    `files` are output parameters as text from their files, `values` those of executor_output.json, already typed; where
    both name one, the value counts. `artifacts` are by output name, more than one for a list. `error` says in one
    sentence why it failed, `damaged` is the URI of an input whose bytes are not those that were stored; `log` is the
    kept end of its output.
    """

    succeeded: bool
    exit_code: int = 0
    error: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[StoredArtifact, ...]] = field(default_factory=dict)
    log: StoredArtifact | None = None
    damaged: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def to_json(self) -> Json:
        return {
            "succeeded": self.succeeded,
            "exitCode": self.exit_code,
            "error": self.error,
            "files": dict(self.files),
            "values": dict(self.values),
            "artifacts": {name: [one.to_json() for one in many] for name, many in self.artifacts.items()},
            "log": self.log.to_json() if self.log else None,
            "damaged": self.damaged,
            "startedAt": self.started_at.isoformat() if self.started_at else None,
            "endedAt": self.ended_at.isoformat() if self.ended_at else None,
        }

    @classmethod
    def from_json(cls, told: Json) -> StepResult:
        """Raises KeyError, TypeError or ValueError for what no launcher says."""
        artifacts = {
            str(name): tuple(StoredArtifact.from_json(one) for one in many)
            for name, many in dict(told.get("artifacts") or {}).items()
        }
        return cls(
            succeeded=bool(told["succeeded"]),
            exit_code=int(told.get("exitCode") or 0),
            error=str(told.get("error") or ""),
            files={str(name): str(text) for name, text in dict(told.get("files") or {}).items()},
            values=dict(told.get("values") or {}),
            artifacts=artifacts,
            log=StoredArtifact.from_json(told["log"]) if told.get("log") else None,
            damaged=str(told.get("damaged") or ""),
            started_at=_moment(told.get("startedAt")),
            ended_at=_moment(told.get("endedAt")),
        )


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
