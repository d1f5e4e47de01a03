"""Who acts for a hospital, as its admins say, and who audits the log, as the operator says."""

from typing import TYPE_CHECKING

from ledger.codes import ACCOUNT, APPLICATION, GROUP, PROFESSION, body
from ledger.directory import (
    DoctorApplication,
    Group,
    GroupMember,
    Hospital,
    Member,
    is_staff,
    was_approved,
)
from ledger.editions import PEOPLE, STRICTER
from ledger.errors import Refused
from ledger.policies import edition_in_force
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.schema import TIME
from ledger.times import format_time, parse_time
from ledger.types.checks import active_member, known_account, own_hospital, rising
from ledger.types.declaration import EventType, Fold, Rule, Wants
from ledger.types.examples import TERM, Example

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

_ACCOUNT = body(account=ACCOUNT)
_DOCTOR = Example("hospital_admin", lambda sample: {"account": sample.account("doctor")})


def _ended(role: str) -> Fold:
    """The role at the hospital whose stream it is (of an auditor: at none) isn't held any more."""

    def fold(entry: "Entry", look: Look) -> list[Row]:
        row = look.get(Member, entry.event.body["account"], role, entry.event.subject)
        return [row._replace(active=False)] if row else []

    return fold


def _may_audit(event: "Event", time: int, origin: str, look: Look) -> None:
    known_account(event, look)
    rising(event, "start", "end")
    if is_staff(event.body["account"], time, look):
        raise Refused("role", f"got {event.body['account']}, who acts for a hospital; an auditor acts "
                      "for none")  # fmt: skip


def _auditor_appointed(entry: "Entry", look: Look) -> list[Row]:
    body = entry.event.body
    start, end = parse_time(body["start"]), parse_time(body["end"])
    return [Member(body["account"], "auditor", "", entry.link.seq, True, start, end)]


def _all_roles(event: "Event") -> list[Wanted]:
    account = event.body["account"]
    return [row_of_id(account), rows_in(Member, account)]


AUDITOR_APPOINTED = EventType(
    "auditor.appointed",
    "ledger",
    ("operator",),
    body(account=ACCOUNT, end=TIME, start=TIME),
    rule=_may_audit,
    fold=_auditor_appointed,
    changes=(Member,),
    wants=_all_roles,
    example=Example("operator", lambda sample: {"account": sample.account("auditor"), **TERM}),
)


def _audits(event: "Event", time: int, origin: str, look: Look) -> None:
    known_account(event, look)
    active_member(event, "auditor", "", look)


def _auditor(event: "Event") -> list[Wanted]:
    account = event.body["account"]
    return [row_of_id(account), row_named(Member, account, "auditor", "")]


AUDITOR_ENDED = EventType(
    "auditor.ended",
    "ledger",
    ("operator",),
    _ACCOUNT,
    rule=_audits,
    fold=_ended("auditor"),
    changes=(Member,),
    wants=_auditor,
    example=Example("operator", lambda sample: {"account": sample.account("auditor")}),
)


def _may_join(event: "Event", time: int, origin: str, look: Look) -> None:
    """Somebody gets a role at the hospital whose stream this is."""
    known_account(event, look)
    no_auditor(event, time, look)
    hospital = look.get(Hospital, event.subject)
    if hospital is None or not was_approved(hospital, look):
        raise Refused("unknown", f"got the hospital {event.subject}, which no entry approved")
    if event.role == "operator":
        if hospital.has_admin:
            raise Refused("role", "the operator appoints a hospital's first admin only")
    else:
        own_hospital(event, time, origin, look)


def no_auditor(event: "Event", time: int, look: Look) -> None:
    """From STRICTER on, nobody whose term as an auditor lasts or is to come joins a hospital."""
    if edition_in_force(look) < STRICTER:
        return
    member = look.get(Member, event.body["account"], "auditor", "")
    if member is not None and member.active and time < member.end:
        raise Refused("role", f"got {event.body['account']}, an auditor until {format_time(member.end)}; an "
                      "auditor acts for no hospital")  # fmt: skip


def _may_end(role: str) -> Rule:
    """Whoever holds the role at the hospital whose stream it is loses it."""

    def rule(event: "Event", time: int, origin: str, look: Look) -> None:
        own_hospital(event, time, origin, look)
        active_member(event, role, event.subject, look, time)

    return rule


def _held(role: str) -> Wants:
    return lambda event: [row_named(Member, event.body["account"], role, event.subject)]


def joining(role: str) -> Wants:
    """The account, the role that it gets, and whether it is an auditor's; the hospital is the signer's own."""

    def wants(event: "Event") -> list[Wanted]:
        account = event.body["account"]
        auditor = row_named(Member, account, "auditor", "")
        return [row_of_id(account), auditor, *_held(role)(event)]

    return wants


def _first_admin(event: "Event") -> list[Wanted]:
    """And the hospital, which the operator who appoints isn't of."""
    return [row_of_id(event.subject), *joining("hospital_admin")(event)]


def _joined(role: str) -> Fold:
    def fold(entry: "Entry", look: Look) -> list[Row]:
        account, hospital = entry.event.body["account"], entry.event.subject
        return [Member(account, role, hospital, entry.link.seq, True, 0, 0)]

    return fold


def _admin_appointed(entry: "Entry", look: Look) -> list[Row]:
    """Once there was an admin, the operator appoints none."""
    rows = list(_joined("hospital_admin")(entry, look))
    hospital = look.get(Hospital, entry.event.subject)
    if hospital and not hospital.has_admin:
        rows.append(hospital._replace(has_admin=True))
    return rows


ADMIN_APPOINTED = EventType(
    "admin.appointed",
    "hospital",
    ("hospital_admin", "operator"),
    _ACCOUNT,
    rule=_may_join,
    fold=_admin_appointed,
    changes=(Member, Hospital),
    wants=_first_admin,
    example=_DOCTOR,
)

ADMIN_ENDED = EventType(
    "admin.ended",
    "hospital",
    ("hospital_admin",),
    _ACCOUNT,
    rule=_may_end("hospital_admin"),
    fold=_ended("hospital_admin"),
    changes=(Member,),
    wants=_held("hospital_admin"),
    example=_DOCTOR,
)

SYSTEM_ADDED = EventType(
    "system.added",
    "hospital",
    ("hospital_admin",),
    _ACCOUNT,
    rule=_may_join,
    fold=_joined("hospital_system"),
    changes=(Member,),
    wants=joining("hospital_system"),
    example=_DOCTOR,
)


SYSTEM_ENDED = EventType(
    "system.ended",
    "hospital",
    ("hospital_admin",),
    _ACCOUNT,
    rule=_may_end("hospital_system"),
    fold=_ended("hospital_system"),
    changes=(Member,),
    wants=_held("hospital_system"),
    example=_DOCTOR,
)


def _may_approve(event: "Event", time: int, origin: str, look: Look) -> None:
    """And the department is one of the hospital's, and the end is yet to come."""
    _may_join(event, time, origin, look)
    body = event.body
    if "application" in body:
        check_application(event, look)
    check_terms(event, time, look)


def check_terms(event: "Event", time: int, look: Look) -> None:
    """The department, if one is named, is one of the hospital's, and the end, if there is one, is yet to come. Raises Refused."""
    body = event.body
    group = look.get(Group, body["group"]) if "group" in body else None
    if "group" in body and (group is None or group.hospital != event.subject):
        raise Refused(
            "unknown", f"got the group {body['group']}, which is not one of {event.subject}"
        )
    if "end" in body and parse_time(body["end"]) <= time:
        raise Refused(
            "malformed", f"got the end {body['end']}, expected one after {format_time(time)}"
        )


def check_application(event: "Event", look: Look) -> None:
    """What is decided is the application that waits, and not one that came after whoever decides looked. Raises Refused."""
    body = event.body
    applied = look.get(DoctorApplication, body["account"], event.subject)
    waits = applied.application if applied is not None and applied.state == "pending" else ""
    if body["application"] != waits:
        raise Refused("conflict", f"got the application {body['application']} of {body['account']}; "
                      f"{f'{waits} waits' if waits else 'none waits'} for a decision")  # fmt: skip


def _doctor_approved(entry: "Entry", look: Look) -> list[Row]:
    body = entry.event.body
    end = parse_time(body["end"]) if "end" in body else 0
    return becomes_doctor(entry, look, body.get("profession", ""), body.get("group", ""), end)


def becomes_doctor(entry: "Entry", look: Look, profession: str, group: str, end: int) -> list[Row]:
    """The account that the entry names is a doctor of the hospital whose stream it is; `end`: Unix ms, 0 without one.

    Whoever is approved again is in no group any more but the one that is named: neither whoever left, nor
    whoever was suspended or whose approval ran out."""
    account, hospital, seq = entry.event.body["account"], entry.event.subject, entry.link.seq
    before = look.get(Member, account, "doctor", hospital)
    member = Member(account, "doctor", hospital, seq, True, 0, end, profession, False)
    again = before is not None and not before.holds(entry.time)
    groups = {row.group: row for row in (_groups_left(entry, look) if again else ())}
    if group:
        groups[group] = GroupMember(account, group, seq, True)
    return [member, *groups.values(), *decided(entry, look, "approved")]


def decided(entry: "Entry", look: Look, state: str) -> list[Row]:
    """The account's application to the hospital whose stream it is, as decided, where one waits."""
    body = entry.event.body
    applied = look.get(DoctorApplication, body["account"], entry.event.subject)
    if applied is None or applied.state != "pending":
        return []
    reason = body.get("reason", "")
    return [applied._replace(state=state, decided=entry.link.seq, reason=reason)]


def _groups_left(entry: "Entry", look: Look) -> list[GroupMember]:
    """The memberships in this hospital's groups that end with this event; before STRICTER they stayed."""
    if edition_in_force(look) < STRICTER:
        return []
    found = list(look.group(GroupMember, entry.event.body["account"]))
    groups = [(member, look.get(Group, member.group)) for member in found if member.active]
    return [
        member._replace(seq=entry.link.seq, active=False)
        for member, group in groups
        if group is not None and group.hospital == entry.event.subject
    ]


def and_groups(wants: Wants) -> Wants:
    """And the account's memberships in groups."""
    return lambda event: [*wants(event), rows_in(GroupMember, event.body["account"])]


def _approving(event: "Event") -> list[Wanted]:
    """And the application that it answers, and the department."""
    applied = row_named(DoctorApplication, event.body["account"], event.subject)
    group = [row_named(Group, event.body["group"])] if "group" in event.body else []
    return [*and_groups(joining("doctor"))(event), applied, *group]


DOCTOR_APPROVED_V1 = EventType(
    "doctor.approved",
    "hospital",
    ("hospital_admin",),
    _ACCOUNT,
    rule=_may_join,
    fold=_doctor_approved,
    changes=(Member, GroupMember, DoctorApplication),
    wants=_approving,
    example=_DOCTOR,
)

DOCTOR_APPROVED = EventType(
    "doctor.approved",
    "hospital",
    ("hospital_admin",),
    body({"application": APPLICATION, "end": TIME, "group": GROUP}, account=ACCOUNT, profession=PROFESSION),
    v=2,
    since=PEOPLE,
    rule=_may_approve,
    fold=_doctor_approved,
    changes=(Member, GroupMember, DoctorApplication),
    wants=_approving,
    example=Example("hospital_admin", lambda sample: {
        "account": sample.account("doctor"), "application": sample.id("ev"), "end": TERM["end"],
        "group": sample.id("gp"), "profession": "nurse",
    }),
)  # fmt: skip


def _doctor_suspended(entry: "Entry", look: Look) -> list[Row]:
    return [row._replace(suspended=True) for row in _ended("doctor")(entry, look)]


DOCTOR_SUSPENDED = EventType(
    "doctor.suspended",
    "hospital",
    ("hospital_admin",),
    _ACCOUNT,
    rule=_may_end("doctor"),
    fold=_doctor_suspended,
    changes=(Member,),
    wants=_held("doctor"),
    example=_DOCTOR,
)


def _may_leave(event: "Event", time: int, origin: str, look: Look) -> None:
    """From PEOPLE on, whoever is suspended or whose approval ran out can be ended, too."""
    own_hospital(event, time, origin, look)
    member = look.get(Member, event.body["account"], "doctor", event.subject)
    if member is None or not member.suspended or edition_in_force(look) < PEOPLE:
        active_member(event, "doctor", event.subject, look)


def _doctor_ended(entry: "Entry", look: Look) -> list[Row]:
    """Whoever leaves a hospital leaves its groups."""
    gone = [row._replace(suspended=False) for row in _ended("doctor")(entry, look)]
    return [*gone, *_groups_left(entry, look)]


DOCTOR_ENDED = EventType(
    "doctor.ended",
    "hospital",
    ("hospital_admin",),
    _ACCOUNT,
    rule=_may_leave,
    fold=_doctor_ended,
    changes=(Member, GroupMember),
    wants=and_groups(_held("doctor")),
    example=_DOCTOR,
)
