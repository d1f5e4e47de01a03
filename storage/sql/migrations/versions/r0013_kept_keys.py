"""Private keys that the service keeps for people, and the sign-ins that acts under them rest on.

`sign_ins` holds nothing but what the log tells: it is made empty, and `storage.sql.views` fills it in the same transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "kept_keys",
        sa.Column("key", sa.Text(), primary_key=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("kept_keys_of_account", "kept_keys", ["account"])
    op.create_table(
        "sign_ins",
        sa.Column("account", sa.Text(), primary_key=True, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sessions", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
