"""Hospitals: which may act, as the operator says."""

from typing import TYPE_CHECKING

from ledger.codes import HOSPITAL, body
from ledger.directory import Hospital, HospitalApplication
from ledger.errors import Refused
from ledger.rows import Look, Row, Wanted, row_named, row_of_id
from ledger.schema import PUBLIC_NAME, TIME_ZONE
from ledger.types.declaration import EventType
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _approved_ids(event: "Event", look: Look) -> list[str]:
    """A suspended hospital is approved again, and one that applied for the first time, under its id."""
    hospital = event.body["hospital"]
    known = look.get(Hospital, hospital)
    return [] if known and not known.active else [hospital]


def _may_approve(event: "Event", time: int, origin: str, look: Look) -> None:
    applied = look.get(HospitalApplication, event.body["hospital"])
    if applied is not None and applied.state == "declined":
        raise Refused(
            "conflict", f"{event.body['hospital']} was declined by entry {applied.decided}; whoever "
            "applied may apply again, which makes a new id"
        )  # fmt: skip


def _approved(entry: "Entry", look: Look) -> list[Row]:
    hospital, seq = entry.event.body["hospital"], entry.link.seq
    before, applied = look.get(Hospital, hospital), look.get(HospitalApplication, hospital)
    rows: list[Row] = [Hospital(hospital, seq, True, bool(before and before.has_admin))]
    if applied is not None and applied.state == "pending":
        rows.append(applied._replace(state="approved", decided=seq))
    return rows


def _applied_for(event: "Event") -> list[Wanted]:
    return [row_named(HospitalApplication, event.body["hospital"])]


HOSPITAL_APPROVED = EventType(
    "hospital.approved",
    "ledger",
    ("operator",),
    body(hospital=HOSPITAL, name=PUBLIC_NAME, time_zone=TIME_ZONE),
    creates=("hospital",),
    ids=_approved_ids,
    rule=_may_approve,
    fold=_approved,
    changes=(Hospital, HospitalApplication),
    wants=_applied_for,
    example=Example("operator", lambda sample: {
        "hospital": sample.id("hs"), "name": "Charité № 1", "time_zone": "Europe/Berlin",
    }),
)  # fmt: skip


def _active(event: "Event", time: int, origin: str, look: Look) -> None:
    hospital = look.get(Hospital, event.body["hospital"])
    if hospital is None or not hospital.active:
        raise Refused("unknown", f"got the hospital {event.body['hospital']}, which is not active")


def _suspended(entry: "Entry", look: Look) -> list[Row]:
    hospital = look.get(Hospital, entry.event.body["hospital"])
    return [hospital._replace(active=False)] if hospital else []


def _hospital(event: "Event") -> list[Wanted]:
    return [row_of_id(event.body["hospital"])]


HOSPITAL_SUSPENDED = EventType(
    "hospital.suspended",
    "ledger",
    ("operator",),
    body(hospital=HOSPITAL),
    rule=_active,
    fold=_suspended,
    changes=(Hospital,),
    wants=_hospital,
    example=Example("operator", lambda sample: {"hospital": sample.id("hs")}),
)
