"""The catalog's tables: compiled pipelines by their digest, pipelines and versions, experiments, recurring runs.

Times are milliseconds since the epoch; `""` stands for what was not given, as in the messages of the API.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from libs.store import Key


class SpecRow(SQLModel, table=True):
    """A compiled pipeline with its platform document, kept once however many versions and runs use it."""

    __tablename__ = "pipeline_specs"

    digest: str = Field(sa_column=Column(Key, primary_key=True))
    body: str = Field(sa_column=Column(Text, nullable=False))


class PipelineRow(SQLModel, table=True):
    """A name under which versions are kept."""

    __tablename__ = "pipelines"
    __table_args__ = (UniqueConstraint("namespace", "name"),)

    id: str = Field(sa_column=Column(Key, primary_key=True))
    namespace: str = Field(sa_column=Column(Key, nullable=False))
    name: str = Field(sa_column=Column(Key, nullable=False))
    display_name: str = Field(sa_column=Column(Key, nullable=False))
    description: str = Field(sa_column=Column(Text, nullable=False))
    tags: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


class VersionRow(SQLModel, table=True):
    """`spec` is the digest of what was uploaded."""

    __tablename__ = "pipeline_versions"
    __table_args__ = (UniqueConstraint("pipeline_id", "name"), Index("pipeline_versions_spec", "spec"))

    id: str = Field(sa_column=Column(Key, primary_key=True))
    pipeline_id: str = Field(sa_column=Column(Key, nullable=False))
    name: str = Field(sa_column=Column(Key, nullable=False))
    display_name: str = Field(sa_column=Column(Key, nullable=False))
    description: str = Field(sa_column=Column(Text, nullable=False))
    tags: str = Field(sa_column=Column(Text, nullable=False))
    code_source_url: str = Field(sa_column=Column(Text, nullable=False))
    package_url: str = Field(sa_column=Column(Text, nullable=False))
    spec: str = Field(sa_column=Column(Key, nullable=False))
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


class ExperimentRow(SQLModel, table=True):
    """`last_run_ms` is 0 until the first run."""

    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("namespace", "name"),)

    id: str = Field(sa_column=Column(Key, primary_key=True))
    namespace: str = Field(sa_column=Column(Key, nullable=False))
    name: str = Field(sa_column=Column(Key, nullable=False))
    description: str = Field(sa_column=Column(Text, nullable=False))
    storage_state: str = Field(sa_column=Column(Key, nullable=False))
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_run_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


class RecurringRunRow(SQLModel, table=True):
    """`due_ms` is when it next starts a run, None while it is disabled or over; `spec` is empty where a version is
    referred to. `last_ms` is the moment of its schedule for which it last started one."""

    __tablename__ = "recurring_runs"
    __table_args__ = (
        Index("recurring_runs_due", "due_ms"),
        Index("recurring_runs_listed", "namespace", "created_ms", "id"),
        Index("recurring_runs_spec", "spec"),
    )

    id: str = Field(sa_column=Column(Key, primary_key=True))
    namespace: str = Field(sa_column=Column(Key, nullable=False))
    experiment_id: str = Field(sa_column=Column(Key, nullable=False))
    name: str = Field(sa_column=Column(Key, nullable=False))
    description: str = Field(sa_column=Column(Text, nullable=False))
    pipeline_id: str = Field(sa_column=Column(Key, nullable=False))
    version_id: str = Field(sa_column=Column(Key, nullable=False))
    spec: str = Field(sa_column=Column(Key, nullable=False))
    runtime_config: str = Field(sa_column=Column(Text, nullable=False))
    service_account: str = Field(sa_column=Column(Text, nullable=False))
    max_concurrency: int = Field(sa_column=Column(BigInteger, nullable=False))
    trigger: str = Field(sa_column=Column(Text, nullable=False))
    status: str = Field(sa_column=Column(Key, nullable=False))
    no_catchup: bool = Field(sa_column=Column(Boolean, nullable=False))
    error: str = Field(sa_column=Column(Text, nullable=False))
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    due_ms: int | None = Field(default=None, sa_column=Column(BigInteger))
    last_ms: int | None = Field(default=None, sa_column=Column(BigInteger))
