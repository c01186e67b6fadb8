"""The scheduler's table as a SQLModel class."""

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel


class OverRow(SQLModel, table=True):
    """The uid of an owner that is no more, and when that was told (RFC 3339)."""

    __tablename__ = "scheduler_over"

    uid: str = Field(sa_column=Column(Text, primary_key=True))
    at: str = Field(sa_column=Column(Text, nullable=False, index=True))
