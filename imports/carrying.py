"""What a record holds now, for the next version that its own hospital's system makes of it."""

from client.beside import propose
from identity.actors import Actor
from journeys.errors import RecordsError
from ledger.facts import Record
from records.opening import release, settle, stream
from storage.ledger import Ledger


def current_content(ledger: Ledger, actor: Actor, record: Record) -> bytes:
    """The newest version's content, against a `record.carried` of `actor`, a system of the record's hospital.

    It goes into the next version and nowhere else: nobody is shown it. Still it is opened, so an entry says so
    first. Raises RecordsError for a version that no system wrote, before anything is appended; AccessDenied.
    """
    version = record.versions[-1]
    written = ledger.kept_entry(version.seq)
    if written.event.role != "hospital_system":
        raise RecordsError(
            f"entry {version.seq} is by a {written.event.role}, expected a version that a system wrote"
        )
    body = {
        "blob": version.blob,
        "purpose": "HOPERAT",
        "record": record.record,
        "version": version.version,
    }
    event = actor.event("record.carried", f"patient/{record.patient}", body, ledger.clock())
    (proposal,) = propose(ledger, actor, [event])
    return b"".join(stream(ledger, release(ledger, settle(ledger, proposal))))
