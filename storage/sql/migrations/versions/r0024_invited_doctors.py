"""Doctors by invitation, and their public profiles."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the log fills the first, people the second."""
    op.create_table(
        "doctor_invitations",
        *(_column(name, sa.Text(), key=True) for name in ("hospital", "invitation")),
        _column("seq", sa.BigInteger()),
        _column("inviter", sa.Text()),
        _column("public", sa.LargeBinary()),
        _column("until", sa.BigInteger()),
        *(_column(name, sa.Text()) for name in ("profession", "group")),
        *(_column(name, sa.BigInteger()) for name in ("end", "closed")),
        _column("account", sa.Text()),
        sqlite_with_rowid=False,
    )
    op.create_index("doctor_invitations_of_account", "doctor_invitations", ["account"])
    op.create_table(
        "profiles",
        _column("account", sa.Text(), key=True),
        _column("sealed", sa.LargeBinary()),
        _column("changed", sa.BigInteger()),
        _column("author", sa.Text()),
        sqlite_with_rowid=False,
    )


def _column(name: str, kind: sa.types.TypeEngine[Any], key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=key, nullable=False)
