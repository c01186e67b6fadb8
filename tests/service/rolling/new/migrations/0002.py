"""Notes have authors: a column that the old code does not know."""

import sqlalchemy as sa
from alembic import op

revision = "note_0002"
down_revision = "note_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notes", sa.Column("author", sa.Text))
