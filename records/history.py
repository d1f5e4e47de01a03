"""The history of a patient: every act on the chart, provably complete; itself a reading that stands in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from journeys.names import hospital_names, staff_names
from ledger.entry import Entry, nested_event
from ledger.sequencer import Proposal
from records.opening import SettledReading, settle
from storage.ledger import Ledger


@dataclass(frozen=True)
class Act:
    """One act: who did what, in which role and for what, and how it was decided. No content."""

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
    reason: str
    basis: tuple[int, ...]
    record: str


@dataclass(frozen=True)
class Loss:
    """What a `ledger.restored` says: the log went on from `size` entries, and `last_size` were known."""

    seq: int
    time: str
    """Of the operator's clock."""
    size: int
    last_size: int

    def __str__(self) -> str:
        """As it is told."""
        if self.last_size <= self.size:
            span = "how many are lost is not known"
        else:
            span = f"entries {self.size} to {self.last_size - 1} had been acknowledged and are lost"
        return (
            f"restored from a backup at {self.time[:19].replace('T', ' ')} (entry {self.seq}): {span}; a grant, "
            "revocation or exclusion of that span does not count any more, and readings in it are not shown"
        )


@dataclass(frozen=True)
class History:
    """All entries of a patient's stream up to and with the `history.opened` that asked for them."""

    entry: Entry
    entries: tuple[bytes, ...]
    """The stored bytes, in order; the last is `entry`."""
    names: dict[str, str]
    """Hospitals and their people, by id; for auditors none."""
    restored: tuple[bytes, ...] = ()
    """The stored bytes of every `ledger.restored` of the log before `entry`, in order."""

    def losses(self) -> list["Loss"]:
        """The spans of the log that were lost, in order: what stood there may be missing here."""
        return [loss(Entry.parse(raw)) for raw in self.restored]

    def acts(self) -> list[Act]:
        """What happened before this look, in order."""
        return [act(Entry.parse(raw)) for raw in self.entries[:-1]]


def open_history(ledger: Ledger, proposal: Proposal) -> History:
    """Append a signed `history.opened`; gives the whole stream, in this call alone.

    Raises AccessDenied, AlreadyUsed or Refused.
    """
    return read_history(ledger, settle(ledger, proposal))


def read_history(ledger: Ledger, reading: SettledReading) -> History:
    """The history of a settled `history.opened`; see `open_history`."""
    entry = reading.entry
    stream = ledger.stream(entry.event.stream, entry.link.seq + 1)
    acts = [act(one) for one in stream]
    names = {} if entry.event.role == "auditor" else _names(ledger, acts)
    restored = tuple(one.raw for one in ledger.restorations(entry.link.seq))
    return History(entry, tuple(one.raw for one in stream), names, restored)


def loss(entry: Entry) -> Loss:
    """What a `ledger.restored` says."""
    event = entry.event
    return Loss(entry.link.seq, str(event.value["at"]), event.body["size"], event.body["last_size"])


def act(entry: Entry) -> Act:
    """An entry as an act; of a refusal, the act that was refused."""
    event = entry.event
    inner = nested_event(event)[0] if event.type.name == "access.refused" else event
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
        decision.get("reason", ""),
        tuple(decision.get("basis", ())),
        inner.body.get("record", ""),
    )


def _names(ledger: Ledger, acts: Sequence[Act]) -> dict[str, str]:
    """The names of the hospitals and of those of their people who acted."""
    people = sorted({act.actor for act in acts if act.hospital})
    hospitals = sorted({act.hospital for act in acts if act.hospital})
    return hospital_names(ledger, hospitals) | staff_names(ledger, people)
