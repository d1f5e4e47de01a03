"""Links that were mailed to replace a forgotten password."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reset_links",
        sa.Column("hash", sa.LargeBinary(), primary_key=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("ending", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("reset_links_of_account", "reset_links", ["account"])
