"""Signing in by password: credentials, second factors, sessions, throttles."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, empty: nobody had a password before."""
    _table(
        "credentials",
        "account",
        account=sa.Text,
        password=sa.Text,
        version=sa.BigInteger,
        acts=sa.Integer,
        acts_since=sa.BigInteger,
    )
    _table(
        "factors",
        "account",
        account=sa.Text,
        seed=sa.LargeBinary,
        step=sa.BigInteger,
        since=sa.BigInteger,
        begun=sa.LargeBinary,
    )
    _table("recovery_codes", "account hash", account=sa.Text, hash=sa.LargeBinary)
    _table(
        "sessions", "session", session=sa.Text, token=sa.LargeBinary, account=sa.Text, role=sa.Text,
        hospital=sa.Text, assurance=sa.Integer, means=sa.Text, created=sa.BigInteger, used=sa.BigInteger,
        strong_until=sa.BigInteger, address=sa.LargeBinary,
    )  # fmt: skip
    op.create_index("sessions_by_token", "sessions", ["token"], unique=True)
    op.create_index("sessions_of_account", "sessions", ["account"])
    _table(
        "throttles", "kind name", kind=sa.Text, name=sa.LargeBinary, failures=sa.Integer,
        counted=sa.BigInteger, until=sa.BigInteger, locked=sa.Boolean,
    )  # fmt: skip
    _table("addresses", "hash", hash=sa.LargeBinary, account=sa.Text)
    op.create_index("addresses_of_account", "addresses", ["account"])


def _table(name: str, key: str, /, **columns: Any) -> None:
    keys = key.split()
    op.create_table(
        name,
        *(
            sa.Column(
                column, kind(), primary_key=column in keys, nullable=False, autoincrement=False
            )
            for column, kind in columns.items()
        ),
        sqlite_with_rowid=False,
    )
