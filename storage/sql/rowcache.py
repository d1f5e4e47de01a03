"""The batch's working set: which rows its proposals need, loaded in a few statements, kept while valid."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from consent.gate import duty, may_be_held, may_be_linked
from ledger.codes import EMERGENCY_PURPOSES
from ledger.directory import Account, Group, GroupMember, Hospital, Key, Member, Patient
from ledger.event import Event
from ledger.facts import EmergencySetting, Exclusion, Grant, Hold, Record
from ledger.links import Consultation, Referral
from ledger.logkeys import LogKeyRow
from ledger.policies import LOG, PolicyRow
from ledger.refusals import Refusals
from ledger.relations import KINDS, Delegation, Relation
from ledger.rows import (
    GROUPS,
    KEY_LENGTHS,
    LIVE,
    ROW_TYPES,
    STANDING,
    Name,
    Row,
    Rows,
    Wanted,
    kind_of_id,
    row_name,
)
from ledger.sequencer import Proposal
from ledger.signins import SignIns
from storage.sql.database import Database
from storage.sql.rows import shape
from storage.sql.schema import LIVE_GRANT, STANDING_GRANT

R = TypeVar("R")
ROWS_LIMIT = 200_000
"""Rows, and names of rows that are absent, kept between batches; above it the working set starts anew, so memory stays bounded."""


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
        self._asked_live: set[Name] = set()
        self._since = 0
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

    def live(self, kind: type[R], time: int, *group: str) -> Iterable[R]:
        """The rows of `kind` in a group that are live at `time` or later; what ran out meanwhile is kept no longer."""
        name = (kind, group)
        if name not in self._asked_live and name not in self._asked_groups:
            self._read_through({name}, self._ask_live)
        held, lives = self._groups.get(name, {}), LIVE[kind]
        if over := [key for key, row in held.items() if not lives(row, time)]:
            for key in over:
                del held[key]
            self._asked_groups.discard(name)  # those that stand are more than those that live
            self._asked_live.add(name)
        return list(held.values())

    def any(self, kind: type, *group: str) -> bool:
        """Whether the log has had a row of `kind` in a group."""
        if super().any(kind, *group):
            return True
        self.unforeseen += 1
        found = self._database_has(kind, group)
        if found:
            self._ever.add((kind, group))
        return found

    def put(self, row: Row) -> tuple[Name, bool]:
        """Add a row or replace the one under its key; gives its name, and whether the log had none there."""
        kind, key = row_name(row)
        if key not in self._rows[kind] and not self._is_absent(kind, key):
            self._read_through({(kind, key)}, self._ask)
        return super().put(row)

    def created(self, id_: str) -> bool:
        """Whether an entry has created this id."""
        kind = kind_of_id(id_)
        return id_ in self.ids or (kind is not None and self.get(kind, id_) is not None)

    def load(
        self, database: Database, connection: Connection, proposals: Sequence[Proposal], time: int
    ) -> None:
        """Begin a batch: load what these proposals can be foreseen to need and isn't here yet.

        `time`: the head's, Unix ms; nothing that ended by then counts any more.
        """
        if len(self._asked) + sum(map(len, self._rows.values())) > ROWS_LIMIT:
            self._forget()
        self._source, self._since = (database, connection), time
        # Refusals change without an entry, so the head doesn't tell whether another process wrote them.
        self._rows[Refusals].clear()
        actors = {p.event.actor for p in proposals}
        actors |= {giver for p in proposals if (giver := colleague_of(p.event))}
        asking = [p.event for p in proposals if not _duty(p.event)]
        wanted: set[Name] = {
            (PolicyRow, (LOG,)),
            (LogKeyRow, (LOG,)),
            *((GroupMember, (actor,)) for actor in actors),
        }
        wanted.update(n for event in asking for n in group_needs(event))
        duties = (p.event for p in proposals if _duty(p.event))
        wanted.update(
            one[:2] for event in duties for one in event.type.wants(event) if one.together
        )
        self._ask_groups(wanted)
        # Who is in which group tells which grants and exclusions may count.
        groups = {actor: self._groups_of(actor) for actor in actors}
        signers = {(p.sig.key, p.event.actor, p.event.role, p.event.hospital) for p in proposals}
        rows = {n for signer in signers for n in signer_needs(*signer)}
        rows.update(n for p in proposals for n in needs(p.event))
        rows.update((SignIns, (p.event.actor,)) for p in proposals if p.session is not None)
        rows.update(n for event in asking for n in consent_needs(event, groups[event.actor]))
        acted_for = [(event, giver) for event in asking if (giver := colleague_of(event))]
        rows.update(
            n for event, giver in acted_for for n in giver_needs(event, giver, groups[giver])
        )
        self._ask(rows)
        linked = [
            (event, patient, (event.actor, event.hospital, *groups[event.actor]))
            for event in asking
            if event.type.gated
            and (patient := self._rows[Patient].get((event.subject,))) is not None
            and patient.links
        ]
        self._ask({name for one in linked for name in linked_needs(*one) if name[0] is Exclusion})
        nexts = {one for p in proposals for one in next_needs(p.event, self._rows)}
        self._ask({one[:2] for one in nexts if not one.together})
        self._ask_groups({one[:2] for one in nexts if one.together})
        live = {n for event in asking for n in live_needs(event, groups[event.actor])}
        live |= {
            (Grant, (event.subject, grantee))
            for event, giver in acted_for
            for grantee in (giver, *groups[giver])
        }
        live |= {name for one in linked for name in linked_needs(*one) if name[0] is Grant}
        self._ask_live(live)
        given = (grant for one in live for grant in self._groups.get(one, {}).values() if grant.by)
        self._ask({(Relation, (g.patient, g.by, kind)) for g in given for kind in KINDS})

    def undo(self, names: Iterable[Name], ids: Iterable[str]) -> None:
        """Drop the rows that a batch changed and the ids it created, as it was rolled back: the database has the true ones."""
        self.ids.difference_update(ids)
        for name in names:
            kind, key = name
            row = self._rows[kind].pop(key, None)
            self._asked.discard(name)
            fields = GROUPS.get(kind)
            if row is not None and fields is not None:
                group = (kind, row[fields])
                self._groups.pop(group, None)
                self._ever.discard(group)
                self._asked_groups.discard(group)
                self._asked_live.discard(group)

    def _forget(self) -> None:
        super().__init__()
        self._asked, self._asked_groups, self._asked_live = set(), set(), set()

    def _is_absent(self, kind: type, key: tuple[str, ...]) -> bool:
        """Whether it is known that the log has no row under `key`, which isn't here."""
        if (kind, key) in self._asked:
            return True
        fields = GROUPS.get(kind)
        if kind in STANDING or fields is None or fields.stop > KEY_LENGTHS[kind]:
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

    def _ask_live(self, wanted: set[Name]) -> None:
        missing = wanted - self._asked_live - self._asked_groups
        self._asked_live |= missing
        if missing:
            self._keep(live_grants(*self._open(), [group for _, group in missing], self._since))

    def _database_has(self, kind: type, group: tuple[str, ...]) -> bool:
        database, connection = self._open()
        form, columns = shape(kind), _GROUP_COLUMNS[kind]
        where = " AND ".join(f'"{column}" = ?' for column in columns)
        statement = database.sql(f'SELECT 1 FROM "{form.table.name}" WHERE {where} LIMIT 1')
        return connection.exec_driver_sql(statement, group).first() is not None

    def _open(self) -> tuple[Database, Connection]:
        if self._source is None:
            raise LookupError("rows are read under the head's lock alone")
        return self._source

    def _load(self, names: set[Name], columns: dict[type, tuple[str, ...]]) -> None:
        if not names:
            return
        source = self._open()
        keys: dict[type, list[tuple[str, ...]]] = {}
        for kind, key in names:
            keys.setdefault(kind, []).append(key)
        if columns and Record in keys:
            patients = [patient for (patient,) in keys.pop(Record)]
            self._keep(records_of(*source, patients))
        for kind, found in keys.items():
            self._keep(select_rows(*source, kind, found, columns.get(kind, ())))

    def _keep(self, rows: Iterable[Row]) -> None:
        """Take rows as the database has them; what is here is as new, or was changed by this very batch."""
        for row in rows:
            kind, key = row_name(row)
            if (kept := self._rows[kind].get(key)) is None:
                super().put(row)
            else:
                self._group(kind, key, kept)


_GROUP_COLUMNS: dict[type, tuple[str, ...]] = {
    kind: declared.group for kind, declared in ROW_TYPES.items() if declared.group
}


def signer_needs(key: str, actor: str, role: str, hospital: str) -> Iterator[Name]:
    """The rows by which it is told that `actor` may sign with `key` in that role."""
    yield Key, (key,)
    yield Member, (actor, role, hospital)
    if hospital:
        yield Hospital, (hospital,)
    if role == "person":
        yield Account, (actor,)


def needs(event: Event) -> Iterator[Name]:
    """The rows beside the signer's by which `event` is checked and folded."""
    if event.type.gated:
        yield Patient, (event.subject,)
        if event.role in ("person", "relative"):
            yield from ((Relation, (event.subject, event.actor, kind)) for kind in KINDS)
    for member in event.type.creates:  # none of them is there yet
        kind = kind_of_id(event.body[member])
        if kind is not None:
            yield kind, (event.body[member],)
    yield from (one[:2] for one in event.type.wants(event) if not one.together)


def next_needs(
    event: Event, rows: Mapping[type, Mapping[tuple[str, ...], Row]]
) -> Iterator[Wanted]:
    """The rows, and groups of rows, to which those that `event` wants lead, as far as `rows` has these."""
    for one in event.type.wants(event):
        if one.then is not None and (known := rows[one.kind].get(one.fields)) is not None:
            yield one.then(known)


def colleague_of(event: Event) -> str:
    """The doctor on whose behalf a colleague acts; empty for all other events."""
    if event.role != "doctor" or not event.type.gated:
        return ""
    return str(event.value.get("on_behalf_of", ""))


def giver_needs(event: Event, giver: str, groups: Sequence[str]) -> Iterator[Name]:
    """What `event` is decided by of the doctor on whose behalf it is; that one's `groups`."""
    yield Member, (giver, "doctor", event.hospital)
    for reader in (giver, *groups):
        yield Exclusion, (event.subject, reader)
    for group in groups:
        yield Group, (group,)


def linked_needs(event: Event, patient: Patient, readers: Sequence[str]) -> Iterator[Name]:
    """What `event` is decided by in the charts that are linked with the patient's, of these readers; an empty one is nobody."""
    for reader in filter(None, readers):
        yield from ((Exclusion, (chart, reader)) for chart in patient.bound)
        yield from ((Grant, (chart, reader)) for chart in patient.joined)


def _duty(event: Event) -> bool:
    action, principal = event.type.action, event.value.get("on_behalf_of", "")
    return action is not None and duty(action, event.hospital, principal)


def consent_needs(event: Event, groups: Sequence[str]) -> Iterator[Name]:
    """What else `event` is decided by, where the duty to keep records doesn't answer; its actor's `groups`."""
    if event.type.gated:
        for reader in filter(None, (event.actor, event.hospital, *groups)):
            yield Exclusion, (event.subject, reader)
        for group in groups:
            yield Group, (group,)
        if event.body["purpose"] in EMERGENCY_PURPOSES:
            yield EmergencySetting, (event.subject,)


def group_needs(event: Event) -> Iterator[Name]:
    """The groups of rows by which `event` is checked and decided, but for its actor's grants."""
    if event.role == "auditor":  # nobody is auditor and staff at once
        yield Member, (event.actor,)
    if giver := colleague_of(event):
        yield Delegation, (event.hospital, giver)
    if may_be_held(event.type.action, event.role):
        yield Hold, (event.subject,)
    if event.type.gated and may_be_linked(event.type.action, event.role, event.body["purpose"]):
        yield Consultation, (event.subject, event.hospital)
        yield Referral, (event.subject, event.hospital)
    yield from (one[:2] for one in event.type.wants(event) if one.together)


def live_needs(event: Event, groups: Sequence[str]) -> Iterator[Name]:
    """The grants by which `event` is decided, and of which it uses one up; `groups`: those of its actor."""
    if event.type.gated:
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
    where = STANDING_GRANT if columns and kind is Grant else ""
    found = database.select(
        connection, form.table.name, form.columns, columns or form.key, list(keys), where=where
    )
    return [form.decode(row) for row in found]


def live_grants(
    database: Database, connection: Connection, keys: Sequence[tuple[str, ...]], time: int
) -> list[Grant]:
    """The grants that are live at `time` (Unix ms) or later, of these patients, or by patient and grantee."""
    form, names = shape(Grant), ("patient", "grantee")[: len(keys[0])]
    where = f'{LIVE_GRANT} AND "end" > {int(time)}'
    found = database.select(connection, form.table.name, form.columns, names, keys, where=where)
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
