"""Of patients, the charts that are linked with theirs.

The table holds nothing but what the log tells: it is made anew, empty, and `storage.sql.views` fills it in the same
transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make patients anew."""
    op.drop_table("patients")
    texts = ("account", "hospital")
    numbers = ("seq", "teen_from", "adult_from", "deceased", "offered")
    op.create_table(
        "patients",
        sa.Column("patient", sa.Text(), primary_key=True, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in numbers),
        sa.Column("offerer", sa.Text(), nullable=False),
        sa.Column("claim", sa.LargeBinary(), nullable=False),
        sa.Column("claimed", sa.BigInteger(), nullable=False),
        sa.Column("erased", sa.BigInteger(), nullable=False),
        sa.Column("links", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("patients_of_account", "patients", ["account"])
