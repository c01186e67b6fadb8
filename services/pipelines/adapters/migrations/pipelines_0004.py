"""Model versions and endpoints that stand for what runs have made, as the registry and serving tell of them."""

import sqlalchemy as sa
from alembic import op

revision = "pipelines_0004"
down_revision = "pipelines_0003"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pipeline_releases",
        sa.Column("kind", KEY, primary_key=True),
        sa.Column("id", KEY, primary_key=True),
        sa.Column("revision", KEY, primary_key=True),
        sa.Column("namespace", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("uri", KEY, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("pipeline_releases_uri", "pipeline_releases", ["uri"])
    op.create_index("pipeline_releases_name", "pipeline_releases", ["kind", "name"])
