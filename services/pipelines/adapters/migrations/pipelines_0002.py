"""Runs: their tasks, artifacts with lineage, the cache, and what the conductor is wished to do."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0002"
down_revision = "pipelines_0001"
branch_labels = None
depends_on = None

# SQLite counts up only in INTEGER columns.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Pages by name go by code point in every database.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _runs()
    _tasks()
    _artifacts()
    _lineage()
    _cache()
    _wishes()


def _runs() -> None:
    op.create_table(
        "pipeline_runs",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("experiment_id", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("pipeline_name", KEY, nullable=False),
        sa.Column("pipeline_id", KEY, nullable=False),
        sa.Column("version_id", KEY, nullable=False),
        sa.Column("recurring_run_id", KEY, nullable=False),
        sa.Column("spec", KEY, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("root", sa.Text, nullable=False),
        sa.Column("service_account", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("storage_state", KEY, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("history", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("scheduled_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_ms", sa.BigInteger),
    )
    op.create_index("pipeline_runs_listed", "pipeline_runs", ["namespace", "created_ms", "id"])
    op.create_index("pipeline_runs_experiment", "pipeline_runs", ["experiment_id", "created_ms", "id"])
    op.create_index("pipeline_runs_recurring", "pipeline_runs", ["recurring_run_id", "state"])
    op.create_index("pipeline_runs_state", "pipeline_runs", ["state"])
    op.create_index("pipeline_runs_spec", "pipeline_runs", ["spec"])


def _tasks() -> None:
    op.create_table(
        "pipeline_tasks",
        sa.Column("uid", KEY, primary_key=True),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("path", KEY, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("cache", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("run_id", "path"),
    )
    op.create_index("pipeline_tasks_of_run", "pipeline_tasks", ["run_id", "number"])


def _artifacts() -> None:
    op.create_table(
        "pipeline_artifacts",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("task_uid", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("uri", KEY, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("pipeline_artifacts_run", "pipeline_artifacts", ["run_id"])
    op.create_index("pipeline_artifacts_listed", "pipeline_artifacts", ["namespace", "created_ms", "id"])
    op.create_index("pipeline_artifacts_uri", "pipeline_artifacts", ["namespace", "uri"])
    op.create_index("pipeline_artifacts_digest", "pipeline_artifacts", ["namespace", "digest"])


def _lineage() -> None:
    op.create_table(
        "pipeline_lineage",
        sa.Column("task_uid", KEY, primary_key=True),
        sa.Column("way", KEY, primary_key=True),
        sa.Column("name", KEY, primary_key=True),
        sa.Column("artifact_id", KEY, primary_key=True),
        sa.Column("run_id", KEY, nullable=False),
    )
    op.create_index("pipeline_lineage_artifact", "pipeline_lineage", ["artifact_id"])
    op.create_index("pipeline_lineage_run", "pipeline_lineage", ["run_id"])


def _cache() -> None:
    op.create_table(
        "pipeline_cache",
        sa.Column("namespace", KEY, primary_key=True),
        sa.Column("key", KEY, primary_key=True),
        sa.Column("pipeline", KEY, nullable=False),
        sa.Column("task", KEY, nullable=False),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("task_uid", KEY, nullable=False),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("parts", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("pipeline_cache_task", "pipeline_cache", ["namespace", "pipeline", "task", "created_ms"])
    op.create_index("pipeline_cache_run", "pipeline_cache", ["run_id"])


def _wishes() -> None:
    op.create_table(
        "pipeline_wishes",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("run_id", KEY, nullable=False),
        sa.Column("wish", KEY, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
