"""What readers sign: open a record, a chart, a history; download a whole chart."""

from collections.abc import Sequence
from typing import Any

from client.port import LedgerClient
from crypto.encoding import b64encode
from crypto.notes import VerifierKey
from identity.actors import Actor
from journeys.errors import NotThere
from ledger.errors import ProofError
from ledger.event import Event
from ledger.histories import HistoryProof, check_history, proved_history
from ledger.receipt import Receipt
from records.charts import Chart
from records.exporting import ExportedRecord, commitment, listed
from records.history import History
from records.opening import OpenedRecord


def read(
    client: LedgerClient, actor: Actor, record: str, purpose: str, version: int | None = None
) -> tuple[str, OpenedRecord]:
    """Open a version of a record (by default the latest); gives its patient and the content."""
    address = client.address(actor, record)
    number = len(address.blobs) if version is None else version
    if not 0 < number <= len(address.blobs):
        raise NotThere(f"{record} has versions 1 to {len(address.blobs)}, not {version}")
    body = {
        "blob": address.blobs[number - 1],
        "purpose": purpose,
        "record": record,
        "version": number,
    }
    return address.patient, client.open(
        actor, _event(client, actor, "record.opened", address.patient, body)
    )


def chart(client: LedgerClient, actor: Actor, patient: str, purpose: str) -> Chart:
    """Look at a chart's list."""
    return client.chart(actor, _event(client, actor, "chart.opened", patient, {"purpose": purpose}))


def history(client: LedgerClient, actor: Actor, patient: str, purpose: str) -> History:
    """Look at everything that was done on a chart; raises ProofError if anything is missing from it."""
    event = _event(client, actor, "history.opened", patient, {"purpose": purpose})
    found = client.history(actor, event)
    entries = check_history(found.entries)
    if not entries or entries[-1].event.raw != Event.of(event).raw:
        raise ProofError("the history does not end with the look that asked for it")
    return found


def prove(
    client: LedgerClient, actor: Actor, found: History, keys: Sequence[VerifierKey]
) -> HistoryProof:
    """Check that a history is all there is: its last entry, which holds the hashes of those before it, is the
    one that its receipt proves to be in the log of these keys. Gives the proof; raises ProofError or NoteError."""
    text, _ = client.receipt(actor, found.entry.link.seq)
    receipt = Receipt.parse(text)
    receipt.verify(keys)
    return proved_history(found.entries, receipt)


def export(
    client: LedgerClient, actor: Actor, patient: str, purpose: str
) -> tuple[Chart, list[ExportedRecord]]:
    """Download the latest version of every record of a chart; gives the list and the content."""
    seen = chart(client, actor, patient, purpose)
    records = [line.record for line in seen.lines if line.record.state != "shredded"]
    wanted: Sequence[tuple[str, int]] = listed(records)
    count, root = commitment(records, wanted)
    body = {"count": count, "purpose": purpose, "root": b64encode(root)}
    return seen, client.export(
        actor, _event(client, actor, "chart.exported", patient, body), wanted
    )


def _event(
    client: LedgerClient, actor: Actor, kind: str, patient: str, body: dict[str, Any]
) -> dict[str, Any]:
    return actor.event(kind, f"patient/{patient}", body, client.now())
