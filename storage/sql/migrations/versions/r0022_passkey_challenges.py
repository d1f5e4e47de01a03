"""Challenges of passkeys, for all servers of one database."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "passkey_challenges",
        sa.Column("hash", sa.LargeBinary(), primary_key=True, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("ending", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("passkey_challenges_ending", "passkey_challenges", ["ending"])
