"""The batch's working set: which rows its proposals need, loaded in a few statements, kept while valid."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from consent.facts import Exclusion, Grant, GrantName, Record
from consent.gate import duty
from ledger.directory import Account, Group, GroupMember, Hospital, Key, Member, Patient
from ledger.event import Event
from ledger.policies import LOG, PolicyRow
from ledger.refusals import Refusals
from ledger.rows import GROUPS, KEY_LENGTHS, Name, Row, Rows, row_name
from ledger.sequencer import Proposal
from storage.sql.database import Database
from storage.sql.rows import shape

R = TypeVar("R")
ROWS_LIMIT = 200_000
"""Rows, and names of rows that are absent, kept between batches; above it the working set starts anew, so memory stays bounded."""

_CREATED: dict[str, type] = {
    "hs": Hospital, "ac": Account, "k_": Key, "pt": Patient, "rc": Record, "gr": GrantName, "gp": Group,
}  # fmt: skip
"""Which kind of row tells that an id was created, by how the id begins; `ev` and `bl` are known else."""
_JOINS = {
    "admin.appointed": "hospital_admin", "admin.ended": "hospital_admin", "system.added": "hospital_system",
    "system.ended": "hospital_system", "doctor.approved": "doctor", "doctor.suspended": "doctor",
    "doctor.ended": "doctor", "auditor.appointed": "auditor", "auditor.ended": "auditor",
}  # fmt: skip
"""Events that change somebody's membership, and the role they change."""


class RowCache(Rows):
    """Rows as of the head, read through under its lock: what was not loaded is looked up, never absent.

    `load` fetches in a few statements what a batch can be foreseen to need. Whatever else a rule or a fold asks
    for, because an earlier entry of the batch made it count, is read when it is asked for.
    """

    def __init__(self) -> None:
        """Empty: everything is still to be loaded."""
        super().__init__()
        self._asked: set[Name] = set()
        self._asked_groups: set[Name] = set()
        self._source: tuple[Database, Connection] | None = None
        self.unforeseen = 0
        """Rows and groups that were read when they were asked for; each costs a statement of its own."""

    def get(self, kind: type[R], *key: str) -> R | None:
        """The row of `kind` under `key`, or None if there is none in the log."""
        rows = self._rows[kind]
        row = rows.get(key)
        if row is None and not self._is_absent(kind, key):
            self._read_through({(kind, key)}, self._ask)
            row = rows.get(key)
        return row

    def group(self, kind: type[R], *group: str) -> Iterable[R]:
        """The rows of `kind` in a group, all that the log has."""
        if (kind, group) not in self._asked_groups:
            self._read_through({(kind, group)}, self._ask_groups)
        return super().group(kind, *group)

    def put(self, row: Row) -> tuple[Name, bool]:
        """Add a row or replace the one under its key; gives its name, and whether the log had none there."""
        kind, key = row_name(row)
        if key not in self._rows[kind] and not self._is_absent(kind, key):
            self._read_through({(kind, key)}, self._ask)
        return super().put(row)

    def created(self, id_: str) -> bool:
        """Whether an entry has created this id."""
        kind = _CREATED.get(id_[:2])
        return id_ in self.ids or (kind is not None and self.get(kind, id_) is not None)

    def load(
        self, database: Database, connection: Connection, proposals: Sequence[Proposal]
    ) -> None:
        """Begin a batch: load what these proposals can be foreseen to need and isn't here yet."""
        if len(self._asked) + sum(map(len, self._rows.values())) > ROWS_LIMIT:
            self._forget()
        self._source = database, connection
        # Refusals change without an entry, so the head doesn't tell whether another process wrote them.
        self._rows[Refusals].clear()
        actors = {p.event.actor for p in proposals}
        asking = [p.event for p in proposals if not _duty(p.event)]
        wanted: set[Name] = {(PolicyRow, (LOG,)), *((GroupMember, (actor,)) for actor in actors)}
        wanted.update(n for event in asking for n in group_needs(event))
        self._ask_groups(wanted)
        # Who is in which group tells which grants and exclusions may count.
        groups = {actor: self._groups_of(actor) for actor in actors}
        signers = {(p.sig.key, p.event.actor, p.event.role, p.event.hospital) for p in proposals}
        rows = {n for signer in signers for n in signer_needs(*signer)}
        rows.update(n for p in proposals for n in needs(p.event))
        rows.update(n for event in asking for n in consent_needs(event, groups[event.actor]))
        self._ask(rows)
        self._ask_groups({n for event in asking for n in grant_needs(event, groups[event.actor])})

    def _forget(self) -> None:
        super().__init__()
        self._asked, self._asked_groups = set(), set()

    def _is_absent(self, kind: type, key: tuple[str, ...]) -> bool:
        """Whether it is known that the log has no row under `key`, which isn't here."""
        if (kind, key) in self._asked:
            return True
        fields = GROUPS.get(kind)
        if fields is None or fields.stop > KEY_LENGTHS[kind]:
            return False
        return (kind, key[fields]) in self._asked_groups

    def _read_through(self, names: set[Name], ask: Callable[[set[Name]], None]) -> None:
        self.unforeseen += not any(kind is Refusals for kind, _ in names)
        ask(names)

    def _groups_of(self, account: str) -> list[str]:
        return [m.group for m in self.group(GroupMember, account) if m.active]

    def _ask(self, wanted: set[Name]) -> None:
        missing = wanted - self._asked
        self._asked |= {name for name in missing if name[0] is not Refusals}
        self._load(missing, {})

    def _ask_groups(self, wanted: set[Name]) -> None:
        missing = wanted - self._asked_groups
        self._asked_groups |= missing
        self._load(missing, _GROUP_COLUMNS)

    def _load(self, names: set[Name], columns: dict[type, tuple[str, ...]]) -> None:
        if not names:
            return
        if self._source is None:
            raise LookupError(f"rows are read under the head's lock alone, got {names}")
        keys: dict[type, list[tuple[str, ...]]] = {}
        for kind, key in names:
            keys.setdefault(kind, []).append(key)
        if columns and Record in keys:
            patients = [patient for (patient,) in keys.pop(Record)]
            self._keep(records_of(*self._source, patients))
        for kind, found in keys.items():
            self._keep(select_rows(*self._source, kind, found, columns.get(kind, ())))

    def _keep(self, rows: Iterable[Row]) -> None:
        """Take rows as the database has them; what is here is as new, or was changed by this very batch."""
        for row in rows:
            kind, key = row_name(row)
            if key not in self._rows[kind]:
                super().put(row)


_GROUP_COLUMNS: dict[type, tuple[str, ...]] = {
    Grant: ("patient", "grantee"),
    GroupMember: ("account",),
    Key: ("account",),
    Member: ("account",),
    PolicyRow: ("log",),
}


def signer_needs(key: str, actor: str, role: str, hospital: str) -> Iterator[Name]:
    """The rows by which it is told that `actor` may sign with `key` in that role."""
    yield Key, (key,)
    yield Member, (actor, role, hospital)
    if hospital:
        yield Hospital, (hospital,)


def needs(event: Event) -> Iterator[Name]:
    """The rows beside the signer's by which `event` is checked and folded."""
    body, name = event.body, event.type.name
    stream, _, subject = event.stream.partition("/")
    if stream == "patient":
        yield Patient, (subject,)
    elif stream == "hospital":
        yield Hospital, (subject,)
        if name in _JOINS:
            yield Member, (body["account"], _JOINS[name], subject)
            yield Member, (body["account"], "auditor", "")  # who is one joins no hospital
        elif "account" in body:
            yield Member, (body["account"], "doctor", subject)
            yield GroupMember, (body["account"], body["group"])
    elif name in _JOINS:
        yield Member, (body["account"], _JOINS[name], "")
    elif name == "policy.changed":
        yield PolicyRow, (event.id,)
    yield from _named(event)


def _named(event: Event) -> Iterator[Name]:
    """The rows that the body names."""
    body = event.body
    for member, kind in _BODY_ROWS:
        if member in body and type(body[member]) is str:
            yield kind, (body[member],)
    if event.role == "person":
        yield Account, (event.actor,)
    for record in body.get("records", ()):
        yield Record, (record,)
    for member in ("grantee", "reader"):
        if member in body:
            yield _READERS[body[member][:2]], (body[member],)
    if "reader" in body:
        yield Exclusion, (event.subject, body["reader"])


_READERS: dict[str, type] = {"ac": Account, "gp": Group, "hs": Hospital}


def _duty(event: Event) -> bool:
    action, principal = event.type.action, event.value.get("on_behalf_of", "")
    return action is not None and duty(action, event.hospital, principal)


_BODY_ROWS: tuple[tuple[str, type], ...] = (
    ("account", Account),
    ("grant", GrantName),
    ("group", Group),
    ("hospital", Hospital),
    ("key", Key),
    ("lineage", GrantName),
    ("patient", Patient),
    ("record", Record),
)


def consent_needs(event: Event, groups: Sequence[str]) -> Iterator[Name]:
    """What else `event` is decided by, where the duty to keep records doesn't answer; its actor's `groups`."""
    if event.type.stream == "patient":
        for reader in filter(None, (event.actor, event.hospital, *groups)):
            yield Exclusion, (event.subject, reader)
        for group in groups:
            yield Group, (group,)


def group_needs(event: Event) -> Iterator[Name]:
    """The groups of rows by which `event` is checked and decided, but for grants."""
    if event.type.stream == "account" and "account" in event.body:
        yield Key, (event.body["account"],)
    if event.type.action == "list":
        yield Record, (event.subject,)
    if event.type.name in ("doctor.approved", "doctor.ended"):
        yield GroupMember, (event.body["account"],)
    # Nobody is auditor and staff at once.
    if event.type.name == "auditor.appointed":
        yield Member, (event.body["account"],)
    if event.role == "auditor":
        yield Member, (event.actor,)


def grant_needs(event: Event, groups: Sequence[str]) -> Iterator[Name]:
    """The grants by which `event` is decided and folded; `groups`: those of its actor."""
    if event.type.stream != "patient":
        return
    if "grantee" in event.body:
        yield Grant, (event.subject, event.body["grantee"])
    for grantee in filter(None, (event.actor, event.hospital, *groups)):
        yield Grant, (event.subject, grantee)


def select_rows(
    database: Database,
    connection: Connection,
    kind: type,
    keys: Iterable[tuple[str, ...]],
    columns: tuple[str, ...] = (),
) -> list[Row]:
    """The rows of `kind` whose key (or `columns`, its first ones) is among `keys`."""
    form = shape(kind)
    found = database.select(
        connection, form.table.name, form.columns, columns or form.key, list(keys)
    )
    return [form.decode(row) for row in found]


def records_of(database: Database, connection: Connection, patients: Sequence[str]) -> list[Record]:
    """The records of these patients, found by the entries of their streams that created them."""
    form = shape(Record)
    columns = ", ".join(f'r."{column.name}"' for column in form.table.columns)
    found = database.select(
        connection,
        "streams",
        columns,
        ("name",),
        [(f"patient/{patient}",) for patient in patients],
        "JOIN entries e ON e.stream = streams.id JOIN records r ON r.seq = e.seq",
    )
    return [form.decode(row) for row in found]
