"""The place of each task in the order of changes to its run: who has seen some of them asks for the later ones."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0007"
down_revision = "pipelines_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pipeline_tasks", sa.Column("version", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("pipeline_tasks_changed", "pipeline_tasks", ["run_id", "version", "number"])
