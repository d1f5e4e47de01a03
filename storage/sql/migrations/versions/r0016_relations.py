"""Relatives, guardians and delegations."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "invitations",
        *_texts("patient", "invitation", key=True),
        _number("seq"),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        *map(_number, ("until", "closed")),
        *_terms(),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "relations",
        *_texts("patient", "account", "kind", key=True),
        _number("seq"),
        _flag("active"),
        *_texts("hospital"),
        *_terms(),
        *map(_number, ("confirmed", "objected")),
        sqlite_with_rowid=False,
    )
    op.create_index("relations_of_account", "relations", ["account"])
    op.create_table(
        "delegations",
        *_texts("hospital", "giver", "account", key=True),
        _number("seq"),
        _flag("active"),
        *_texts("actions"),
        *map(_number, ("start", "end")),
        sqlite_with_rowid=False,
    )
    op.create_index("delegations_of_giver", "delegations", ["giver"])
    op.create_index("delegations_to_account", "delegations", ["account"])


def _texts(*names: str, key: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), primary_key=key, nullable=False) for name in names]


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _terms() -> list[sa.Column[Any]]:
    """What a relative may do, with what, and from when until when."""
    return [
        *_texts("actions", "scope", "records", "labels"),
        _flag("sensitive"),
        *_texts("what", "exceptions"),
        *map(_number, ("start", "end")),
    ]
