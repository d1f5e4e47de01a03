"""Applications: somebody wants to be a hospital, or a doctor at one; the operator, or its admins, decide.

What approves stands with what it makes: `hospital.approved` in `hospitals`, `doctor.approved` in `staff`. Until then what
an applicant calls the hospital is sealed: anybody may apply, and the log would keep for ever whatever they wrote.
"""

from typing import TYPE_CHECKING

from ledger.codes import (
    ACCOUNT,
    APPLICATION,
    HOSPITAL,
    PENDING_APPLICATIONS,
    PROFESSION,
    REASON,
    body,
)
from ledger.directory import Account, DoctorApplication, Hospital, HospitalApplication, Key, Member
from ledger.editions import CONSENT, PEOPLE
from ledger.errors import Refused
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import KEY_ID, SEALED, TIME_ZONE, base64_of
from ledger.types.accounts import check_possession, fitting_key
from ledger.types.checks import own_hospital
from ledger.types.declaration import EventType
from ledger.types.examples import Example
from ledger.types.staff import check_application, decided, no_auditor

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _few(
    kind: type[DoctorApplication] | type[HospitalApplication], event: "Event", look: Look
) -> None:
    """Few of an account's applications wait at a time: anybody may register, and the log keeps what they say."""
    waiting = sum(one.state == "pending" for one in look.group(kind, event.actor))
    if waiting >= PENDING_APPLICATIONS:
        raise Refused(
            "conflict", f"{waiting} applications of {event.actor} wait for a decision, expected fewer than "
            f"{PENDING_APPLICATIONS} before another one"
        )  # fmt: skip


def _may_apply_for(event: "Event", time: int, origin: str, look: Look) -> None:
    _few(HospitalApplication, event, look)


def _hospital_applied(entry: "Entry", look: Look) -> list[Row]:
    """The hospital is there under its id, and nobody acts for it, nor is its system's key in the log yet."""
    event, body, seq = entry.event, entry.event.body, entry.link.seq
    hospital, named = body["hospital"], (body.get("system", ""), body.get("key", ""))
    return [
        Hospital(hospital, seq, False, False),
        HospitalApplication(hospital, event.actor, seq, "pending", 0, "", *named),
    ]


def _applying_for(event: "Event") -> list[Wanted]:
    own = rows_in(HospitalApplication, event.actor)
    return [own, row_named(HospitalApplication, event.body["hospital"])]


HOSPITAL_APPLIED_V1 = EventType(
    "hospital.applied",
    "ledger",
    ("person",),
    body(contact=SEALED, hospital=HOSPITAL, name=SEALED, time_zone=TIME_ZONE),
    since=PEOPLE,
    creates=("hospital",),
    rule=_may_apply_for,
    fold=_hospital_applied,
    changes=(Hospital, HospitalApplication),
    wants=_applying_for,
    example=Example("person", lambda sample: {
        "contact": sample.sealed, "hospital": sample.id("hs"), "name": sample.sealed,
        "time_zone": "Europe/Berlin",
    }),
)  # fmt: skip


def _may_apply_with(event: "Event", time: int, origin: str, look: Look) -> None:
    """Account and key of the system are in no entry yet, and whoever applies holds the key."""
    _few(HospitalApplication, event, look)
    body = event.body
    public = fitting_key(body["key"], "ed25519", body["public_key"])
    for kind, id_ in ((Account, body["system"]), (Key, body["key"])):
        if look.get(kind, id_) is not None:
            raise Refused(
                "duplicate_id",
                f"got {id_}, which an entry registered; a new system has an account and a key of its own",
            )
    check_possession(origin, body["system"], body["key"], public, body["proof"])


def _applying_with(event: "Event") -> list[Wanted]:
    body = event.body
    return [*_applying_for(event), row_of_id(body["system"]), row_of_id(body["key"])]


HOSPITAL_APPLIED = EventType(
    "hospital.applied",
    "ledger",
    ("person",),
    body(
        contact=SEALED, hospital=HOSPITAL, key=KEY_ID, name=SEALED, proof=base64_of(64), public_key=base64_of(32),
        system=ACCOUNT, time_zone=TIME_ZONE,
    ),
    v=2,
    since=CONSENT,
    creates=("hospital",),
    rule=_may_apply_with,
    fold=_hospital_applied,
    changes=(Hospital, HospitalApplication),
    wants=_applying_with,
    example=Example("person", lambda sample: {
        "contact": sample.sealed, "hospital": sample.id("hs"), "key": sample.key("doctor")["key"],
        "name": sample.sealed, "proof": sample.proof("doctor"), "public_key": sample.key("doctor")["public_key"],
        "system": sample.key("doctor")["account"], "time_zone": "Europe/Berlin",
    }),
)  # fmt: skip


def _pending_hospital(event: "Event", time: int, origin: str, look: Look) -> None:
    applied = look.get(HospitalApplication, event.body["hospital"])
    if applied is None or applied.state != "pending":
        raise Refused(
            "unknown",
            f"got {event.body['hospital']}, for which no application waits for a decision",
        )


def _hospital_declined(entry: "Entry", look: Look) -> list[Row]:
    applied, reason = (
        look.get(HospitalApplication, entry.event.body["hospital"]),
        entry.event.body["reason"],
    )
    if applied is None:
        return []
    return [applied._replace(state="declined", decided=entry.link.seq, reason=reason)]


HOSPITAL_DECLINED = EventType(
    "hospital.declined",
    "ledger",
    ("operator",),
    body(hospital=HOSPITAL, reason=REASON),
    since=PEOPLE,
    rule=_pending_hospital,
    fold=_hospital_declined,
    changes=(HospitalApplication,),
    wants=lambda event: [row_named(HospitalApplication, event.body["hospital"])],
    example=Example(
        "operator", lambda sample: {"hospital": sample.id("hs"), "reason": "not_verified"}
    ),
)


def _may_apply_to(event: "Event", time: int, origin: str, look: Look) -> None:
    """For oneself, to a hospital that is active, and where nothing waits, is held or is suspended."""
    account, at = event.body["account"], event.subject
    if account != event.actor:
        raise Refused(
            "role", f"got an application of {account} from {event.actor}; one applies for oneself"
        )
    hospital = look.get(Hospital, at)
    if hospital is None or not hospital.active:
        raise Refused("unknown", f"got the hospital {at}, which is not active")
    no_auditor(event, time, look)
    applied = look.get(DoctorApplication, account, at)
    member = look.get(Member, account, "doctor", at)
    if applied is not None and applied.state == "pending":
        raise Refused("conflict", f"{account} has applied to {at} already, by entry {applied.seq}")
    if member is not None and (member.holds(time) or member.suspended):
        state = "suspended" if member.suspended else "a doctor"
        raise Refused("conflict", f"{account} is {state} at {at}")
    _few(DoctorApplication, event, look)


def _doctor_applied(entry: "Entry", look: Look) -> list[Row]:
    event = entry.event
    profession = event.body["profession"]
    return [DoctorApplication(
        event.actor, event.subject, entry.link.seq, event.id, profession, "pending", 0, ""
    )]  # fmt: skip


def _applying(event: "Event") -> list[Wanted]:
    account, hospital = event.body["account"], event.subject
    return [
        row_of_id(hospital),
        row_named(Member, account, "auditor", ""),
        row_named(Member, account, "doctor", hospital),
        rows_in(DoctorApplication, event.actor),
    ]


DOCTOR_APPLIED = EventType(
    "doctor.applied",
    "hospital",
    ("person",),
    body(account=ACCOUNT, profession=PROFESSION),
    since=PEOPLE,
    rule=_may_apply_to,
    fold=_doctor_applied,
    changes=(DoctorApplication,),
    wants=_applying,
    example=Example(
        "person", lambda sample: {"account": sample.account("person"), "profession": "physician"}
    ),
)


def _pending_doctor(event: "Event", time: int, origin: str, look: Look) -> None:
    own_hospital(event, time, origin, look)
    applied = look.get(DoctorApplication, event.body["account"], event.subject)
    if applied is None or applied.state != "pending":
        raise Refused(
            "unknown",
            f"got {event.body['account']}, of whom no application waits at {event.subject}",
        )
    check_application(event, look)


DOCTOR_DECLINED = EventType(
    "doctor.declined",
    "hospital",
    ("hospital_admin",),
    body(account=ACCOUNT, application=APPLICATION, reason=REASON),
    since=PEOPLE,
    rule=_pending_doctor,
    fold=lambda entry, look: decided(entry, look, "declined"),
    changes=(DoctorApplication,),
    wants=lambda event: [row_named(DoctorApplication, event.body["account"], event.subject)],
    example=Example(
        "hospital_admin",
        lambda sample: {
            "account": sample.account("doctor"),
            "application": sample.id("ev"),
            "reason": "not_known",
        },
    ),
)
