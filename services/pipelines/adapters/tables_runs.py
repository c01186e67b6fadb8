"""The tables that lists of runs and artifacts are read from; the others (`migrations/`) are written and read by
statements alone.

Times are milliseconds since the epoch; `""` stands for what was not given. Bodies are JSON for their writer alone.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Text
from sqlmodel import Field, SQLModel

from libs.store import Key


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
