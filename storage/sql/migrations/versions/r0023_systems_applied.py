"""Of applications for hospitals, their system's account and key.

The table holds nothing but what the log tells: it is made anew, empty, and `storage.sql.views` fills it in the same
transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make applications for hospitals anew."""
    op.drop_table("hospital_applications")
    op.create_table(
        "hospital_applications",
        sa.Column("hospital", sa.Text(), primary_key=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("reason", "system", "key")),
        sqlite_with_rowid=False,
    )
    op.create_index("hospital_applications_of_account", "hospital_applications", ["account"])
