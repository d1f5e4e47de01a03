"""The history of a patient: every act on the chart, itself a reading that stands in it."""

from dataclasses import dataclass

from identity.actors import Actor
from ledger.entry import Entry, nested_reading
from records.appending import append
from storage.ledger import Ledger


@dataclass(frozen=True)
class Act:
    """One act: who did what, in which role and for what, and how it was decided. No names, no content."""

    seq: int
    time: str
    type: str
    actor: str
    role: str
    hospital: str
    purpose: str
    effect: str
    """permit, deny, or empty where nothing is decided."""
    rule: str
    basis: tuple[int, ...]
    record: str


def history(ledger: Ledger, actor: Actor, patient: str, purpose: str) -> tuple[int, list[Act]]:
    """Append `history.opened`; gives its number and every act before it, in order."""
    stream = f"patient/{patient}"
    event = actor.event("history.opened", stream, {"purpose": purpose}, ledger.clock())
    entry = append(ledger, actor, [event])[0]
    acts = [act(one) for one in ledger.stream(stream, entry.link.seq)]
    return entry.link.seq, acts


def act(entry: Entry) -> Act:
    """An entry as an act; of a refusal, the act that was refused."""
    event = entry.event
    inner = nested_reading(event)[0] if event.type.name == "access.refused" else event
    decision = entry.decision or {}
    return Act(
        entry.link.seq,
        str(event.value["at"]),
        inner.type.name,
        inner.actor,
        inner.role,
        inner.hospital,
        inner.body.get("purpose", ""),
        decision.get("effect", ""),
        decision.get("rule", ""),
        tuple(decision.get("basis", ())),
        inner.body.get("record", ""),
    )
