"""The history of a patient: every act on the chart, provably complete; itself a reading that stands in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from durable.errors import NotFound
from journeys.names import hospital_names, staff_names
from journeys.sealing import object_key
from journeys.unopened import tell_unopened
from keeper.errors import KeeperRefused
from keeper.protocol import SealedField, SealedObject
from ledger.codes import DISCLOSED_LISTS
from ledger.directory import Patient
from ledger.entry import Entry, nested_event
from ledger.sequencer import Proposal
from records.opening import SettledReading, settle
from storage.evidence import Proofs, ask_keeper, of_reading
from storage.keytable import with_keys
from storage.ledger import Ledger

DISCLOSED_TEXTS = ("address", "description", "recipient", "statement")
"""What is written of a disclosure, by the names of its sealed fields."""
LIST_NAMES = tuple(f"list_{letter}" for letter in "abcdefghijklmnop"[:DISCLOSED_LISTS])
"""The names of the sealed pieces of its list."""


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
    on_behalf_of: str = ""
    """The account on whose behalf it was done; empty: nobody's."""


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
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """For the patient: what authors wrote for them, by the number of the entry and the field's name; fields that can't be opened
    are left out, and of a chart that was erased all."""

    def losses(self) -> list["Loss"]:
        """The spans of the log that were lost, in order: what stood there may be missing here."""
        return [loss(Entry.parse(raw)) for raw in self.restored]

    def unopened(self) -> dict[str, tuple[str, ...]]:
        """The fields that can't be opened, of those that were to be shown: by the number of the entry, where there are any."""
        shown = (
            one for raw in self.entries if str((one := Entry.parse(raw)).link.seq) in self.texts
        )
        found = {str(one.link.seq): sealed_texts(one).keys() for one in shown}
        missing = {
            seq: tuple(sorted(names - self.texts[seq].keys())) for seq, names in found.items()
        }
        return {seq: names for seq, names in missing.items() if names}

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
    texts = _texts(ledger, reading, stream)
    return History(entry, tuple(one.raw for one in stream), names, restored, texts)


def sealed_texts(entry: Entry) -> dict[str, str]:
    """The sealed fields of an entry that are written for the patient, by the names under which they were sealed."""
    name, body = entry.event.type.name, entry.event.body
    if name in ("emergency.declared", "emergency.reviewed"):
        return {"text": body["text"]}
    if name in ("access.requested", "consultation.noted", "consultation.opened", "referral.sent"):
        return {"words": body["words"]}
    if name == "record.disclosed":
        return disclosed_fields(body)
    if name == "disclosure.suspended":
        return disclosed_fields(body["disclosed"]) | {"order": body["order"]}
    return {}


def disclosed_fields(disclosed: Mapping[str, Any]) -> dict[str, str]:
    """The sealed fields of a disclosure, by the names under which they were sealed; see `client.disclosing`."""
    pieces = dict(zip(LIST_NAMES, disclosed["list"], strict=False))
    return {name: disclosed[name] for name in DISCLOSED_TEXTS if name in disclosed} | pieces


def _texts(
    ledger: Ledger, reading: SettledReading, stream: Sequence[Entry]
) -> dict[str, dict[str, str]]:
    """What authors wrote for the patient, for patients alone."""
    entry = reading.entry
    sealed = [(one, fields) for one in stream if (fields := sealed_texts(one))]
    if not sealed or entry.decision is None or entry.decision["rule"] != "S5":
        return {}
    shown = of_reading(ledger, reading.committed, entry)
    opened = open_texts(ledger, shown, entry.event.subject, sealed)
    return {str(one.link.seq): texts for (one, _), texts in zip(sealed, opened, strict=True)}


def open_texts(
    ledger: Ledger, shown: Proofs, patient: str, sealed: Sequence[tuple[Entry, dict[str, str]]]
) -> list[dict[str, str]]:
    """The texts of these entries, by the names of their fields, without those that can't be opened; `shown`: the reading.

    Of a chart that was erased, or is to be, none. Raises KeeperRefused.
    """

    def asked() -> list[SealedObject]:
        key = object_key(ledger.keys, patient, patient)
        return [SealedObject(key, _fields(one, named)) for one, named in sealed]

    if _erased(ledger, patient):
        return [{} for _ in sealed]
    try:
        texts = with_keys(
            asked,
            lambda objects: ask_keeper(
                ledger, shown, lambda found: ledger.keeper.open_fields(found, objects)
            ),
        )
    except (KeeperRefused, NotFound):
        if _erased(ledger, patient):  # meanwhile
            return [{} for _ in sealed]
        raise
    found = [
        {name: text for name, text in zip(named, opened, strict=True) if text is not None}
        for (_, named), opened in zip(sealed, texts, strict=True)
    ]
    tell_unopened(
        [
            one.event.id
            for (one, named), opened in zip(sealed, found, strict=True)
            if named.keys() != opened.keys()
        ]
    )
    return found


def _erased(ledger: Ledger, patient: str) -> bool:
    """Whether the words on a chart get no key any more: that of the chart goes with it."""
    row = ledger.row(Patient, patient)
    return row is not None and bool(row.erased)


def _fields(entry: Entry, named: Mapping[str, str]) -> tuple[SealedField, ...]:
    """The sealed fields of an entry; what is told later was sealed for the event by which the hospital recorded it."""
    event = entry.event
    sealed_for = event.body.get("disclosure", event.id)
    return tuple(SealedField(event.stream, sealed_for, name, text) for name, text in named.items())


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
        inner.value.get("on_behalf_of", ""),
    )


def _names(ledger: Ledger, acts: Sequence[Act]) -> dict[str, str]:
    """The names of the hospitals and of those of their people who acted."""
    people = sorted({act.actor for act in acts if act.hospital})
    hospitals = sorted({act.hospital for act in acts if act.hospital})
    return hospital_names(ledger, hospitals) | staff_names(ledger, people)
