"""Applications of hospitals and doctors; of members, profession and suspension.

The table of members holds nothing but what the log tells: it is made anew, empty, and `storage.sql.views` fills it
in the same transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make members anew, and the two tables of applications."""
    op.drop_table("members")
    _table("members", "account role hospital",
           account=sa.Text, role=sa.Text, hospital=sa.Text, seq=sa.BigInteger, active=sa.Boolean,
           start=sa.BigInteger, end=sa.BigInteger, profession=sa.Text, suspended=sa.Boolean)  # fmt: skip
    _table("hospital_applications", "hospital",
           hospital=sa.Text, account=sa.Text, seq=sa.BigInteger, state=sa.Text, decided=sa.BigInteger,
           reason=sa.Text)  # fmt: skip
    _table("doctor_applications", "account hospital",
           account=sa.Text, hospital=sa.Text, seq=sa.BigInteger, application=sa.Text, profession=sa.Text,
           state=sa.Text, decided=sa.BigInteger, reason=sa.Text)  # fmt: skip
    op.create_index("members_of_hospital", "members", ["hospital"])
    op.create_index("hospital_applications_of_account", "hospital_applications", ["account"])
    op.create_index("doctor_applications_of_hospital", "doctor_applications", ["hospital"])


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
