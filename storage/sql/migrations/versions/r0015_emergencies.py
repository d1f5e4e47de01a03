"""Emergencies and how far patients let doctors see in them, and disclosures that are told later."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables."""
    _table("emergency_settings", "patient", patient=sa.Text, seq=sa.BigInteger, ceiling=sa.Text)
    _table("emergencies", "emergency",
           emergency=sa.Text, patient=sa.Text, doctor=sa.Text, hospital=sa.Text, seq=sa.BigInteger,
           start=sa.BigInteger, end=sa.BigInteger, reason=sa.Text, due=sa.BigInteger, readings=sa.BigInteger,
           reviewed=sa.BigInteger, finding=sa.Text)  # fmt: skip
    _table("suspensions", "disclosure",
           disclosure=sa.Text, hospital=sa.Text, patient=sa.Text, seq=sa.BigInteger, until=sa.BigInteger,
           digest=sa.Text, told=sa.BigInteger)  # fmt: skip
    op.create_index("emergencies_of_patient", "emergencies", ["patient"])
    op.create_index("emergencies_of_hospital", "emergencies", ["hospital"])
    op.create_index("suspensions_of_hospital", "suspensions", ["hospital"])
    op.create_index("suspensions_until", "suspensions", ["until"])


def _table(name: str, key: str, /, **columns: type) -> None:
    """A table whose key is the column named in `key`; no column is ever empty."""
    op.create_table(
        name,
        *(
            sa.Column(
                column, kind(), primary_key=column == key, nullable=False, autoincrement=False
            )
            for column, kind in columns.items()
        ),
        sqlite_with_rowid=False,
    )
