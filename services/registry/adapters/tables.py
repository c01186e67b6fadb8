"""The registry's one table: models, versions and artifacts differ in their fields, not in how they are found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from libs.store import Key

BigId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only in INTEGER columns


class RecordRow(SQLModel, table=True):
    """`parent` is 0 where there is none, because NULLs would not be unique. Times in ms since the epoch."""

    __tablename__ = "registry_records"
    __table_args__ = (
        UniqueConstraint("family", "parent", "name"),
        UniqueConstraint("family", "external_id"),
        {"sqlite_autoincrement": True},  # an id is never given twice
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    family: str = Field(sa_column=Column(Key, nullable=False))
    parent: int = Field(sa_column=Column(BigInteger, nullable=False))
    name: str = Field(sa_column=Column(Key, nullable=False))
    external_id: str | None = Field(default=None, sa_column=Column(Text))
    artifact_type: str | None = Field(default=None, sa_column=Column(Text))
    fields: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    job_uid: str | None = Field(default=None, sa_column=Column(Key, unique=True))
    announced: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
