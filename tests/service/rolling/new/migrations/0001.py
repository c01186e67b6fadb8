"""The table of notes."""

import sqlalchemy as sa
from alembic import op

revision = "note_0001"
down_revision = None
branch_labels = ("note",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notes", sa.Column("uid", sa.Text, primary_key=True), sa.Column("written_by", sa.Text, nullable=False)
    )
