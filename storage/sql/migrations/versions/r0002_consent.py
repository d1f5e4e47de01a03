"""Groups, exclusions, policies; what partial grants and hidden records need.

The tables that change hold nothing but what the log tells: they are made anew, empty, and `storage.sql.views`
fills them in the same transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the changed tables anew and the new ones."""
    for table in ("grants", "patients", "records"):
        op.drop_table(table)
    _table(
        "exclusions",
        "patient reader",
        patient=sa.Text,
        reader=sa.Text,
        seq=sa.BigInteger,
        active=sa.Boolean,
    )
    _table("grants", "patient grantee lineage",
           patient=sa.Text, grantee=sa.Text, lineage=sa.Text, grant=sa.Text, seq=sa.BigInteger, active=sa.Boolean,
           scope=sa.Text, records=sa.Text, actions=sa.Text, purposes=sa.Text, labels=sa.Text,
           sensitive=sa.Boolean, start=sa.BigInteger, end=sa.BigInteger, uses=sa.BigInteger,
           used=sa.BigInteger, what=sa.Text, exceptions=sa.Text)  # fmt: skip
    _table(
        "group_members",
        "account group",
        account=sa.Text,
        group=sa.Text,
        seq=sa.BigInteger,
        active=sa.Boolean,
    )
    _table("groups", "group", group=sa.Text, hospital=sa.Text, seq=sa.BigInteger)
    _table("patients", "patient",
           patient=sa.Text, account=sa.Text, hospital=sa.Text, seq=sa.BigInteger, teen_from=sa.BigInteger,
           adult_from=sa.BigInteger, deceased=sa.BigInteger)  # fmt: skip
    _table(
        "policies",
        "event",
        event=sa.Text,
        log=sa.Text,
        seq=sa.BigInteger,
        since=sa.BigInteger,
        registry=sa.Text,
        body=sa.Text,
    )
    _table("records", "record",
           record=sa.Text, patient=sa.Text, seq=sa.BigInteger, author=sa.Text, hospital=sa.Text,
           category=sa.Text, clinical_date=sa.Text, confidentiality=sa.Text, episode=sa.Text, labels=sa.Text,
           sensitive=sa.Boolean, minor_private=sa.Boolean, state=sa.Text, state_seq=sa.BigInteger,
           versions=sa.Text, hidden=sa.BigInteger)  # fmt: skip
    op.create_index("groups_of_hospital", "groups", ["hospital"])
    op.create_index("members_of_group", "group_members", ["group"])
    op.create_index("members_of_hospital", "members", ["hospital"])
    op.create_index("patients_of_account", "patients", ["account"])
    op.create_index("records_by_entry", "records", ["seq"])


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
