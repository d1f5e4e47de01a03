"""Holds and erasures; of patients, by which entry the chart is erased; of records, when they were written.

The tables hold nothing but what the log tells: those that change are made anew, empty, and `storage.sql.views` fills all
of them in the same transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make patients and records anew, and the two new tables."""
    for table in ("patients", "records"):
        op.drop_table(table)
    _table("patients", "patient",
           patient=sa.Text, account=sa.Text, hospital=sa.Text, seq=sa.BigInteger, teen_from=sa.BigInteger,
           adult_from=sa.BigInteger, deceased=sa.BigInteger, offered=sa.BigInteger, offerer=sa.Text,
           claim=sa.LargeBinary, claimed=sa.BigInteger, erased=sa.BigInteger)  # fmt: skip
    _table("records", "record",
           record=sa.Text, patient=sa.Text, seq=sa.BigInteger, author=sa.Text, hospital=sa.Text,
           category=sa.Text, clinical_date=sa.Text, confidentiality=sa.Text, episode=sa.Text, labels=sa.Text,
           sensitive=sa.Boolean, minor_private=sa.Boolean, state=sa.Text, state_seq=sa.BigInteger,
           versions=sa.Text, hidden=sa.BigInteger, written=sa.BigInteger)  # fmt: skip
    _table("holds", "hold",
           hold=sa.Text, patient=sa.Text, record=sa.Text, kind=sa.Text, hospital=sa.Text, against=sa.Text,
           reason=sa.Text, seq=sa.BigInteger, end=sa.BigInteger, lifted=sa.BigInteger)  # fmt: skip
    _table("erasures", "erasure",
           erasure=sa.Text, patient=sa.Text, record=sa.Text, seq=sa.BigInteger, due=sa.BigInteger, was=sa.Text,
           was_seq=sa.BigInteger, state=sa.Text, state_seq=sa.BigInteger, locked=sa.BigInteger,
           locked_until=sa.BigInteger)  # fmt: skip
    op.create_index("patients_of_account", "patients", ["account"])
    op.create_index("records_by_entry", "records", ["seq"])
    op.create_index("holds_of_patient", "holds", ["patient"])
    op.create_index("erasures_of_patient", "erasures", ["patient"])
    op.create_index("erasures_by_state", "erasures", ["state"])


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
