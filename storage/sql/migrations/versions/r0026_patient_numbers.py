"""Mobile numbers that patients state."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; people fill it."""
    op.create_table(
        "patient_numbers",
        sa.Column("patient", sa.Text(), primary_key=True, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("patient_numbers_by_hash", "patient_numbers", ["hash", "patient"])
