"""Contact data, and the outbox of what people are told."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _table(name: str, key: str, **columns: Any) -> None:
    op.create_table(
        name,
        *(sa.Column(c, t(), primary_key=c == key, nullable=False) for c, t in columns.items()),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    """Make the tables."""
    _table("contacts", "account", account=sa.Text, sealed=sa.LargeBinary, proved_at=sa.BigInteger)
    _table(
        "contact_proofs", "code", code=sa.LargeBinary, account=sa.Text, sealed=sa.LargeBinary,
        address=sa.LargeBinary, ending=sa.BigInteger, given_by=sa.Text,
    )  # fmt: skip
    op.create_index("contact_proofs_of_account", "contact_proofs", ["account"])
    _table(
        "outbox", "id", id=sa.Text, account=sa.Text, kind=sa.Text, params=sa.Text, sealed=sa.LargeBinary,
        address=sa.LargeBinary, created=sa.BigInteger, tries=sa.Integer, next_try=sa.BigInteger, outcome=sa.Text,
        ended=sa.BigInteger,
    )  # fmt: skip
    waiting = sa.text("outcome = ''")
    op.create_index(
        "outbox_waiting", "outbox", ["next_try"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_index("outbox_ended", "outbox", ["ended"])
    op.create_index("outbox_of_account", "outbox", ["account"])
    elsewhere = sa.text("length(address) > 0")
    op.create_index(
        "outbox_elsewhere",
        "outbox",
        ["address"],
        sqlite_where=elsewhere,
        postgresql_where=elsewhere,
    )
    _table("told_once", "what", what=sa.Text)
