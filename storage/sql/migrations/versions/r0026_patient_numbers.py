"""Mobile numbers that patients state, and inquiries."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; people fill them."""
    op.create_table(
        "patient_numbers",
        sa.Column("patient", sa.Text(), primary_key=True, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("patient_numbers_by_hash", "patient_numbers", ["hash", "patient"])
    op.create_table(
        "inquiries",
        *(
            sa.Column(name, kind, primary_key=True, nullable=False)
            for name, kind in (
                ("hash", sa.LargeBinary()),
                ("asker", sa.Text()),
                ("role", sa.Text()),
                ("hospital", sa.Text()),
            )
        ),
        sa.Column("inquiry", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("inquiries_until", "inquiries", ["until"])
