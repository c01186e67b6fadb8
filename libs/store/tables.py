"""The store's own tables as SQLModel classes; a service adds its own and writes none of these through a session."""

from sqlalchemy import BigInteger, Column, Index, Integer, Text, text
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

# Names sort by code point in SQLite; the "C" collation makes PostgreSQL page through a list in the same order.
Key: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")

# In SQLite only INTEGER makes the key the row id itself; a BIGINT key would need a second tree.
Seq: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


class Object(SQLModel, table=True):
    """The present state of every object."""

    __tablename__ = "objects"

    resource: str = Field(sa_column=Column(Key, primary_key=True))
    namespace: str = Field(sa_column=Column(Key, primary_key=True))
    name: str = Field(sa_column=Column(Key, primary_key=True))
    uid: str = Field(sa_column=Column(Text, nullable=False))
    rv: int = Field(sa_column=Column(BigInteger, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))


class ChangeRow(SQLModel, table=True):
    """The change log: what watches replay and what the relay says. `seq` is given by the unit of work, without gaps."""

    __tablename__ = "changes"
    __table_args__ = (
        Index(
            "changes_unsaid",
            "seq",
            sqlite_where=text("letter IS NOT NULL AND said_at IS NULL"),
            postgresql_where=text("letter IS NOT NULL AND said_at IS NULL"),
        ),
    )

    seq: int = Field(sa_column=Column(Seq, primary_key=True, autoincrement=False))
    at: str = Field(sa_column=Column(Text, nullable=False))
    op: str = Field(sa_column=Column(Text, nullable=False))
    resource: str = Field(sa_column=Column(Text, nullable=False))
    namespace: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    body: str | None = Field(default=None, sa_column=Column(Text))
    prev: str | None = Field(default=None, sa_column=Column(Text))
    subject: str | None = Field(default=None, sa_column=Column(Text))
    letter: str | None = Field(default=None, sa_column=Column(Text))
    said_at: str | None = Field(default=None, sa_column=Column(Text))


class Inbox(SQLModel, table=True):
    """Letters that a consumer has already acted on."""

    __tablename__ = "inbox"

    consumer: str = Field(sa_column=Column(Key, primary_key=True))
    event_id: str = Field(sa_column=Column(Key, primary_key=True))
    at: str = Field(sa_column=Column(Key, nullable=False, index=True))


class LeaseRow(SQLModel, table=True):
    """Who leads what, until when."""

    __tablename__ = "leases"

    name: str = Field(sa_column=Column(Key, primary_key=True))
    holder: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: str = Field(sa_column=Column(Key, nullable=False))
    generation: int = Field(sa_column=Column(BigInteger, nullable=False))


class Meta(SQLModel, table=True):
    """Small facts about the store itself."""

    __tablename__ = "meta"

    key: str = Field(sa_column=Column(Key, primary_key=True))
    value: str = Field(sa_column=Column(Text, nullable=False))
