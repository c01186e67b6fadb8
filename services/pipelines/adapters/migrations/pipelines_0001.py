"""The catalog: compiled pipelines by their digest, pipelines and their versions, experiments, recurring runs."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0001"
down_revision = None
branch_labels = ("pipelines",)
depends_on = None

# Pages by name go by code point in every database.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pipeline_specs",
        sa.Column("digest", KEY, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "pipelines",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("display_name", KEY, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("namespace", "name"),
    )
    op.create_table(
        "pipeline_versions",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("pipeline_id", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("display_name", KEY, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("code_source_url", sa.Text, nullable=False),
        sa.Column("package_url", sa.Text, nullable=False),
        sa.Column("spec", KEY, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("pipeline_id", "name"),
    )
    op.create_index("pipeline_versions_spec", "pipeline_versions", ["spec"])
    op.create_table(
        "experiments",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("storage_state", KEY, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("last_run_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("namespace", "name"),
    )
    _recurring_runs()


def _recurring_runs() -> None:
    op.create_table(
        "recurring_runs",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("experiment_id", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("pipeline_id", KEY, nullable=False),
        sa.Column("version_id", KEY, nullable=False),
        sa.Column("spec", KEY, nullable=False),
        sa.Column("runtime_config", sa.Text, nullable=False),
        sa.Column("service_account", sa.Text, nullable=False),
        sa.Column("max_concurrency", sa.BigInteger, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("status", KEY, nullable=False),
        sa.Column("no_catchup", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger),
        sa.Column("last_ms", sa.BigInteger),
    )
    op.create_index("recurring_runs_due", "recurring_runs", ["due_ms"])
    op.create_index("recurring_runs_listed", "recurring_runs", ["namespace", "created_ms", "id"])
    op.create_index("recurring_runs_spec", "recurring_runs", ["spec"])
