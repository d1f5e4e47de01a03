"""What was acknowledged, and whether it stands: the checks that every run ends a case with."""

import hashlib
from dataclasses import dataclass, field

from consent.auditor import audit_export
from crypto.blobs import sealed_length
from crypto.encoding import b64decode
from durable.errors import NotFound
from ledger.entry import Entry
from ledger.facts import BEGUN, COMPLETED, Erasure
from ledger.merkle import leaf_hash
from storage.exports import write_export
from storage.keytable import named_objects
from storage.ledger import Ledger
from storage.sql.views import rebuild
from tests.support.ledger_fixture import LedgerFixture, vkeys

BLOB_EVENTS = ("record.uploaded", "record.amended")


class Lost(AssertionError):
    """Something was acknowledged and does not stand."""


class Wrong(AssertionError):
    """Something is half there, told untruly, or does not go on."""


@dataclass
class Witness:
    """What was acknowledged so far, and how far the log was looked at."""

    acknowledged: int = 0
    looked_at: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def check(self, ledger: Ledger, lines: list[str]) -> None:
        """Every acknowledged event (`ID NUMBER LEAF`) is there byte for byte; every new entry is whole."""
        for line in lines:
            self.stands(ledger, *line.split(" "))
        self.acknowledged += len(lines)
        size = ledger.head().size
        with ledger.database.read() as connection:
            raws = ledger.store.range(connection, self.looked_at, size)
        entries = [Entry.parse(raw) for raw in raws]
        if [e.link.seq for e in entries] != list(range(self.looked_at, size)):
            raise Wrong(f"entries {self.looked_at} to {size} are not all there, each once")
        assert_keys(ledger, entries)
        for entry in entries:
            name = entry.event.type.name
            self.counts[name] = self.counts.get(name, 0) + 1
        self.looked_at = size

    def stands(self, ledger: Ledger, event: str, seq: str, leaf: str) -> None:
        """Raises Lost unless the entry is the one that was acknowledged."""
        try:
            entry = ledger.entry(int(seq))
        except NotFound as error:
            raise Lost(f"{event} was acknowledged as entry {seq}: {error}") from error
        if (entry.event.id, leaf_hash(entry.raw).hex()) != (event, leaf):
            raise Lost(f"{event} was acknowledged as entry {seq}, which is {entry.event.id}")


def assert_keys(ledger: Ledger, entries: list[Entry]) -> None:
    """Whatever the entries name and nobody had erased has its key rows, and every blob is whole; raises Wrong."""
    gone = {e.event.subject: _erased(ledger, e.event.subject) for e in entries}
    names = {name for entry in entries for name in named_objects(entry.event)}
    bodies = {
        e.event.body["blob"]: e
        for e in entries
        if e.event.type.name in BLOB_EVENTS
        and gone[e.event.subject].isdisjoint({"", e.event.body["record"]})
    }
    names |= {(e.event.body["record"], e.event.subject) for e in bodies.values()}
    names = {(o, s) for o, s in names if gone.get(s, frozenset()).isdisjoint({"", o})}
    with ledger.database.read() as connection:
        objects = ledger.keys.object_keys(connection, list(names))
        blobs = {key.blob: key for key in ledger.keys.blob_keys(connection, list(bodies))}
    if missing := names - {(key.object, key.subject) for key in objects}:
        raise Wrong(f"entries name objects without keys: {missing}")
    if missing_blobs := bodies.keys() - blobs.keys():
        raise Wrong(f"entries name blobs without keys: {missing_blobs}")
    for blob, entry in bodies.items():
        body, key = entry.event.body, blobs[blob]
        of = (entry.event.subject, body["record"], entry.event.actor)
        if (key.patient, key.record, key.author, key.sha256) != (
            *of,
            b64decode(body["sha256"], 32),
        ):
            raise Wrong(f"the key of {blob} is not of entry {entry.link.seq}")
        digest = hashlib.sha256(b"".join(ledger.blobs.read(blob))).digest()
        if (ledger.blobs.size(blob), digest) != (sealed_length(body["size"]), key.sha256):
            raise Wrong(f"{blob} of entry {entry.link.seq} is not whole")


def _erased(ledger: Ledger, subject: str) -> frozenset[str]:
    """The records of a patient whose erasure has begun; of a whole chart the empty text."""
    asked = ledger.rows(Erasure, "patient", subject)
    return frozenset(one.record for one in asked if one.state in (BEGUN, COMPLETED))


def everything_holds(fixture: LedgerFixture) -> None:
    """The log verifies, every decision is the rules', the views are those of the log; raises Wrong."""
    if fixture.verify().size != fixture.size():
        raise Wrong("an export is shorter than the log")
    target = fixture.settings.data.with_name(f"audited-{fixture.exports}")
    write_export(fixture.ledger, target)
    if audit_export(target, vkeys(fixture.settings)).wrong:
        raise Wrong("the audit finds decisions that the rules do not give")
    if differences := rebuild(fixture.ledger.store, swap=False).differences:
        raise Wrong(f"the views are not those of the log: {differences}")
