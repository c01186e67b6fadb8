"""The scheduler's table as a SQLModel class."""

from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel


class WorkloadRow(SQLModel, table=True):
    """One workload by uid; ended ones stay as tombstones, so that a late letter cannot bring them back."""

    __tablename__ = "scheduler_workloads"

    uid: str = Field(sa_column=Column(Text, primary_key=True))
    namespace: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    cpu_milli: int | None = Field(default=None, sa_column=Column(BigInteger))
    memory_bytes: int | None = Field(default=None, sa_column=Column(BigInteger))
    phase: str = Field(sa_column=Column(Text, nullable=False, index=True))
    generation: int = Field(sa_column=Column(BigInteger, nullable=False))
    arrival: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    told: str = Field(sa_column=Column(Text, nullable=False))
    waiting_since: str | None = Field(default=None, sa_column=Column(Text))
    """RFC 3339, while it waits; for figures alone."""
