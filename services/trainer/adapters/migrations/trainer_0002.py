"""The archive: jobs, pods, logs, events and figures that outlive what they tell of."""

import sqlalchemy as sa
from alembic import op

revision = "trainer_0002"
down_revision = "trainer_0001"
branch_labels = None
depends_on = None

# Pages by name and keys go by code point in every database.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "archive_jobs",
        sa.Column("uid", KEY, primary_key=True),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("resource", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("finished_at", KEY),
        sa.Column("deleted_at", KEY),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("archive_jobs_named", "archive_jobs", ["namespace", "name"])
    op.create_index("archive_jobs_deleted", "archive_jobs", ["deleted_at"])
    op.create_table(
        "archive_pods",
        sa.Column("uid", KEY, primary_key=True),
        sa.Column("job_uid", KEY, nullable=False),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("gone_at", KEY),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("archive_pods_of_job", "archive_pods", ["job_uid"])
    op.create_index("archive_pods_named", "archive_pods", ["namespace", "name"])
    op.create_table(
        "archive_logs",
        sa.Column("pod_uid", KEY, primary_key=True),
        sa.Column("container", KEY, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("job_uid", KEY, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("is_whole", sa.Integer, nullable=False),
        sa.Column("book", sa.Text, nullable=False),
        sa.Column("pending", sa.LargeBinary, nullable=False),
    )
    op.create_index("archive_logs_of_job", "archive_logs", ["job_uid"])
    op.create_table(
        "archive_bodies",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "archive_events",
        sa.Column("uid", KEY, primary_key=True),
        sa.Column("job_uid", KEY, nullable=False),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("last_at", KEY, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("archive_events_of_job", "archive_events", ["job_uid"])
    op.create_index("archive_events_latest", "archive_events", ["namespace", "last_at"])
    op.create_table(
        "archive_figures",
        sa.Column("job_uid", KEY, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text, nullable=False),
    )
