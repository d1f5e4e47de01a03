"""Requests for access as those see them who may: whoever asked, the patient, and the hospital that is asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from identity.actors import Caller
from identity.strength import check_two_factors
from journeys.errors import Forbidden, NotThere
from journeys.names import staff_names
from ledger.asking import OPEN, AccessRequest
from ledger.directory import Group, GroupMember, Patient
from ledger.facts import Exclusion
from ledger.relations import GUARDIAN, Relation
from storage.ledger import Ledger

LISTED = 200
"""Most requests of one list: the newest, and first those that wait for an answer."""


@dataclass(frozen=True)
class RequestStanding:
    """A request for access, and how it stands."""

    request: AccessRequest
    name: str
    """Of a doctor who asks; empty for relatives."""
    state: str
    """open, lapsed, granted, declined, disclosed or referred."""


@dataclass(frozen=True)
class Requests:
    """Requests for access: those that wait, by entry, then the others, the newest first."""

    requests: tuple[RequestStanding, ...]


def own_requests(ledger: Ledger, caller: Caller) -> Requests:
    """What the caller asked for, in this role and for this hospital. To the excluded it looks as if nobody had answered yet."""
    rows = ledger.rows(AccessRequest, "asker", caller.account)
    mine = (r for r in rows if (r.role, r.hospital) == (caller.role, caller.hospital))
    return _listed(ledger, mine)


def requests_of(ledger: Ledger, caller: Caller, patient: str) -> Requests:
    """What is asked about a chart of the caller's own, or of somebody for whom the caller may grant.

    What somebody asks who is excluded is told to nobody. Raises NotThere for others' charts, SecondFactorNeeded.
    """
    row = ledger.row(Patient, patient)
    if row is None or not (row.is_of(caller.account) or grants_for(ledger, caller, row)):
        raise NotThere(f"{patient} is not your chart")
    check_two_factors(caller, "who asks a patient for access")
    found = ledger.rows(AccessRequest, "patient", patient)
    return _listed(ledger, (r for r in found if r.asks_patient() and not kept_out(ledger, r)))


def requests_to(ledger: Ledger, caller: Caller, hospital: str) -> Requests:
    """What a hospital is asked for of its own records, for its admins; raises Forbidden."""
    if (caller.role, caller.hospital) != ("hospital_admin", hospital):
        raise Forbidden(f"what {hospital} is asked for is shown to its admins alone")
    found = ledger.rows(AccessRequest, "addressee", hospital)
    return _listed(ledger, (r for r in found if not kept_out(ledger, r)))


def kept_out(ledger: Ledger, request: AccessRequest) -> bool:
    """Whether the patient excludes the asker, the asker's hospital, or a group that the asker is in."""
    return keeps_out(ledger, request.patient, request.asker, request.hospital)


def keeps_out(ledger: Ledger, patient: str, asker: str, hospital: str) -> bool:
    """Whether a patient, or one whose chart is bound to theirs, excludes somebody, their hospital, or a group of theirs."""
    row = ledger.row(Patient, patient)
    charts = (patient, *(() if row is None else row.bound))
    rows = [one for chart in charts for one in ledger.rows(Exclusion, "patient", chart)]
    excluded = {one.reader for one in rows if one.active}
    return bool(excluded) and not excluded.isdisjoint(_readers(ledger, asker, hospital))


def _readers(ledger: Ledger, asker: str, hospital: str) -> set[str]:
    groups = (
        ledger.row(Group, member.group)
        for member in ledger.rows(GroupMember, "account", asker)
        if member.active
    )
    return {asker, hospital, *(g.group for g in groups if g is not None)}


def grants_for(ledger: Ledger, caller: Caller, patient: Patient) -> bool:
    """Whether the caller may grant for the patient now, as far as relations tell."""
    if caller.role != "relative":
        return False
    now = ledger.clock()
    return any(
        one.guards(now, patient.adult_from)
        if one.kind == GUARDIAN
        else one.active and one.start <= now < one.end and "grant" in one.actions
        for one in ledger.rows(Relation, "account", caller.account)
        if one.patient == patient.patient
    )


def _listed(ledger: Ledger, found: Iterable[AccessRequest]) -> Requests:
    now = max(ledger.clock(), ledger.head().time)
    by_entry: Sequence[AccessRequest] = sorted(found, key=lambda r: r.seq)
    waiting = [r for r in by_entry if r.state(now) == OPEN]
    others = [r for r in reversed(by_entry) if r.state(now) != OPEN]
    shown = [*waiting, *others][:LISTED]
    names = staff_names(ledger, sorted({r.asker for r in shown if r.hospital}))
    return Requests(tuple(RequestStanding(r, names.get(r.asker, ""), r.state(now)) for r in shown))
