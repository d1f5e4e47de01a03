"""What imports brought, and patients' other names; both go with a patient."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of imported units, and find identifiers by their patient."""
    op.create_table(
        "imported",
        sa.Column("patient", sa.Text(), primary_key=True, nullable=False),
        sa.Column("hash", sa.LargeBinary(), primary_key=True, nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("identifiers_of_patient", "identifiers", ["patient"])
