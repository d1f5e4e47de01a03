"""The tables, one schema for SQLite and PostgreSQL. Changes come as alembic migrations.

Streams are indexed by a small integer instead of their text id; ids with a time in them keep the
indexes of growing tables local.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData()


def _table(name: str, key: str, /, **columns: Any) -> Table:
    """A table whose key is made of the columns named in `key`; no column is ever empty."""
    keys = key.split()
    return Table(
        name,
        metadata,
        *(
            Column(c, t, primary_key=c in keys, nullable=False, autoincrement=False)
            for c, t in columns.items()
        ),
        sqlite_with_rowid=keys[0] in ("seq", "size"),
    )


head = _table(
    "head", "id", id=SmallInteger, origin=Text, size=BigInteger, tip=LargeBinary, root=LargeBinary,
    time=BigInteger, checkpoint=LargeBinary, streams=BigInteger, published=BigInteger,
    published_time=BigInteger, registry=LargeBinary,
)  # fmt: skip
"""One row: where the log ends. Its lock orders the batches of all processes."""
entries = _table(
    "entries", "seq", seq=BigInteger, stream=BigInteger, stream_seq=BigInteger, raw=LargeBinary
)
Index("entries_of_stream", entries.c.stream, entries.c.stream_seq, unique=True)
event_ids = _table("event_ids", "event", event=Text, seq=BigInteger)
streams = _table("streams", "name", name=Text, id=BigInteger)
"""The number of each stream; where it ends is told by its last entry."""
tiles = _table("tiles", "level number", level=SmallInteger, number=BigInteger, hashes=LargeBinary)
checkpoints = _table("checkpoints", "size", size=BigInteger, note=LargeBinary)
"""Published checkpoints, one a second at most, kept for ever."""

hospitals = _table(
    "hospitals", "hospital", hospital=Text, seq=BigInteger, active=Boolean, has_admin=Boolean
)
accounts = _table("accounts", "account", account=Text, seq=BigInteger, registrar=Text)
keys = _table(
    "keys", "key", key=Text, account=Text, public=LargeBinary, algorithm=Text, custody=Text,
    seq=BigInteger, counts_from=BigInteger, voucher=Text, active=Boolean,
)  # fmt: skip
Index("keys_of_account", keys.c.account)
members = _table(
    "members", "account role hospital", account=Text, role=Text, hospital=Text, seq=BigInteger,
    active=Boolean, start=BigInteger, end=BigInteger,
)  # fmt: skip
Index("members_of_hospital", members.c.hospital)
groups = _table("groups", "group", group=Text, hospital=Text, seq=BigInteger)
Index("groups_of_hospital", groups.c.hospital)
group_members = _table(
    "group_members", "account group", account=Text, group=Text, seq=BigInteger, active=Boolean
)
Index("members_of_group", group_members.c.group)
policies = _table(
    "policies",
    "event",
    event=Text,
    log=Text,
    seq=BigInteger,
    since=BigInteger,
    registry=Text,
    body=Text,
)
patients = _table(
    "patients", "patient", patient=Text, account=Text, hospital=Text, seq=BigInteger,
    teen_from=BigInteger, adult_from=BigInteger, deceased=BigInteger,
)  # fmt: skip
Index("patients_of_account", patients.c.account)
records = _table(
    "records", "record", record=Text, patient=Text, seq=BigInteger, author=Text, hospital=Text,
    category=Text, clinical_date=Text, confidentiality=Text, episode=Text, labels=Text,
    sensitive=Boolean, minor_private=Boolean, state=Text, state_seq=BigInteger, versions=Text,
    hidden=BigInteger,
)  # fmt: skip
Index("records_by_entry", records.c.seq)
"""A patient's records are found by the entries of the stream: an index by patient would be a random one."""
grants = _table(
    "grants", "patient grantee lineage", patient=Text, grantee=Text, lineage=Text, grant=Text,
    seq=BigInteger, active=Boolean, scope=Text, records=Text, actions=Text, purposes=Text, labels=Text,
    sensitive=Boolean, start=BigInteger, end=BigInteger, uses=BigInteger, used=BigInteger,
    what=Text, exceptions=Text,
)  # fmt: skip
STANDING_GRANT = "active"
LIVE_GRANT = "active AND (uses = 0 OR used < uses)"
"""A grant that has not ended but by its time. As an index has it: only so worded does a query use that."""
Index(
    "grants_live",
    grants.c.patient,
    grants.c.end,
    sqlite_where=text(LIVE_GRANT),
    postgresql_where=text(LIVE_GRANT),
)
exclusions = _table(
    "exclusions", "patient reader", patient=Text, reader=Text, seq=BigInteger, active=Boolean
)
grant_names = _table("grant_names", "grant", grant=Text, patient=Text, grantee=Text, lineage=Text)
refusals = _table(
    "refusals", "patient actor", patient=Text, actor=Text, times=Text, skipped=BigInteger
)

object_keys = _table(
    "object_keys", "object subject", object=Text, subject=Text, author=Text, version=Integer,
    wrapped=LargeBinary, staged_at=BigInteger,
)  # fmt: skip
"""Object keys under their subject's KEK, from before an entry names them."""
blob_keys = _table(
    "blob_keys", "blob", blob=Text, patient=Text, record=Text, author=Text, sha256=LargeBinary,
    size=BigInteger, version=Integer, wrapped=LargeBinary, staged_at=BigInteger,
)  # fmt: skip
"""Data keys of blobs, from before an entry names the blob."""
identifiers = _table("identifiers", "hospital hash", hospital=Text, hash=LargeBinary, patient=Text)
"""A hospital's own identifier of a patient, as a keyed hash; of several patients: empty. Not in the log, not a view."""
Index("identifiers_of_patient", identifiers.c.patient)
imported = _table(
    "imported", "patient hash", patient=Text, hash=LargeBinary, object=Text, version=Integer,
    digest=LargeBinary,
)  # fmt: skip
"""Where a unit of a hospital's source went, by keyed hashes of its name and content. Not in the log, not a view."""
unit_homes = _table(
    "unit_homes", "hospital hash patient", hospital=Text, hash=LargeBinary, patient=Text
)
"""Into whose chart a unit of a hospital's source went, by a keyed hash of its name: a moved one is seen by it."""
Index("unit_homes_of_patient", unit_homes.c.patient)
witnesses = _table("witnesses", "patient", patient=Text, since=BigInteger, traits=Text)
"""Name, birth date and sex of a patient as keyed hashes, beside the identifiers. Not in the log, not a view."""
