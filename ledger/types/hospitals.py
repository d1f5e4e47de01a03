"""Hospitals: which may act, as the operator says."""

from typing import TYPE_CHECKING

from ledger.codes import HOSPITAL, body
from ledger.directory import Hospital
from ledger.errors import Refused
from ledger.rows import Look, Row, Wanted, row_of_id
from ledger.schema import PUBLIC_NAME, TIME_ZONE
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _approved_ids(event: "Event", look: Look) -> list[str]:
    """A suspended hospital is approved again, under its id."""
    hospital = event.body["hospital"]
    known = look.get(Hospital, hospital)
    return [] if known and not known.active else [hospital]


def _approved(entry: "Entry", look: Look) -> list[Row]:
    hospital = entry.event.body["hospital"]
    before = look.get(Hospital, hospital)
    return [Hospital(hospital, entry.link.seq, True, bool(before and before.has_admin))]


HOSPITAL_APPROVED = EventType(
    "hospital.approved",
    "ledger",
    ("operator",),
    body(hospital=HOSPITAL, name=PUBLIC_NAME, time_zone=TIME_ZONE),
    creates=("hospital",),
    ids=_approved_ids,
    rule=nothing,
    fold=_approved,
    changes=(Hospital,),
    wants=nothing,
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
