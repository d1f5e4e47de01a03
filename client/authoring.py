"""What authors sign: upload, amend, retract. (Imports, which run beside the data, go through `beside`.)"""

from dataclasses import replace
from typing import Any

from client.port import LedgerClient
from crypto.encoding import b64encode
from identity.actors import Actor, new_id
from journeys.sealing import Sealed
from records.uploads import Upload, Uploaded, members_of


def upload(client: LedgerClient, actor: Actor, one: Upload, purpose: str = "TREAT") -> Uploaded:
    """Upload one new record: staged first, then appended."""
    return _send(client, actor, "record.uploaded", one, "", 1, purpose)


def amend(
    client: LedgerClient, actor: Actor, record: str, one: Upload, purpose: str = "TREAT"
) -> Uploaded:
    """Append a new version of a record; the versions before stay readable."""
    address = client.address(actor, record)
    version = len(address.blobs) + 1
    amended = replace(one, patient=address.patient)
    return _send(client, actor, "record.amended", amended, record, version, purpose)


def retract(client: LedgerClient, actor: Actor, record: str, purpose: str) -> int:
    """Retract a record: it stays in the log, and only its author's hospital and the patient go on reading it."""
    address = client.address(actor, record)
    body = {"purpose": purpose, "record": record}
    event = actor.event("record.retracted", f"patient/{address.patient}", body, client.now())
    return client.append(actor, [event])[0].seq


def _send(
    client: LedgerClient,
    actor: Actor,
    kind: str,
    one: Upload,
    record: str,
    version: int,
    purpose: str,
) -> Uploaded:
    staged = client.stage(actor, one.patient, one.content, record)
    now = client.now()
    event_id = new_id("ev", now)
    texts = {"file_name": one.file_name, "title": one.title}
    texts = {name: text for name, text in texts.items() if text}
    made = Sealed({}, [], False)
    if texts or one.labels:
        made = client.seal(actor, one.patient, staged.record, event_id, texts, one.labels)
    body: dict[str, Any] = members_of(one) | {
        "blob": staged.blob,
        "purpose": purpose,
        "record": staged.record,
        "sha256": b64encode(staged.sha256),
        "size": staged.size,
        "version": version,
        **made.fields,
    }
    if made.codes:
        body["labels"] = made.codes
    if made.minor_private:
        body["minor_private"] = True
    event = actor.event(kind, f"patient/{one.patient}", body, now, event_id)
    if actor.role == "relative":
        event |= {"v": 2}
    seq = client.append(actor, [event])[0].seq
    return Uploaded(staged.record, staged.blob, seq, staged.size, staged.sha256)
