"""Of grants, who gave them on the patient's behalf; of holds, whether they are against the patient.

The tables hold nothing but what the log tells: they are made anew, empty, and `storage.sql.views` fills them in the same
transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables anew."""
    for table in ("grants", "holds"):
        op.drop_table(table)
    _table("grants", "patient grantee lineage",
           patient=sa.Text, grantee=sa.Text, lineage=sa.Text, grant=sa.Text, seq=sa.BigInteger, active=sa.Boolean,
           scope=sa.Text, records=sa.Text, actions=sa.Text, purposes=sa.Text, labels=sa.Text,
           sensitive=sa.Boolean, start=sa.BigInteger, end=sa.BigInteger, uses=sa.BigInteger,
           used=sa.BigInteger, what=sa.Text, exceptions=sa.Text, by=sa.Text)  # fmt: skip
    _table("holds", "hold",
           hold=sa.Text, patient=sa.Text, record=sa.Text, kind=sa.Text, hospital=sa.Text, against=sa.Text,
           of_patient=sa.Boolean, reason=sa.Text, seq=sa.BigInteger, end=sa.BigInteger,
           lifted=sa.BigInteger)  # fmt: skip
    live = sa.text("active AND (uses = 0 OR used < uses)")
    op.create_index(
        "grants_live", "grants", ["patient", "end"], sqlite_where=live, postgresql_where=live
    )
    op.create_index("holds_of_patient", "holds", ["patient"])


def _table(name: str, key: str, /, **columns: type) -> None:
    """A table whose key is made of the columns named in `key`; no column is ever empty."""
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
