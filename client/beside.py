"""Signed beside the data, many at a time: what imports and the operator's commands append."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from client.local_sessions import session_proposals
from client.sessions import SessionActor
from client.signers import Signed, Signer, sign, signer_of
from client.signers import propose as proposed
from identity.actors import Actor
from journeys.appending import submit
from journeys.errors import NotThere
from ledger.entry import Entry
from ledger.event import BUNDLE_LIMIT
from ledger.facts import Record, version_of
from ledger.sequencer import Proposal
from records.uploads import Upload, Uploaded, draft
from storage.ledger import Ledger


def propose(
    ledger: Ledger, actor: Actor, events: Sequence[Mapping[str, Any]],
    signer: Callable[[Actor], Signer] = signer_of,
) -> list[Proposal]:  # fmt: skip
    """Events of one actor, signed by `signer(actor)`: one by itself, several as bundles.

    Of whoever holds a session each is signed by itself, with the key that the service keeps.
    """
    if isinstance(actor, SessionActor):
        return session_proposals(ledger, actor, events)
    by = signer(actor)
    parts = [events[start : start + BUNDLE_LIMIT] for start in range(0, len(events), BUNDLE_LIMIT)]
    signed = [sign(by, proposed(ledger.origin, actor, part)) for part in parts]
    return [proposal for one in signed for proposal in proposals_of(ledger, one)]


def proposals_of(ledger: Ledger, signed: Signed) -> list[Proposal]:
    """What was signed, as the log takes it; raises Refused for a signature that doesn't hold."""
    raws, checks = signed.proposal.raws, ledger.signatures
    if len(raws) == 1:
        return [checks.event(raws[0], signed.key, signed.value)]
    return checks.bundle(raws, signed.key, signed.value)


def append(
    ledger: Ledger, actor: Actor, events: Sequence[Mapping[str, Any]], atomic: bool = False
) -> list[Entry]:
    """Append events of one actor, in order; raises the first refusal or denial.

    `atomic`: all of them or none; then the refusal that undid the others is raised.
    """
    return submit(ledger, propose(ledger, actor, events), atomic)


def upload(
    ledger: Ledger, actor: Actor, uploads: Sequence[Upload], purpose: str = "TREAT"
) -> list[Uploaded]:
    """Upload new records and new versions under one signature; in order. Raises NotThere for an unknown patient."""
    drafts = draft(ledger, actor.account, uploads, purpose)
    events = [actor.event(d.kind, d.stream, d.body, d.now, d.event) for d in drafts]
    entries = append(ledger, actor, events)
    return [d.uploaded(entry.link.seq) for d, entry in zip(drafts, entries, strict=True)]


def reading(
    ledger: Ledger, actor: Actor, record: Record, purpose: str, version: int | None = None
) -> Proposal:
    """A signed `record.opened` of a version (by default the latest)."""
    wanted = version_of(record, len(record.versions) if version is None else version)
    if wanted is None:
        raise NotThere(f"{record.record} has versions 1 to {len(record.versions)}, not {version}")
    body = {
        "blob": wanted.blob,
        "purpose": purpose,
        "record": record.record,
        "version": wanted.version,
    }
    event = actor.event("record.opened", f"patient/{record.patient}", body, ledger.clock())
    return propose(ledger, actor, [event])[0]
