"""Doctors by invitation: an admin invites with a code, and whoever proves it is a doctor of the hospital.

The invitation is the approval: what `doctor.approved` says of department, end and profession stands in it. Its code is
made as a relative's is (`crypto.claims.invitation_key`), with the hospital in place of the patient.
"""

from typing import TYPE_CHECKING

from crypto.encoding import b64decode
from crypto.errors import CryptoError
from crypto.signing import verify
from ledger.codes import ACCOUNT, GROUP, INVITATION, PROFESSION, body
from ledger.directory import (
    DoctorApplication,
    DoctorInvitation,
    Group,
    GroupMember,
    Hospital,
    Member,
)
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.messages import invitation_message
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import TIME, base64_of
from ledger.times import DAY_MS, parse_time
from ledger.types.checks import own_hospital
from ledger.types.declaration import EventType
from ledger.types.examples import TERM, Example
from ledger.types.patients import CLAIM
from ledger.types.staff import becomes_doctor, check_terms, no_auditor

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

DOCTOR_INVITATION_DAYS = 30
"""How many days the code of an invitation counts at most."""
DOCTOR_INVITATIONS_OPEN = 100
"""Most invitations of one hospital that wait to be taken up at a time."""


def _may_invite(event: "Event", time: int, origin: str, look: Look) -> None:
    """On terms as an approval has them; the code counts for a while, and no longer than the approval would; some at a time."""
    own_hospital(event, time, origin, look)
    check_terms(event, time, look)
    said = event.body
    until = parse_time(said["until"])
    if not time < until <= time + DOCTOR_INVITATION_DAYS * DAY_MS:
        raise Refused("malformed", f"got an invitation until {said['until']}, expected at most "
                      f"{DOCTOR_INVITATION_DAYS} days from now")  # fmt: skip
    if "end" in said and until > parse_time(said["end"]):
        raise Refused("malformed", f"got an invitation until {said['until']} to what ends at {said['end']}")  # fmt: skip
    waiting = sum(one.waits(time) for one in look.group(DoctorInvitation, event.subject))
    if waiting >= DOCTOR_INVITATIONS_OPEN:
        raise Refused("conflict", f"{waiting} invitations wait to be taken up, at most {DOCTOR_INVITATIONS_OPEN} may: "
                      "withdraw one first")  # fmt: skip


def _invited(entry: "Entry", look: Look) -> list[Row]:
    event, said = entry.event, entry.event.body
    end = parse_time(said["end"]) if "end" in said else 0
    return [
        DoctorInvitation(
            event.subject, event.id, entry.link.seq, event.actor, b64decode(said["code"], 32),
            parse_time(said["until"]), said["profession"], said.get("group", ""), end, 0, "",
        )
    ]  # fmt: skip


def _inviting(event: "Event") -> list[Wanted]:
    group = [row_named(Group, event.body["group"])] if "group" in event.body else []
    return [rows_in(DoctorInvitation, event.subject), *group]


DOCTOR_INVITED = EventType(
    "doctor.invited",
    "hospital",
    ("hospital_admin",),
    body({"end": TIME, "group": GROUP}, code=CLAIM, profession=PROFESSION, until=TIME),
    since=CONSENT,
    rule=_may_invite,
    fold=_invited,
    changes=(DoctorInvitation,),
    wants=_inviting,
    example=Example("hospital_admin", lambda sample: {
        "code": sample.hospital_invitation, "end": TERM["end"], "group": sample.id("gp"), "profession": "nurse",
        "until": "2026-12-01T00:00:00.000Z",
    }),
)  # fmt: skip


def _may_take_up(event: "Event", time: int, origin: str, look: Look) -> None:
    """The code's signature fits this log, hospital and account, which is the signer's own; and whoever invited could still
    approve: the hospital acts, and they are its admin. One answer to all of it that fails."""
    said = event.body
    if said["account"] != event.actor:
        raise Refused("invitation", f"got a joining of {said['account']} signed by {event.actor}")
    invitation = look.get(DoctorInvitation, event.subject, said["invitation"])
    if invitation is None or not invitation.waits(time) or not _stands(invitation, time, look):
        raise Refused("invitation", NOT_JOINED)
    try:
        proof = b64decode(said["proof"], 64)
        verify(invitation.public, proof, invitation_message(origin, event.subject, event.actor))
    except CryptoError as error:
        raise Refused("invitation", NOT_JOINED) from error
    # From here on it is told what is wrong: whoever has the code was invited.
    no_auditor(event, time, look)
    member = look.get(Member, event.actor, "doctor", event.subject)
    if member is not None and member.suspended:
        raise Refused("role", f"{event.actor} is suspended at {event.subject}: no invitation lifts that, an approval does")  # fmt: skip
    if member is not None and member.holds(time):
        raise Refused("role", f"{event.actor} is a doctor of {event.subject} already")


NOT_JOINED = "nobody becomes a doctor with this code"
"""All that is told where an invitation doesn't count."""


def _stands(invitation: DoctorInvitation, time: int, look: Look) -> bool:
    """Whether the hospital acts, and whoever invited is still its admin."""
    hospital = look.get(Hospital, invitation.hospital)
    admin = look.get(Member, invitation.inviter, "hospital_admin", invitation.hospital)
    return hospital is not None and hospital.active and admin is not None and admin.holds(time)


def _joined(entry: "Entry", look: Look) -> list[Row]:
    """A doctor on the invitation's terms; the code is used up."""
    event = entry.event
    one = look.get(DoctorInvitation, event.subject, event.body["invitation"])
    if one is None:
        return []
    used = one._replace(closed=entry.link.seq, account=event.actor)
    return [used, *becomes_doctor(entry, look, one.profession, one.group, one.end)]


def _inviters_role(row: Row) -> Wanted:
    """Whether whoever invited is an admin there."""
    assert isinstance(row, DoctorInvitation)
    return row_named(Member, row.inviter, "hospital_admin", row.hospital)


def _taking_up(event: "Event") -> list[Wanted]:
    """The account is the signer's own."""
    invitation, hospital, account = event.body["invitation"], event.subject, event.body["account"]
    return [
        row_named(Member, account, "auditor", ""),
        row_named(Member, account, "doctor", hospital),
        row_of_id(hospital),
        Wanted(DoctorInvitation, (hospital, invitation), False, _inviters_role),
        row_named(DoctorApplication, account, hospital),
    ]


DOCTOR_JOINED = EventType(
    "doctor.joined",
    "hospital",
    ("person",),
    body(account=ACCOUNT, invitation=INVITATION, proof=base64_of(64)),
    since=CONSENT,
    rule=_may_take_up,
    fold=_joined,
    changes=(Member, GroupMember, DoctorApplication, DoctorInvitation),
    wants=_taking_up,
    example=Example("person", lambda sample: {
        "account": sample.account("person"), "invitation": sample.id("ev"), "proof": sample.joining("person"),
    }),
)  # fmt: skip


def _may_withdraw(event: "Event", time: int, origin: str, look: Look) -> None:
    """By any admin of the hospital, while nobody took it up; one that ran out, too."""
    own_hospital(event, time, origin, look)
    one = look.get(DoctorInvitation, event.subject, event.body["invitation"])
    if one is None or one.closed:
        raise Refused("conflict", f"no invitation {event.body['invitation']} of {event.subject} is open: nobody can "
                      "withdraw one that was taken up or withdrawn")  # fmt: skip


def _withdrawn(entry: "Entry", look: Look) -> list[Row]:
    one = look.get(DoctorInvitation, entry.event.subject, entry.event.body["invitation"])
    return [] if one is None else [one._replace(closed=entry.link.seq)]


INVITATION_WITHDRAWN = EventType(
    "invitation.withdrawn",
    "hospital",
    ("hospital_admin",),
    body(invitation=INVITATION),
    since=CONSENT,
    rule=_may_withdraw,
    fold=_withdrawn,
    changes=(DoctorInvitation,),
    wants=lambda event: [
        row_named(DoctorInvitation, event.subject, event.body["invitation"]),
    ],
    example=Example("hospital_admin", lambda sample: {"invitation": sample.id("ev")}),
)
