"""The current chart: what stands in it and, for the patient, who may read each record."""

from dataclasses import dataclass

from consent.decide import carrying
from consent.explain import readers
from identity.actors import Caller
from identity.strength import check_two_factors
from journeys.errors import NotThere
from journeys.sealing import object_key
from journeys.unopened import tell_unopened
from keeper.protocol import SealedField, SealedObject
from ledger.directory import Patient
from ledger.entry import Entry
from ledger.facts import EmergencySetting, Exclusion, Grant, Record
from ledger.sequencer import Proposal
from records.opening import SettledReading, settle
from storage.evidence import ask_keeper, of_reading
from storage.keytable import with_keys
from storage.ledger import Ledger


@dataclass(frozen=True)
class Line:
    """One record of a chart, as of the entry that opened the chart."""

    record: Record
    title: str
    """Shown to the patient; others see it when they open the record."""
    readers: tuple[str, ...]
    """Whom the patient's grants let read it; told to the patient only."""
    unopened: bool = False
    """Whether it has a title that can't be opened."""


@dataclass(frozen=True)
class Chart:
    """A chart as its reader may see it."""

    entry: Entry
    lines: tuple[Line, ...]
    more_in_emergency: bool
    """Whether to say that more may be there in an emergency; it doesn't tell whether there is."""
    held: tuple[str, ...] = ()
    """Records that the hospitals which wrote them hold back from the reader for a while: that they are there, and no more."""


def open_chart(ledger: Ledger, proposal: Proposal) -> Chart:
    """Append a signed `chart.opened`; gives the list, filtered record by record, in this call alone.

    Raises AccessDenied, AlreadyUsed or Refused.
    """
    return list_chart(ledger, settle(ledger, proposal))


def list_chart(ledger: Ledger, reading: SettledReading) -> Chart:
    """The list of a settled `chart.opened`; see `open_chart`."""
    entry, shown = reading.entry, reading.shown
    held = tuple(record.record for record in reading.masked)
    if entry.decision is None or entry.decision["rule"] != "S5":
        in_emergency = entry.decision is not None and entry.decision["rule"] == "S8"
        lines = tuple(Line(record, "", ()) for record in shown)
        return Chart(entry, lines, not in_emergency, held)
    patient = entry.event.subject
    row = ledger.row(Patient, patient)
    joined, bound = (row.joined, row.bound) if row is not None else ((), ())
    grants = [g for chart in (patient, *joined) for g in ledger.live_grants(chart, entry.time)]
    exclusions = tuple(
        e for chart in (patient, *bound) for e in ledger.rows(Exclusion, "patient", chart)
    )
    titles = _titles(ledger, reading)

    def may_read(record: Record) -> tuple[str, ...]:
        counting = (g for g in grants if g.patient == patient or carrying(g, record, row))
        return readers(record, tuple(counting), exclusions, entry.time)

    listed = [
        Line(
            record,
            titles.get(record.record, "") or "",
            may_read(record),
            titles.get(record.record, "") is None,
        )
        for record in shown
    ]
    return Chart(entry, tuple(listed), False, held)


@dataclass(frozen=True)
class Me:
    """Who is signed in, and the charts whose patient they are."""

    account: str
    hospital: str
    """Empty for roles that no hospital gives."""
    patients: tuple[str, ...]
    role: str


def me(ledger: Ledger, caller: Caller) -> Me:
    """The caller's account, hospital and role, and the charts whose patient they are."""
    charts = ledger.rows(Patient, "account", caller.account)
    patients = tuple(sorted(chart.patient for chart in charts if chart.is_of(caller.account)))
    return Me(caller.account, caller.hospital, patients, caller.role)


@dataclass(frozen=True)
class Consents:
    """What a patient granted (the ruling grant of each lineage) and excluded, in the order of the entries."""

    exclusions: tuple[Exclusion, ...]
    grants: tuple[Grant, ...]
    emergency: EmergencySetting | None = None
    """How far doctors see in an emergency; None where the patient said nothing of it."""


def consents(ledger: Ledger, caller: Caller, patient: str) -> Consents:
    """Grants and exclusions on a chart of the caller's own; raises NotThere for others', SecondFactorNeeded.

    Whoever has a patient's password alone must not learn whom the patient excluded: no entry says that they looked.
    """
    check_own_chart(ledger, caller, patient)
    check_two_factors(caller, "what a patient consented to")
    grants = sorted(ledger.rows(Grant, "patient", patient), key=lambda grant: grant.seq)
    exclusions = sorted(ledger.rows(Exclusion, "patient", patient), key=lambda e: e.seq)
    setting = ledger.row(EmergencySetting, patient)
    return Consents(tuple(exclusions), tuple(grants), setting)


def check_own_chart(ledger: Ledger, caller: Caller, patient: str) -> None:
    """Raises NotThere unless the caller is the patient of the chart."""
    row = ledger.row(Patient, patient)
    if row is None or not row.is_of(caller.account):
        raise NotThere(f"{patient} is not your chart")


def _titles(ledger: Ledger, reading: SettledReading) -> dict[str, str | None]:
    """The titles of the latest versions, where they have one, by record; None: it can't be opened."""
    entries = ledger.entries([record.versions[-1].seq for record in reading.shown])
    events = [entry.event for entry in entries.values() if "title" in entry.event.body]
    shown = of_reading(ledger, reading.committed, reading.entry)

    def sealed() -> list[SealedObject]:
        return [
            SealedObject(
                object_key(ledger.keys, event.subject, event.body["record"]),
                (SealedField(event.stream, event.id, "title", event.body["title"]),),
            )
            for event in events
        ]

    texts = with_keys(
        sealed,
        lambda titles: ask_keeper(
            ledger, shown, lambda found: ledger.keeper.open_fields(found, titles)
        ),
    )
    found = [(event, text) for event, (text,) in zip(events, texts, strict=True)]
    tell_unopened([event.id for event, text in found if text is None])
    return {event.body["record"]: text for event, text in found}
