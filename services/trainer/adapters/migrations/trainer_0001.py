"""The runtime of every job as it was when the job was first looked at."""

import sqlalchemy as sa
from alembic import op

revision = "trainer_0001"
down_revision = None
branch_labels = ("trainer",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trainer_runtime_snapshots",
        sa.Column("job_uid", sa.Text, primary_key=True),
        sa.Column("runtime", sa.JSON, nullable=False),
    )
