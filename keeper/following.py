"""The log as the keeper reads it itself: every entry hashed, folded, and judged by the same rules as the log's own.

What changes somebody's rights (directory, keys, consent) or fills records must hold in every part, signature, signer and
decision, or the keeper goes no further. A reading that the rules don't permit stands in the log and gets no key.
Signatures of what fills records are checked before a key of theirs is first released. What was signed counts once, and
about when it was signed: else old acts could be put into the log again. Chains of streams and refusals' limits are the
auditor's to check: no key hangs on them.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from consent.decide import is_against
from consent.gate import gate
from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.signing import verify
from durable.files import create_file
from durable.ownfile import OwnFile
from keeper.alarms import Misfit, alarm_about
from keeper.errors import KeeperRefused, WrongEntry
from keeper.protocol import ALARMS_PAGE, FOLLOW_ENTRIES, Alarm
from keeper.recovering import (
    RECOVERED,
    RECOVERED_TABLES,
    accept,
    believe,
    believe_more,
    believe_restored,
    believed,
    check_erasable,
    check_waited,
    is_accepted,
    remember,
    stop_waiting,
    waiting,
    waiting_name,
)
from keeper.rows import ROW_TABLES, TABLES, StoredRows, form_of
from ledger.chain import ZERO
from ledger.checkpoint import Checkpoint
from ledger.codes import CLOCK_SKEW_MOST_MS
from ledger.digest import hashes_of
from ledger.directory import Key, Patient
from ledger.entry import Entry, nested_event
from ledger.errors import LedgerError, ProofError
from ledger.facts import BEGUN, COMPLETED, Erasure, Hold, Record
from ledger.forms import parse_entry
from ledger.links import Referral, ReferredVersion
from ledger.logkeys import Generation, LogKeyRow, generations_of
from ledger.merkle import Frontier, check_consistency, leaf_hash
from ledger.policies import LOG, PolicyRow, policy_at
from ledger.rows import kind_of_id
from ledger.signers import check_event
from ledger.times import format_time
from ledger.types import fold
from ledger.types.referrals import check_receiving

FOLLOWED = "followed.db"
"""Its file in the keeper's folder; where it is lost, the log is read anew."""
FIRST = "log.first"
"""The leaf hash of the log's entry 0, beside that file, hexadecimal: no other log is ever read. Backups hold it."""
FILLING = frozenset({"record.amended", "record.uploaded"})
"""The types that fill records: they are many, and nobody may do more for one of them."""
ENDING = frozenset({BEGUN, COMPLETED})
"""In these states an erasure's keys are to be destroyed: none of them is carried on."""
REFUSED_KEPT = 1_000
"""Alarms kept, after which those of entries that were not taken are only logged: whoever gives them could give many."""
_STATE = (
    "CREATE TABLE IF NOT EXISTS followed (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER, tip BLOB, time INTEGER, "
    "edge BLOB)",
    "CREATE TABLE IF NOT EXISTS unchecked (seq INTEGER PRIMARY KEY, leaf BLOB)",
    "CREATE TABLE IF NOT EXISTS wrongs (seq INTEGER, wrong TEXT, what TEXT, taken INTEGER, "
    "PRIMARY KEY (seq, wrong, taken)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS ids (id TEXT PRIMARY KEY, time INTEGER) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS ids_time ON ids (time)",
)
ASKED_AT_ONCE = 500
"""Most numbers in one question to the file."""
FORM = form_of(*_STATE)
"""What the file is told by: one that was written in another form is read anew."""
_LOG = logging.getLogger(__name__)


class Wrong(Exception):
    """An entry that changes rights and is not what the rules give."""

    def __init__(self, alarm: Alarm) -> None:
        """`alarm`: which, and why."""
        super().__init__(f"entry {alarm.seq}: {alarm.what}")
        self.alarm = alarm


@dataclass(frozen=True)
class Referred:
    """A referral that is taken up, the receiver's key to seal for, and the records that it lists by id."""

    referral: Referral
    key: Key
    records: Mapping[str, Record]


@dataclass
class _Edge:
    """How far the log was read, and what the next entry has to fit."""

    size: int
    tip: bytes
    time: int
    tree: Frontier
    unchecked: list[tuple[int, bytes]] = field(default_factory=list)
    """Entries whose signature is to be checked before a key of theirs is released, by their leaf hash; not yet written."""
    ids: dict[str, int] = field(default_factory=dict)
    """Ids of events, and the times of their entries, not yet written."""
    skew: int = 0
    """The largest difference between an author's clock and the log's that any policy of the log allows, ms."""
    now: int = 0
    """The keeper's clock, Unix ms."""
    believed: int = 0
    """Of how many entries the times are believed: they were read before, or by a new keeper."""
    waiting: dict[str, int] = field(default_factory=dict)
    """Keys that were put in by recovery, and erasures, and when they were first read of (Unix ms)."""
    _rooted: tuple[int, bytes] = (-1, b"")

    def add(self, raws: Sequence[bytes]) -> None:
        """Put entries into the tree, whatever they say."""
        for raw in raws:
            self.tree.append(leaf_hash(raw))
        self.size += len(raws)

    def root(self) -> bytes:
        """The root over what was read, worked out once for each size."""
        if self._rooted[0] != self.tree.size:
            self._rooted = self.tree.size, self.tree.root()
        return self._rooted[1]


class FollowedLog:
    """The keeper's own reading of the log, which outlives its process. Thread-safe; several processes may have one.

    Every method raises StorageError where the file can't be read or written.
    """

    def __init__(self, path: Path, origin: str) -> None:
        """Opens the file, or makes it: an empty one is read anew, from entry 0 on."""
        self._file = OwnFile(path, "NORMAL", (*_STATE, *RECOVERED, *TABLES))
        self._pin = path.with_name(FIRST)
        self._origin = origin
        self._rows = StoredRows()
        self._edge: _Edge | None = None
        self._drop_other_forms()

    def end(self) -> Checkpoint:
        """How many entries were read, and their root: a checkpoint that nobody signed."""
        with self._file.using() as connection:
            self._rows.connection = connection
            edge = self._at(connection)
            return Checkpoint(self._origin, edge.size, edge.root() if edge.size else b"")

    def log_keys(self) -> tuple[tuple[Generation, ...], int]:
        """The generations of the log's keys that the entries name which were read, and how many those are."""
        with self._file.using() as connection:
            self._rows.connection = connection
            size = self._at(connection).size
            return self._generations(), size

    def _generations(self) -> tuple[Generation, ...]:
        return generations_of(self._rows.group(LogKeyRow, LOG))

    def take(
        self,
        since: int,
        raws: Sequence[bytes],
        shown: Checkpoint,
        proof: Sequence[bytes],
        floor: Checkpoint,
        now: int,
        signed: Callable[[Sequence[Generation], int], object] = lambda generations, size: None,
    ) -> int:
        """Read the entries from `since` on, which lie under the checkpoint `shown`; gives how many were read by then.

        Nothing is read where `since` isn't how many were read before. `proof`: the consistency proof from the last of
        them to the checkpoint; `floor`: a checkpoint that the reading must come by; `now`: Unix ms;
        `signed(generations, size)` raises NoteError unless the log's keys, as the first `size` entries name them, signed the
        checkpoint. Raises ProofError for entries that are not under it; where one of them changes rights and is wrong, which
        is an alarm, none of them is read: raises WrongEntry, or KeeperRefused where they don't come by `floor`.
        """
        if len(raws) > FOLLOW_ENTRIES:
            raise ProofError(f"got {len(raws)} entries, expected at most {FOLLOW_ENTRIES}")
        known = since >= floor.size
        try:
            with self._changing() as (connection, edge):
                if since == edge.size and raws:
                    if not since and not floor.size:  # a new keeper's
                        believe(connection, shown.size)
                    edge.now, edge.believed = now, believed(connection, floor.size)
                    edge.waiting = waiting(connection)
                    for number, raw in enumerate(raws):
                        try:
                            self._read(connection, edge, raw)
                        except Wrong:
                            # An alarm is raised only of what the log's keys signed: others could make up many.
                            edge.add(raws[number:])
                            _check_under(edge, shown, proof)
                            raise
                        if edge.size == floor.size:
                            if edge.tree.root() != floor.root:
                                raise ProofError(
                                    "this is another log than the one that was seen before"
                                )
                            known = True
                    _check_under(edge, shown, proof)
                    signed(self._generations(), edge.size)
                    if not since and not self._pin.exists():  # not before it is proved
                        create_file(self._pin, leaf_hash(raws[0]).hex().encode() + b"\n")
                    self._write(connection, edge)
                return edge.size
        except Wrong as wrong:
            with self._changing() as (connection, _):
                self._raise_alarm(connection, wrong.alarm)
            kind = WrongEntry if known else KeeperRefused
            raise kind(f"the log can't be followed: {wrong}") from wrong

    def check_signed(self, entry: Entry) -> None:
        """An entry that was proved to stand in what was read is signed by a key of its actor.

        Raises LedgerError, or CryptoError for a signature that doesn't hold.
        """
        with self._file.using() as connection:
            self._rows.connection = connection
            self._at(connection)
            self._check_signature(entry)

    def check_reading(
        self, entry: Entry, records: Iterable[str], shown: Sequence[bytes]
    ) -> list[int]:
        """The reading stands as the rules give it, and so does all that its decision and these records rest on.

        It was proved to stand in the log that is read here. `shown`: entries whose signatures may not have been checked
        yet. Gives the numbers of those that have to be shown for that; none where all is well. Raises KeeperRefused.
        """
        with self._file.using() as connection:
            self._rows.connection = connection
            connection.execute("BEGIN")
            try:
                if entry.link.seq >= self._at(connection).size:
                    raise KeeperRefused(f"entry {entry.link.seq} was not read yet")
                rests = {entry.link.seq, *(entry.decision or {}).get("basis", ())}
                for name in records:
                    record = self._rows.get(Record, name)
                    if record is not None:
                        rests.update(version.seq for version in record.versions)
                    elif kind_of_id(name) is Record:
                        raise KeeperRefused(f"{name} is no record of the log")
                unchecked = _unchecked(connection, rests)
            finally:
                connection.execute("ROLLBACK")
        if not unchecked or not shown:
            return sorted(unchecked)
        raws = {leaf_hash(raw): raw for raw in shown}
        with self._changing() as (connection, _):
            return [
                seq
                for seq, leaf in sorted(_unchecked(connection, unchecked).items())
                if leaf not in raws or not self._check(connection, seq, raws[leaf])
            ]

    def check_given(self, entry: Entry, records: Iterable[str]) -> None:
        """None of the records that a reading gives was erased since, or is held back from its reader; raises KeeperRefused."""
        with self._file.using() as connection:
            self._rows.connection = connection
            self._at(connection)
            patient = self._rows.get(Patient, entry.event.subject)
            if patient is not None and patient.erased:
                raise KeeperRefused(f"{patient.patient} was erased by entry {patient.erased}")
            event = entry.event
            behalf = event.value.get("on_behalf_of", "")
            kept = {
                hold.record: hold.seq
                for hold in self._rows.group(Hold, event.subject)
                if is_against(hold, event.actor, event.role, behalf, patient)
                and hold.stands(entry.time)
            }
            for name in records:
                record = self._rows.get(Record, name)
                if record is not None and record.state == "shredded":
                    raise KeeperRefused(f"{name} was erased by entry {record.state_seq}")
                if name in kept:
                    raise KeeperRefused(f"{name} is held back by entry {kept[name]}")

    def referred(self, entry: Entry) -> "Referred":
        """The referral that a `referral.taken` takes up, its records, and the key to seal for, all as they are now.

        Raises KeeperRefused where it isn't accepted, was declined since, or the key is no active one of its receiver's.
        """
        event = entry.event
        with self._file.using() as connection:
            self._rows.connection = connection
            time = self._at(connection).time
            referral = self._rows.get(Referral, event.body["referral"])
            if referral is None or (referral.patient, referral.receiver) != (
                event.subject,
                event.hospital,
            ):
                raise KeeperRefused(f"entry {entry.link.seq} takes up no referral that was read of")
            if not referral.opens:
                raise KeeperRefused(f"{referral.referral} is not accepted, or was declined")
            try:
                check_receiving(event.body["key"], event.hospital, time, self._rows)
            except LedgerError as error:
                raise KeeperRefused(str(error)) from error
            key = self._rows.get(Key, event.body["key"])
            assert key is not None  # it was just checked
            named = {ReferredVersion.of(line).record for line in referral.lines}
            rows = (self._rows.get(Record, record) for record in sorted(named))
            return Referred(referral, key, {row.record: row for row in rows if row is not None})

    def begun(self, entry: Entry, now: int) -> Erasure:
        """The erasure that an `erasure.begun` says has begun, which was read and waited here, too; `now`: Unix ms.

        Raises KeeperRefused.
        """
        if entry.event.type.name != "erasure.begun":
            raise KeeperRefused(
                f"entry {entry.link.seq} is {entry.event.type.name}, not erasure.begun"
            )
        with self._file.using() as connection:
            self._rows.connection = connection
            self._at(connection)
            found = self._rows.get(Erasure, entry.event.body["erasure"])
            if found is None or found.patient != entry.event.subject or found.state not in ENDING:
                raise KeeperRefused(f"entry {entry.link.seq} begins no erasure that was read of")
            try:
                check_erasable(connection, found.erasure, now)
            except LedgerError as error:
                raise KeeperRefused(str(error)) from error
            return found

    def erased(self, subjects: Iterable[str]) -> dict[str, set[str]]:
        """The records of these patients whose erasure has begun or ended; of a whole chart the empty text."""
        with self._file.using() as connection:
            self._rows.connection = connection
            self._at(connection)
            return {
                subject: {
                    erasure.record
                    for erasure in self._rows.group(Erasure, subject)
                    if erasure.state in ENDING
                }
                for subject in subjects
            }

    def count_alarms(self) -> tuple[int, int]:
        """How many there are of entries that stand in the log, and of those that were refused."""
        with self._file.using() as connection:
            rows = connection.execute("SELECT taken, count(*) FROM wrongs GROUP BY taken")
            found: dict[int, int] = dict(rows.fetchall())
        return found.get(1, 0), found.get(0, 0)

    def clear_refused(self) -> list[Alarm]:
        """Forget the alarms of entries that were refused, for the keeper's operator alone; gives them."""
        with self._file.using() as connection:
            gone = connection.execute(
                "DELETE FROM wrongs WHERE NOT taken RETURNING seq, wrong, what"
            ).fetchall()
        return [Alarm(seq, wrong, what, False) for seq, wrong, what in sorted(gone)]

    def believe(self, size: int) -> list[str]:
        """Believe that the first `size` entries are as old as they say, for the keeper's operator alone.

        Gives the keys put in by recovery that were read of, and wait no more for that.
        """
        with self._changing() as (connection, _):
            believe_more(connection, size)
            rows = {key: self._rows.get(Key, key) for key in sorted(waiting(connection))}
            keys = [key for key, row in rows.items() if row is not None and row.seq < size]
            stop_waiting(connection, keys)
        return keys

    def is_accepted(self, restored: str) -> bool:
        """Whether this `ledger.restored` (its event's id) was accepted before."""
        with self._file.using() as connection:
            return is_accepted(connection, restored)

    def accept(self, restored: str) -> None:
        """Remember that this `ledger.restored` (its event's id) was accepted."""
        with self._file.using() as connection:
            accept(connection, restored)

    def believe_restored(self, floor: int, size: int) -> None:
        """Of the restored log under a checkpoint of `floor` entries, believe that the first `size` are as old as they say."""
        with self._file.using() as connection:
            believe_restored(connection, floor, size)

    def alarms(self, since: int = 0) -> list[Alarm]:
        """What was found that the rules don't give, in the log's order, from entry `since` on.

        All of each entry that is there, and about ALARMS_PAGE at most; none where there are no more.
        """
        select = "SELECT seq, wrong, what, taken FROM wrongs"
        with self._file.using() as connection:
            found = connection.execute(
                f"{select} WHERE seq >= ? ORDER BY seq LIMIT ?", (since, ALARMS_PAGE)
            ).fetchall()
            if len(found) == ALARMS_PAGE:
                last = found[-1][0]
                found = [row for row in found if row[0] != last]
                found += connection.execute(f"{select} WHERE seq = ?", (last,)).fetchall()
        return [Alarm(seq, wrong, what, bool(taken)) for seq, wrong, what, taken in found]

    def forget(self) -> None:
        """Read the log anew from entry 0 on, after the operator declared it restored; alarms stay."""
        with self._changing() as (connection, _):
            for table in (*ROW_TABLES, "followed", "unchecked", "ids"):
                connection.execute(f"DELETE FROM {table}")
            # What is read anew raises its alarms anew; entries of the same numbers may be others now.
            connection.execute("UPDATE OR REPLACE wrongs SET taken = 0")
            self._edge = None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _drop_other_forms(self) -> None:
        """Of what another edition of the program wrote, keep the alarms alone, and what can't be read anew: when it was read."""
        with self._file.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone() != (FORM,):
                names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                there = [table for (table,) in names.fetchall()]
                for table in there:
                    if table not in ("alarms", "wrongs", *RECOVERED_TABLES):
                        connection.execute(f"DROP TABLE {table}")
                for statement in (*_STATE, *TABLES, f"PRAGMA user_version = {FORM}"):
                    connection.execute(statement)
                if "alarms" in there:  # they had no codes
                    connection.execute(
                        "INSERT OR IGNORE INTO wrongs SELECT seq, 'rules', what, taken FROM alarms"
                    )
                    connection.execute("DROP TABLE alarms")
            connection.execute("COMMIT")

    # One entry.

    def _read(self, connection: sqlite3.Connection, edge: _Edge, raw: bytes) -> None:
        """Judge and fold the next entry; raises Wrong for one that changes rights and isn't right."""
        seq, leaf = edge.size, leaf_hash(raw)
        try:
            entry = parse_entry(raw)
            link = entry.link
            if (link.seq, link.prev) != (seq, edge.tip) or entry.time < edge.time:
                raise Misfit("chain", "it doesn't follow the entry before it")
            if entry.time > edge.now + CLOCK_SKEW_MOST_MS:
                raise Misfit(
                    "clock",
                    f"its time {format_time(entry.time)} is more than an hour ahead of the keeper's clock",
                )
            if not seq and not self.is_first(raw):
                raise Misfit(
                    "log", "it is not the entry 0 that was read before: this is another log"
                )
            if self._judge(connection, edge, entry, leaf):
                for row in fold(entry, self._rows):
                    self._rows.put(row)
            name = waiting_name(entry)
            if name is not None and seq >= edge.believed:
                edge.waiting.setdefault(name, edge.now)
                remember(connection, name, edge.now)
        except (LedgerError, CryptoError, LookupError) as error:
            raise Wrong(alarm_about(seq, error, taken=False)) from error
        edge.tip, edge.time = leaf, entry.time
        edge.tree.append(leaf)
        edge.size += 1

    def is_first(self, raw: bytes) -> bool:
        """Whether an entry 0 is the one that was read before; any is, where none was."""
        return not self._pin.exists() or self._pin.read_text().strip() == leaf_hash(raw).hex()

    def _judge(
        self, connection: sqlite3.Connection, edge: _Edge, entry: Entry, leaf: bytes
    ) -> bool:
        """Whether it counts: of what neither changes rights nor fills records, what is wrong is an alarm and doesn't.

        Raises LedgerError or CryptoError for what changes rights or fills records.
        """
        kind, seq = entry.event.type, entry.link.seq
        if not kind.changes or kind.reading:
            try:
                check_waited(entry.sig.key, edge.waiting.get(entry.sig.key), edge.now)
                self._check_once(connection, edge, entry)
                self._check_decision(entry)
            except (LedgerError, LookupError) as error:
                self._raise_alarm(connection, alarm_about(seq, error))
                return False
            return True
        check_waited(entry.sig.key, edge.waiting.get(entry.sig.key), edge.now)
        self._check_once(connection, edge, entry)
        check_event(entry.event, entry.sig.key, seq, entry.time, self._origin, self._rows)
        if kind.name not in FILLING:
            self._check_decision(entry)
            self._check_signature(entry)
            return True
        try:
            self._check_decision(entry)
        except LedgerError as error:  # it bars its record; what comes after it names the record
            self._raise_alarm(connection, alarm_about(seq, error))
        edge.unchecked.append((seq, leaf))
        return True

    def _check_once(self, connection: sqlite3.Connection, edge: _Edge, entry: Entry) -> None:
        """It was signed about when it was appended, and was not appended before; raises LedgerError.

        So was the event inside a refusal. Ids are kept as long as an event could come again. Of what fills records
        they aren't: it creates the record, or its next version, which can't be created again.
        """
        event, time = entry.event, entry.time
        first = event.type.name == "ledger.created"
        policy = event.body["policy"] if first else policy_at(self._rows, time).policy
        # Of policies not in force yet, too: each waits for days once it is read, and no id is needed for so long.
        known = [policy, *(row.policy for row in self._rows.group(PolicyRow, LOG))]
        edge.skew = max(one["clock_skew_ms"] for one in known)
        signed = [event]
        if event.type.name == "access.refused":
            signed.append(nested_event(event)[0])
        for one in signed:
            if abs(one.at - time) > policy["clock_skew_ms"]:
                raise Misfit("clock", f"{one.id} was signed {abs(one.at - time)} ms from its entry")
            if event.type.name in FILLING:
                continue
            if (
                one.id in edge.ids
                or connection.execute("SELECT 1 FROM ids WHERE id = ?", (one.id,)).fetchone()
            ):
                raise Misfit("repeated", f"{one.id} stands in the log already")
        if event.type.name not in FILLING:
            edge.ids.update((one.id, time) for one in signed)

    def _check_decision(self, entry: Entry) -> None:
        """The decision is the one that the rules give; raises LedgerError."""
        if entry.decision is None:
            return
        event, sig = entry.event, entry.sig
        if event.type.name == "access.refused":
            event, sig = nested_event(event)
        key = self._rows.get(Key, sig.key)
        if key is None:
            raise Misfit("signer", f"it is signed by {sig.key}, a key that no entry registers")
        session = entry.decision.get("session")
        given = gate(event, key, entry.link.seq, entry.time, self._rows, session).decision
        if given != entry.decision:
            words = " ".join(
                f"{part.get('effect')} {part.get('rule')}" for part in (entry.decision, given)
            )
            raise Misfit("decision", f"its decision is not the one that the rules give: {words}")

    def _check_signature(self, entry: Entry) -> None:
        event, sig = entry.event, entry.sig
        if event.type.name == "ledger.created":
            public = b64decode(event.body["operator"]["public_key"], 32)  # as `check_event` saw to
        else:
            key = self._rows.get(Key, sig.key)
            if key is None or key.account != event.actor:
                raise Misfit(
                    "signer", f"it is signed by {sig.key}, which is not a key of its actor"
                )
            public = key.public
        verify(public, sig.value, sig.message(self._origin, event.raw))

    def _check(self, connection: sqlite3.Connection, seq: int, raw: bytes) -> bool:
        """True: the signature of an entry holds, and is never looked at again. Raises KeeperRefused where it doesn't."""
        try:
            self._check_signature(parse_entry(raw))
        except (LedgerError, CryptoError) as error:
            self._raise_alarm(connection, alarm_about(seq, error))
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
            raise KeeperRefused(f"entry {seq} is not what the rules give: {error}") from error
        connection.execute("DELETE FROM unchecked WHERE seq = ?", (seq,))
        return True

    def _raise_alarm(self, connection: sqlite3.Connection, alarm: Alarm) -> None:
        _LOG.error("ALARM: entry %d: %s", alarm.seq, alarm.what)
        connection.execute(
            "INSERT OR IGNORE INTO wrongs SELECT ?, ?, ?, ? WHERE ? "
            "OR (SELECT count(*) FROM wrongs WHERE NOT taken) < ?",
            (alarm.seq, alarm.wrong, alarm.what, alarm.taken, alarm.taken, REFUSED_KEPT),
        )

    # The file.

    @contextmanager
    def _changing(self) -> Iterator[tuple[sqlite3.Connection, _Edge]]:
        """A transaction on what was read so far; rolled back, and nothing of it kept, where anything is raised."""
        with self._file.using() as connection:
            self._rows.connection = connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection, self._at(connection)
            except BaseException:
                self._edge = None
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _at(self, connection: sqlite3.Connection) -> _Edge:
        """Where the reading stands; what another process read since isn't taken from memory."""
        row = connection.execute("SELECT size, tip, time, edge FROM followed").fetchone()
        size, tip, time, edge = row or (0, ZERO, 0, b"")
        if self._edge is None or (self._edge.size, self._edge.tip) != (size, tip):
            self._rows.forget()
            self._edge = _Edge(size, tip, time, Frontier(size))
            self._edge.tree.stack = hashes_of(edge)
        return self._edge

    def _write(self, connection: sqlite3.Connection, edge: _Edge) -> None:
        self._rows.write()
        connection.executemany("INSERT INTO unchecked VALUES (?, ?)", edge.unchecked)
        connection.executemany("INSERT INTO ids VALUES (?, ?)", edge.ids.items())
        connection.execute("DELETE FROM ids WHERE time < ?", (edge.time - 2 * edge.skew,))
        edge.unchecked.clear()
        edge.ids.clear()
        state = (1, edge.size, edge.tip, edge.time, b"".join(edge.tree.stack))
        connection.execute("INSERT OR REPLACE INTO followed VALUES (?, ?, ?, ?, ?)", state)


def _unchecked(connection: sqlite3.Connection, rests: Iterable[int]) -> dict[int, bytes]:
    """Of entries that a reading rests on, those whose signature was not checked yet, with their leaf hash.

    Raises KeeperRefused where there is an alarm about one of them.
    """
    found, seqs = dict[int, bytes](), sorted(rests)
    for start in range(0, len(seqs), ASKED_AT_ONCE):
        part = seqs[start : start + ASKED_AT_ONCE]
        among = f"seq IN ({','.join('?' * len(part))})"
        query = (
            f"SELECT seq, what, NULL FROM wrongs WHERE taken AND {among} "
            f"UNION ALL SELECT seq, NULL, leaf FROM unchecked WHERE {among}"
        )
        for seq, what, leaf in connection.execute(query, (*part, *part)):
            if what is not None:
                raise KeeperRefused(f"entry {seq} is not what the rules give: {what}")
            found[seq] = leaf
    return found


def _check_under(edge: _Edge, shown: Checkpoint, proof: Sequence[bytes]) -> None:
    """What was read lies under the checkpoint; raises ProofError."""
    if edge.size > shown.size:
        raise ProofError(f"got entries up to {edge.size}, and a checkpoint of {shown.size}")
    root = edge.root()
    if edge.size == shown.size:
        if root != shown.root:
            raise ProofError("the entries are not those under the checkpoint")
    else:
        check_consistency(edge.size, root, shown.size, shown.root, proof)
