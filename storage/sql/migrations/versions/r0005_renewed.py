"""Which version of a subject's KEK the key table takes, and its rows by subject: keys are renewed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, empty (no key was renewed before), and both indexes."""
    op.create_table(
        "kek_floors",
        sa.Column("subject", sa.Text(), primary_key=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("object_keys_of_subject", "object_keys", ["subject"])
    op.create_index("blob_keys_of_patient", "blob_keys", ["patient"])
