"""Cosignatures of published checkpoints, and how far each witness is."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables, empty: an older log had no witnesses."""
    op.create_table(
        "cosignatures",
        sa.Column("size", sa.BigInteger(), primary_key=True, nullable=False, autoincrement=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "log_witnesses",
        sa.Column("witness", sa.Text(), primary_key=True, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
