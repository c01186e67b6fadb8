"""The store's own tables: objects, change log, inbox, leases, meta."""

import sqlalchemy as sa
from alembic import op

revision = "store_0001"
down_revision = None
branch_labels = ("store",)
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# In SQLite only INTEGER makes the key the row id itself; a BIGINT key would need a second tree.
SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "objects",
        sa.Column("resource", KEY, primary_key=True),
        sa.Column("namespace", KEY, primary_key=True),
        sa.Column("name", KEY, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("rv", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("op", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("prev", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("letter", sa.Text),
        sa.Column("said_at", sa.Text),
    )
    unsaid = sa.text("letter IS NOT NULL AND said_at IS NULL")
    op.create_index("changes_unsaid", "changes", ["seq"], sqlite_where=unsaid, postgresql_where=unsaid)
    op.create_table(
        "inbox",
        sa.Column("consumer", KEY, primary_key=True),
        sa.Column("event_id", KEY, primary_key=True),
        sa.Column("at", KEY, nullable=False),
    )
    op.create_index("ix_inbox_at", "inbox", ["at"])
    op.create_table(
        "leases",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("expires_at", KEY, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("meta", "leases", "inbox", "changes", "objects"):
        op.drop_table(table)
