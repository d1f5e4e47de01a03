"""The log's keys by generation."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; `upgrade` fills it from the log."""
    op.create_table(
        "log_keys",
        sa.Column("event", sa.Text(), primary_key=True, nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("retired", sa.BigInteger(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
