"""TrainJobs and jobs of other kinds, as the trainer tells of them: who started them, what they read and made."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0006"
down_revision = "pipelines_0005"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pipeline_jobs",
        sa.Column("uid", KEY, primary_key=True),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("task_uid", KEY, nullable=False),
        sa.Column("dataset_uri", KEY, nullable=False),
        sa.Column("model_uri", KEY, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("ended", KEY, nullable=False),
        sa.Column("gone", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    for column in ("task_uid", "dataset_uri", "model_uri"):
        op.create_index(f"pipeline_jobs_{column}", "pipeline_jobs", ["namespace", column])
