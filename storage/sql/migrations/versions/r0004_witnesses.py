"""What confirms whose an imported unit is, and into whose chart it went; grants that have not ended, by patient."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables, empty (what older programs imported has neither), and the index."""
    op.create_table(
        "unit_homes",
        sa.Column("hospital", sa.Text(), primary_key=True, nullable=False),
        sa.Column("hash", sa.LargeBinary(), primary_key=True, nullable=False),
        sa.Column("patient", sa.Text(), primary_key=True, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("unit_homes_of_patient", "unit_homes", ["patient"])
    op.create_table(
        "witnesses",
        sa.Column("patient", sa.Text(), primary_key=True, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("traits", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    live = sa.text("active AND (uses = 0 OR used < uses)")
    op.create_index(
        "grants_live", "grants", ["patient", "end"], sqlite_where=live, postgresql_where=live
    )
