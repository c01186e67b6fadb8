"""What the catalog holds, and how KFP's REST API shows it; times are milliseconds since the epoch, "" is not given."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from libs.base import from_milliseconds

Object = dict[str, Any]
AVAILABLE, ARCHIVED = "AVAILABLE", "ARCHIVED"
ENABLED, DISABLED = "ENABLED", "DISABLED"


def shown_time(ms: int | None) -> str:
    """RFC 3339 with milliseconds; the epoch for what has not happened, as with KFP."""
    return shown_moment(from_milliseconds(ms or 0))


def shown_moment(at: datetime) -> str:
    # By far the fastest of the ways to write it: a large run has sixty thousand of them.
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Pipeline:
    """A name under which versions are kept; `name` is unique in its namespace."""

    id: str
    namespace: str
    name: str
    display_name: str
    created_ms: int
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def shown(self) -> Object:
        return {
            "pipeline_id": self.id,
            "display_name": self.display_name,
            "name": self.name,
            "created_at": shown_time(self.created_ms),
            "namespace": self.namespace,
            **_given(description=self.description, tags=self.tags),
        }


@dataclass
class Version:
    """`spec` is the digest of the compiled pipeline."""

    id: str
    pipeline_id: str
    name: str
    display_name: str
    spec: str
    created_ms: int
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    code_source_url: str = ""
    package_url: str = ""

    def shown(self, document: Object | None) -> Object:
        """`document` is what `spec` is the digest of."""
        return {
            "pipeline_id": self.pipeline_id,
            "pipeline_version_id": self.id,
            "display_name": self.display_name,
            "name": self.name,
            "created_at": shown_time(self.created_ms),
            "pipeline_spec": document,
            **_given(description=self.description, tags=self.tags, code_source_url=self.code_source_url),
            **({"package_url": {"pipeline_url": self.package_url}} if self.package_url else {}),
        }


@dataclass
class Experiment:
    """What groups runs; `last_run_ms` is 0 until the first."""

    id: str
    namespace: str
    name: str
    created_ms: int
    description: str = ""
    storage_state: str = AVAILABLE
    last_run_ms: int = 0

    def shown(self) -> Object:
        return {
            "experiment_id": self.id,
            "display_name": self.name,
            "created_at": shown_time(self.created_ms),
            "namespace": self.namespace,
            "storage_state": self.storage_state,
            "last_run_created_at": shown_time(self.last_run_ms),
            **_given(description=self.description),
        }


@dataclass
class RecurringRun:
    """Starts runs by its `trigger`, of a version or of the compiled pipeline whose digest is `spec`.

    `due_ms` is when it next starts one, None while it is disabled or over; `last_ms` the moment of its schedule for
    which it last started one.
    """

    id: str
    namespace: str
    experiment_id: str
    name: str
    created_ms: int
    updated_ms: int
    trigger: Object
    runtime_config: Object = field(default_factory=dict)
    description: str = ""
    pipeline_id: str = ""
    version_id: str = ""
    spec: str = ""
    service_account: str = ""
    max_concurrency: int = 1
    status: str = ENABLED
    no_catchup: bool = False
    error: str = ""
    due_ms: int | None = None
    last_ms: int | None = None

    def shown(self, document: Object | None = None) -> Object:
        """`document` is what `spec` is the digest of."""
        return {
            "recurring_run_id": self.id,
            "display_name": self.name,
            "experiment_id": self.experiment_id,
            "namespace": self.namespace,
            "created_at": shown_time(self.created_ms),
            "updated_at": shown_time(self.updated_ms),
            "max_concurrency": str(self.max_concurrency),
            "mode": "ENABLE" if self.status == ENABLED else "DISABLE",
            "status": self.status,
            "no_catchup": self.no_catchup,
            "trigger": self.trigger,
            "runtime_config": {name: each for name, each in self.runtime_config.items() if name != "plugins_input"},
            **_given(plugins_input=self.runtime_config.get("plugins_input")),
            **_given(description=self.description, service_account=self.service_account),
            **({"error": {"code": 9, "message": self.error, "details": []}} if self.error else {}),
            **self._source(document),
        }

    def _source(self, document: Object | None) -> Object:
        if self.version_id or self.pipeline_id:
            reference = _given(pipeline_id=self.pipeline_id, pipeline_version_id=self.version_id)
            return {"pipeline_version_reference": reference}
        return {"pipeline_spec": document}


def _given(**named: Any) -> Object:
    return {name: value for name, value in named.items() if value}
