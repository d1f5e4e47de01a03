"""The tables, one schema for SQLite and PostgreSQL. Changes come as alembic migrations.

Streams are indexed by a small integer instead of their text id; ids with a time in them keep the
indexes of growing tables local. The tables of views are those that `ledger.rows.row_type` declares.
"""

from typing import Any, get_type_hints

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

import ledger.refusals
import ledger.types  # noqa: F401  these declare every kind of row
from ledger.facts import Grant
from ledger.rows import ROW_TYPES, RowType

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

_COLUMN_TYPES: dict[Any, Any] = {str: Text, int: BigInteger, bool: Boolean, bytes: LargeBinary}
"""How a row's field lies in SQL; whatever else it is (tuples), as JSON text."""


def _view(kind: type, declared: RowType) -> Table:
    """The table of a kind of row: its fields in their order, the first ones as key."""
    columns = {c: _COLUMN_TYPES.get(t, Text) for c, t in get_type_hints(kind).items()}
    table = _table(declared.table, " ".join([*columns][: declared.key]), **columns)
    for name, column in declared.indexes.items():
        Index(name, table.c[column])
    return table


TABLES: dict[type, Table] = {kind: _view(kind, declared) for kind, declared in ROW_TYPES.items()}
"""The SQL home of each kind of row."""
STANDING_GRANT = "active"
LIVE_GRANT = "active AND (uses = 0 OR used < uses)"
"""A grant that has not ended but by its time. As an index has it: only so worded does a query use that."""
Index(
    "grants_live",
    TABLES[Grant].c.patient,
    TABLES[Grant].c.end,
    sqlite_where=text(LIVE_GRANT),
    postgresql_where=text(LIVE_GRANT),
)

object_keys = _table(
    "object_keys", "object subject", object=Text, subject=Text, author=Text, version=Integer,
    wrapped=LargeBinary, staged_at=BigInteger,
)  # fmt: skip
"""Object keys under their subject's KEK, from before an entry names them."""
Index("object_keys_of_subject", object_keys.c.subject)
blob_keys = _table(
    "blob_keys", "blob", blob=Text, patient=Text, record=Text, author=Text, sha256=LargeBinary,
    size=BigInteger, version=Integer, wrapped=LargeBinary, staged_at=BigInteger,
)  # fmt: skip
"""Data keys of blobs, from before an entry names the blob."""
Index("blob_keys_of_patient", blob_keys.c.patient)
kek_floors = _table("kek_floors", "subject", subject=Text, version=Integer)
"""The oldest version of a subject's KEK under which a key is still taken into the two tables above."""
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
patient_numbers = _table(
    "patient_numbers", "patient", patient=Text, hash=LargeBinary, since=BigInteger
)
"""The number that a patient stated to be found by, as a keyed hash. Not in the log, not a view; see `storage.numbers`."""
Index("patient_numbers_by_hash", patient_numbers.c.hash, patient_numbers.c.patient)
inquiries = _table(
    "inquiries", "hash asker role hospital", hash=LargeBinary, asker=Text, role=Text, hospital=Text,
    inquiry=Text, sealed=LargeBinary, created=BigInteger, until=BigInteger,
)  # fmt: skip
"""Who asks whoever stated a number, or has a chart, by the keyed hash of either: nothing tells whether there is such a person.
Not in the log, not a view; see `storage.inquiries`."""
Index("inquiries_until", inquiries.c.until)
credentials = _table(
    "credentials", "account", account=Text, password=Text, version=BigInteger, acts=Integer,
    acts_since=BigInteger,
)  # fmt: skip
"""An account's password, hashed; how often its factors have changed; how many sessions and changes it had since. This and what follows up to `throttles` is
neither in the log nor a view."""
factors = _table(
    "factors", "account", account=Text, seed=LargeBinary, step=BigInteger, since=BigInteger,
    begun=LargeBinary,
)  # fmt: skip
"""The seed of an account's one-time codes, sealed; the last step whose code was used; since when it counts, 0 as long as no
code was shown; and a seed that was begun to take its place, empty for none."""
recovery_codes = _table("recovery_codes", "account hash", account=Text, hash=LargeBinary)
"""An account's recovery codes that are left, as keyed hashes."""
sessions = _table(
    "sessions", "session", session=Text, token=LargeBinary, account=Text, role=Text, hospital=Text,
    assurance=Integer, means=Text, created=BigInteger, used=BigInteger, strong_until=BigInteger,
    address=LargeBinary,
)  # fmt: skip
"""Sessions by password, under the SHA-256 of their tokens; of the address a keyed hash."""
Index("sessions_by_token", sessions.c.token, unique=True)
Index("sessions_of_account", sessions.c.account)
kept_keys = _table(
    "kept_keys", "key", key=Text, account=Text, sealed=LargeBinary, created=BigInteger
)
"""Private keys that the service keeps for people, sealed under the identity root; see `storage.sql.kept`."""
Index("kept_keys_of_account", kept_keys.c.account)
passkeys = _table(
    "passkeys", "credential", credential=LargeBinary, account=Text, public=LargeBinary, counter=BigInteger,
    created=BigInteger, used=BigInteger, regressed=BigInteger,
)  # fmt: skip
"""Public keys of people's authenticators; see `storage.sql.passkeys`."""
Index("passkeys_of_account", passkeys.c.account)
passkey_challenges = _table(
    "passkey_challenges", "hash", hash=LargeBinary, purpose=Text, account=Text, ending=BigInteger
)
"""Challenges that wait for a passkey's answer, by their SHA-256; see `storage.sql.challenges`."""
Index("passkey_challenges_ending", passkey_challenges.c.ending)
throttles = _table(
    "throttles", "kind name", kind=Text, name=LargeBinary, failures=Integer, counted=BigInteger,
    until=BigInteger, locked=Boolean,
)  # fmt: skip
"""Failed sign-ins by account, by address, and by both, and failed claims, under keyed hashes of their names."""
cosignatures = _table("cosignatures", "size", size=BigInteger, lines=LargeBinary)
"""The cosignatures, as signature lines, under which a published checkpoint met the policy; kept for ever, as it is."""
log_witnesses = _table(
    "log_witnesses", "witness", witness=Text, size=BigInteger, time=BigInteger, problem=Text
)
"""How far each witness of this log is, by name and id of its key: what it last cosigned and when, and what is wrong."""
contacts = _table("contacts", "account", account=Text, sealed=LargeBinary, proved_at=BigInteger)
"""The proved e-mail address and language of an account, sealed under the identity root. Not in the log, not a view."""
addresses = _table("addresses", "hash", hash=LargeBinary, account=Text)
"""Whose a proved address is, by its keyed hash: one account an address."""
Index("addresses_of_account", addresses.c.account)
contact_proofs = _table(
    "contact_proofs", "code", code=LargeBinary, account=Text, sealed=LargeBinary,
    address=LargeBinary, ending=BigInteger, given_by=Text,
)  # fmt: skip
"""Addresses that wait to be proved, by the SHA-256 of the code that was sent there; one an account. `given_by`: the key of
the session in which it was given, empty for one by password."""
Index("contact_proofs_of_account", contact_proofs.c.account)
reset_links = _table(
    "reset_links", "hash", hash=LargeBinary, account=Text, version=BigInteger, ending=BigInteger
)
"""Links that were mailed to replace a forgotten password, by their SHA-256; `version`: of the factors for which each counts."""
Index("reset_links_of_account", reset_links.c.account)
profiles = _table(
    "profiles", "account", account=Text, sealed=LargeBinary, changed=BigInteger, author=Text
)
"""What doctors are shown with, sealed under the identity root; when it was changed last, and by which account. Neither in the
log nor a view; see `storage.profiles`."""
outbox = _table(
    "outbox", "id", id=Text, account=Text, kind=Text, params=Text, sealed=LargeBinary,
    address=LargeBinary, created=BigInteger, tries=Integer, next_try=BigInteger, outcome=Text, ended=BigInteger,
)  # fmt: skip
"""What people are to be told, from the act to some days after it was sent; see `storage.outbox`. Not a view."""
WAITING = text("outcome = ''")
Index("outbox_waiting", outbox.c.next_try, sqlite_where=WAITING, postgresql_where=WAITING)
Index("outbox_ended", outbox.c.ended)
Index("outbox_of_account", outbox.c.account)
ELSEWHERE = text("length(address) > 0")
Index("outbox_elsewhere", outbox.c.address, sqlite_where=ELSEWHERE, postgresql_where=ELSEWHERE)
told_once = _table("told_once", "what", what=Text)
"""What was told and is never told again, by ids; see `storage.outbox.Message.once`. Not a view."""
