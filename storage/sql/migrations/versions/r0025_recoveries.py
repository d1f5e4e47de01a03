"""Recoveries that were revoked by what an account's owner signs in by."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the log fills it."""
    op.create_table(
        "recoveries_revoked",
        sa.Column("account", sa.Text(), primary_key=True, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
