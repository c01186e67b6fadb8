"""The tables of runs: runs, tasks, artifacts with their lineage, the cache, places in queues, why steps wait, and what
the conductor is wished to do.

Times are milliseconds since the epoch; `""` stands for what was not given. Bodies are JSON for their writer alone.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from libs.store import Key

BigId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only in INTEGER columns


class RunRow(SQLModel, table=True):
    """`spec` is the digest of the compiled pipeline; `history` is a list of [ms, state]."""

    __tablename__ = "pipeline_runs"
    __table_args__ = (
        Index("pipeline_runs_listed", "namespace", "created_ms", "id"),
        Index("pipeline_runs_experiment", "experiment_id", "created_ms", "id"),
        Index("pipeline_runs_recurring", "recurring_run_id", "state"),
        Index("pipeline_runs_state", "state"),
        Index("pipeline_runs_spec", "spec"),
    )

    id: str = Field(sa_column=Column(Key, primary_key=True))
    namespace: str = Field(sa_column=Column(Key, nullable=False))
    experiment_id: str = Field(sa_column=Column(Key, nullable=False))
    name: str = Field(sa_column=Column(Key, nullable=False))
    description: str = Field(sa_column=Column(Text, nullable=False))
    pipeline_name: str = Field(sa_column=Column(Key, nullable=False))
    pipeline_id: str = Field(sa_column=Column(Key, nullable=False))
    version_id: str = Field(sa_column=Column(Key, nullable=False))
    recurring_run_id: str = Field(sa_column=Column(Key, nullable=False))
    spec: str = Field(sa_column=Column(Key, nullable=False))
    parameters: str = Field(sa_column=Column(Text, nullable=False))
    root: str = Field(sa_column=Column(Text, nullable=False))
    service_account: str = Field(sa_column=Column(Text, nullable=False))
    options: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(Key, nullable=False))
    storage_state: str = Field(sa_column=Column(Key, nullable=False))
    error: str = Field(sa_column=Column(Text, nullable=False))
    history: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    scheduled_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    finished_ms: int | None = Field(default=None, sa_column=Column(BigInteger))


class TaskRow(SQLModel, table=True):
    """`body` is the engine's record of the task; the columns beside it are for who looks a task up. `cache` says why
    its outputs were taken from the cache, or why not. `version` grows within a run with every change of any of its
    tasks, so that who has seen some asks for the later ones; 0 is of a release that did not number them."""

    __tablename__ = "pipeline_tasks"
    __table_args__ = (
        UniqueConstraint("run_id", "path"),
        Index("pipeline_tasks_of_run", "run_id", "number"),
        Index("pipeline_tasks_changed", "run_id", "version", "number"),
    )

    uid: str = Field(sa_column=Column(Key, primary_key=True))
    run_id: str = Field(sa_column=Column(Key, nullable=False))
    path: str = Field(sa_column=Column(Key, nullable=False))
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str = Field(sa_column=Column(Key, nullable=False))
    attempt: int = Field(sa_column=Column(BigInteger, nullable=False))
    cache: str = Field(sa_column=Column(Text, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))
    version: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))


class ArtifactRow(SQLModel, table=True):
    """One artifact of one attempt, or one that was imported."""

    __tablename__ = "pipeline_artifacts"
    __table_args__ = (
        Index("pipeline_artifacts_run", "run_id"),
        Index("pipeline_artifacts_listed", "namespace", "created_ms", "id"),
        Index("pipeline_artifacts_uri", "namespace", "uri"),
        Index("pipeline_artifacts_digest", "namespace", "digest"),
    )

    id: str = Field(sa_column=Column(Key, primary_key=True))
    namespace: str = Field(sa_column=Column(Key, nullable=False))
    run_id: str = Field(sa_column=Column(Key, nullable=False))
    task_uid: str = Field(sa_column=Column(Key, nullable=False))
    name: str = Field(sa_column=Column(Key, nullable=False))
    kind: str = Field(sa_column=Column(Key, nullable=False))
    uri: str = Field(sa_column=Column(Key, nullable=False))
    digest: str = Field(sa_column=Column(Key, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    metadata_json: str = Field(sa_column=Column("metadata", Text, nullable=False))
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


class LineageRow(SQLModel, table=True):
    """That a task read an artifact (`way` is in) or wrote it (out), under which name."""

    __tablename__ = "pipeline_lineage"
    __table_args__ = (Index("pipeline_lineage_artifact", "artifact_id"), Index("pipeline_lineage_run", "run_id"))

    task_uid: str = Field(sa_column=Column(Key, primary_key=True))
    way: str = Field(sa_column=Column(Key, primary_key=True))
    name: str = Field(sa_column=Column(Key, primary_key=True))
    artifact_id: str = Field(sa_column=Column(Key, primary_key=True))
    run_id: str = Field(sa_column=Column(Key, nullable=False))


class CacheRow(SQLModel, table=True):
    """What a step with this fingerprint came to; `parts` is what the fingerprint was made of, to explain a miss."""

    __tablename__ = "pipeline_cache"
    __table_args__ = (
        Index("pipeline_cache_task", "namespace", "pipeline", "task", "created_ms"),
        Index("pipeline_cache_run", "run_id"),
    )

    namespace: str = Field(sa_column=Column(Key, primary_key=True))
    key: str = Field(sa_column=Column(Key, primary_key=True))
    pipeline: str = Field(sa_column=Column(Key, nullable=False))
    task: str = Field(sa_column=Column(Key, nullable=False))
    run_id: str = Field(sa_column=Column(Key, nullable=False))
    task_uid: str = Field(sa_column=Column(Key, nullable=False))
    outputs: str = Field(sa_column=Column(Text, nullable=False))
    parts: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


class WishRow(SQLModel, table=True):
    """What the replica that leads shall do about a run; gone in the transaction in which it is done."""

    __tablename__ = "pipeline_wishes"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    run_id: str = Field(sa_column=Column(Key, nullable=False))
    wish: str = Field(sa_column=Column(Key, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))


class SeatRow(SQLModel, table=True):
    """A step's place in a queue, from the start of its attempt until its last pod is gone (domain.queued)."""

    __tablename__ = "pipeline_seats"

    uid: str = Field(sa_column=Column(Key, primary_key=True))
    run_id: str = Field(sa_column=Column(Key, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))


class WaitRow(SQLModel, table=True):
    """Why a step's attempt has no running pod yet."""

    __tablename__ = "pipeline_waits"
    __table_args__ = (Index("pipeline_waits_run", "run_id"),)

    task_uid: str = Field(sa_column=Column(Key, primary_key=True))
    run_id: str = Field(sa_column=Column(Key, nullable=False))
    attempt: int = Field(sa_column=Column(BigInteger, nullable=False))
    message: str = Field(sa_column=Column(Text, nullable=False))
