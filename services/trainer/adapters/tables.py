"""The trainer's tables as SQLModel classes, beside the objects that libs.resources keeps."""

from typing import Any

from sqlalchemy import JSON, Column, Text
from sqlmodel import Field, SQLModel


class RuntimeSnapshotRow(SQLModel, table=True):
    """The runtime that one job runs by, whatever became of the runtime since."""

    __tablename__ = "trainer_runtime_snapshots"

    job_uid: str = Field(sa_column=Column(Text, primary_key=True))
    runtime: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
