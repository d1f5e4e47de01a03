"""Charts that wait to be claimed, and those that were.

The table holds nothing but what the log tells: it is made anew, empty, and `storage.sql.views` fills it in the same
transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of patients anew."""
    op.drop_table("patients")
    op.create_table(
        "patients",
        sa.Column("patient", sa.Text(), primary_key=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("hospital", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("teen_from", sa.BigInteger(), nullable=False),
        sa.Column("adult_from", sa.BigInteger(), nullable=False),
        sa.Column("deceased", sa.BigInteger(), nullable=False),
        sa.Column("offered", sa.BigInteger(), nullable=False),
        sa.Column("offerer", sa.Text(), nullable=False),
        sa.Column("claim", sa.LargeBinary(), nullable=False),
        sa.Column("claimed", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("patients_of_account", "patients", ["account"])
