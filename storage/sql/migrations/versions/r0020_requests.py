"""Requests for access."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_NUMBERS = frozenset({"seq", "until", "days", "forwarded", "answered"})


def upgrade() -> None:
    """Make the table; the log fills it."""
    names = (
        "request", "patient", "asker", "role", "hospital", "addressee", "seq", "until", "purpose", "days", "actions", "scope",
        "records", "what", "sensitive", "forwarded", "answered", "verdict", "grant",
    )  # fmt: skip
    op.create_table("access_requests", *(_column(name) for name in names), sqlite_with_rowid=False)
    op.create_index("access_requests_of_patient", "access_requests", ["patient"])
    op.create_index("access_requests_of_asker", "access_requests", ["asker"])
    op.create_index("access_requests_to_hospital", "access_requests", ["addressee"])


def _column(name: str) -> sa.Column[object]:
    kind = sa.BigInteger if name in _NUMBERS else sa.Boolean if name == "sensitive" else sa.Text
    return sa.Column(name, kind(), primary_key=name == "request", nullable=False)
