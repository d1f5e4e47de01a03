"""Referrals."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the log fills it."""
    texts = ("referral", "patient", "receiver", "sender", "author", "key")
    op.create_table(
        "referrals",
        *(_column(name, sa.Text()) for name in texts),
        _column("seq", sa.BigInteger()),
        _column("lines", sa.Text()),
        *(_column(name, sa.BigInteger()) for name in ("accepted", "declined")),
        sqlite_with_rowid=False,
    )
    op.create_index("referrals_of_patient", "referrals", ["patient"])
    op.create_index("referrals_to_hospital", "referrals", ["receiver"])


def _column(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=name == "referral", nullable=False)
