"""Links: a hospital says that two charts are of one person, each chart's patient agrees, and who ends that.

The entry stands in both streams, one in each; what it means counts from the first of the two on. Exclusions of either chart
hold in both at once. What lets somebody in, the grants, counts in the other chart only once both patients have signed.
"""

from typing import TYPE_CHECKING

from ledger.codes import HOSPITAL_ROLES, PATIENT, PURPOSE, body
from ledger.directory import ChartLink, Member, Patient
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.facts import Record
from ledger.policies import Policy
from ledger.rows import Look, Row, Wanted, row_of_id, rows_in
from ledger.types.checks import own_stream
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example, Sample

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

LINKS_MOST = 8
"""Most other charts with which one was ever linked."""

_BODY = body(other=PATIENT, patient=PATIENT, purpose=PURPOSE)
_ROLES = ("hospital_admin", "hospital_system", "patient")


def _two_charts(event: "Event", time: int, origin: str, look: Look) -> None:
    """The body names whose stream it is, and another chart."""
    own_stream(event, "patient")
    if event.body["other"] == event.subject:
        raise Refused(
            "malformed", f"{event.type.name}: expected another chart than {event.subject}"
        )


def _charts(event: "Event", look: Look) -> tuple[Patient, Patient]:
    """The two, which are there: the decision permits nothing else."""
    own, other = (look.get(Patient, name) for name in (event.subject, event.body["other"]))
    if own is None or other is None:
        raise Refused("unknown", f"got {event.subject} and {event.body['other']}, expected two charts that are there")  # fmt: skip
    return own, other


def _may_link(event: "Event", policy: Policy, look: Look) -> None:
    """Nothing is said twice; and a hospital links no chart of its own staff (consent, Grants 7)."""
    own, other = _charts(event, look)
    link = own.link(other.patient)
    if not event.hospital:
        if link is not None and link.signed:
            raise Refused("conflict", f"entry {link.signed} says already that {own.patient} and {other.patient} are "
                          "one person's")  # fmt: skip
        return
    if link is not None and link.told:
        raise Refused(
            "conflict", f"{own.patient} is linked with {other.patient} by entry {link.told}"
        )
    if any(_is_staff_of(one.account, event.hospital, look) for one in (own, other)):
        raise Refused("role", "a hospital links no chart of its own staff; another hospital may")
    for one, name in ((own, other.patient), (other, own.patient)):
        if one.link(name) is None and len(one.links) >= LINKS_MOST:
            raise Refused("conflict", f"{one.patient} was linked with {LINKS_MOST} charts, the most that are possible")  # fmt: skip


def _is_staff_of(account: str, hospital: str, look: Look) -> bool:
    return any(
        (m.active or m.suspended) and m.role in HOSPITAL_ROLES and m.hospital == hospital
        for m in look.group(Member, account)
    )


def _linked(entry: "Entry", look: Look) -> list[Row]:
    """Both charts change by either entry: no order of the two leaves an exclusion out meanwhile."""
    event, seq = entry.event, entry.link.seq
    own, other = look.get(Patient, event.subject), look.get(Patient, event.body["other"])
    if own is None or other is None:
        return []
    mine, theirs = own.link(other.patient), other.link(own.patient)
    if mine is None or theirs is None:  # there are both, or none
        mine = ChartLink(other.patient, seq, "", told=0, signed=0, theirs=0, holds=False)
        theirs = mine._replace(other=own.patient)
    if event.hospital:
        mine = mine._replace(hospital=event.hospital, told=seq, holds=True)
        theirs = theirs._replace(holds=True)
    else:
        mine, theirs = mine._replace(signed=seq), theirs._replace(theirs=seq)
    return [_with(own, mine), _with(other, theirs)]


def _with(patient: Patient, link: ChartLink) -> Patient:
    """The chart, linked so with the other one."""
    others = (one for one in patient.links if one.other != link.other)
    return patient._replace(links=tuple(sorted((*others, link))))


def _what_both_need(event: "Event") -> list[Wanted]:
    """Both charts, whether the hospital has records in them, and what their accounts are at it."""
    charts = (event.subject, event.body["other"])
    return [
        *(row_of_id(chart, lambda row: rows_in(Member, row.account)) for chart in charts),
        *(rows_in(Record, chart) for chart in charts),
    ]


def _example(sample: Sample) -> dict[str, str]:
    return {"other": sample.id("pt", 2), "patient": sample.id("pt"), "purpose": "TREAT"}


PATIENT_LINKED = EventType(
    "patient.linked",
    "patient",
    _ROLES,
    _BODY,
    since=CONSENT,
    action="register",
    about="chart",
    gate_rule=_may_link,
    rule=_two_charts,
    fold=_linked,
    changes=(Patient,),
    wants=_what_both_need,
    example=Example("hospital_admin", _example),
)


def _unlinked(entry: "Entry", look: Look) -> list[Row]:
    """Nobody is let in: grants no longer count in the other chart, but whom it excludes stays out of this one, unless it is
    this chart's own patient who says that the two are not one person's."""
    event = entry.event
    own, other = look.get(Patient, event.subject), look.get(Patient, event.body["other"])
    mine = None if own is None else own.link(event.body["other"])
    theirs = None if other is None else other.link(event.subject)
    if own is None or other is None or mine is None or theirs is None:
        return []
    mine = mine._replace(told=0, hospital="", signed=0, theirs=0)
    if not event.hospital:
        mine = mine._replace(holds=False)
    return [_with(own, mine), _with(other, theirs._replace(signed=0, theirs=0))]


PATIENT_UNLINKED = EventType(
    "patient.unlinked",
    "patient",
    _ROLES,
    _BODY,
    since=CONSENT,
    action="register",
    about="chart",
    gate_rule=nothing,
    rule=_two_charts,
    fold=_unlinked,
    changes=(Patient,),
    wants=lambda event: [row_of_id(event.subject), row_of_id(event.body["other"])],
    example=Example("patient", lambda sample: _example(sample) | {"purpose": "PATRQT"}),
)
