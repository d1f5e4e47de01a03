"""Consultations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the log fills it."""
    texts = ("consultation", "patient", "hospital", "doctor")
    op.create_table(
        "consultations",
        *(_column(name, sa.Text()) for name in texts),
        _column("seq", sa.BigInteger()),
        _column("categories", sa.Text()),
        *(_column(name, sa.BigInteger()) for name in ("end", "confirmed", "closed", "withdrawn")),
        sqlite_with_rowid=False,
    )
    op.create_index("consultations_of_patient", "consultations", ["patient"])


def _column(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=name == "consultation", nullable=False)
