"""Groups (departments) of a hospital, and which of its doctors are in them."""

from typing import TYPE_CHECKING

from ledger.codes import ACCOUNT, GROUP, body
from ledger.directory import Group, GroupMember, Member
from ledger.errors import Refused
from ledger.rows import Look, Row, Wanted, row_named
from ledger.schema import SEALED
from ledger.types.checks import own_hospital
from ledger.types.declaration import EventType, nothing
from ledger.types.examples import Example, Sample

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event


def _formed(entry: "Entry", look: Look) -> list[Row]:
    return [Group(entry.event.body["group"], entry.event.subject, entry.link.seq)]


GROUP_FORMED = EventType(
    "group.formed",
    "hospital",
    ("hospital_admin",),
    body({"name": SEALED}, group=GROUP),
    since=2,
    creates=("group",),
    rule=own_hospital,
    fold=_formed,
    changes=(Group,),
    wants=nothing,
    example=Example(
        "hospital_admin", lambda sample: {"group": sample.id("gp"), "name": sample.sealed}
    ),
)


def _own_group(event: "Event", look: Look) -> GroupMember | None:
    """The group is the hospital's; gives what the log says of the account in it."""
    group, account = look.get(Group, event.body["group"]), event.body["account"]
    if group is None or group.hospital != event.subject:
        raise Refused(
            "unknown", f"got the group {event.body['group']}, which is not one of {event.subject}"
        )
    return look.get(GroupMember, account, group.group)


def _membership(event: "Event") -> list[Wanted]:
    group, account = event.body["group"], event.body["account"]
    return [row_named(Group, group), row_named(GroupMember, account, group)]


def _example(sample: Sample) -> dict[str, str]:
    return {"account": sample.account("doctor"), "group": sample.id("gp")}


def _may_join(event: "Event", time: int, origin: str, look: Look) -> None:
    """Who joins is active at the group's hospital, and isn't in it already."""
    own_hospital(event, time, origin, look)
    member, account = _own_group(event, look), event.body["account"]
    if member is not None and member.active:
        raise Refused("conflict", f"{account} is already in {member.group}")
    doctor = look.get(Member, account, "doctor", event.subject)
    if doctor is None or not doctor.holds(time):
        raise Refused("unknown", f"got {account}, who is not an active doctor here")


def _joined(entry: "Entry", look: Look) -> list[Row]:
    body = entry.event.body
    return [GroupMember(body["account"], body["group"], entry.link.seq, True)]


def _membership_and_doctor(event: "Event") -> list[Wanted]:
    doctor = row_named(Member, event.body["account"], "doctor", event.subject)
    return [*_membership(event), doctor]


GROUP_JOINED = EventType(
    "group.joined",
    "hospital",
    ("hospital_admin",),
    body(account=ACCOUNT, group=GROUP),
    since=2,
    rule=_may_join,
    fold=_joined,
    changes=(GroupMember,),
    wants=_membership_and_doctor,
    example=Example("hospital_admin", _example),
)


def _may_leave(event: "Event", time: int, origin: str, look: Look) -> None:
    """Who leaves is in the group."""
    own_hospital(event, time, origin, look)
    member = _own_group(event, look)
    if member is None or not member.active:
        account, group = event.body["account"], event.body["group"]
        raise Refused("unknown", f"got {account}, who is not in {group}")


def _left(entry: "Entry", look: Look) -> list[Row]:
    body = entry.event.body
    return [GroupMember(body["account"], body["group"], entry.link.seq, False)]


GROUP_LEFT = EventType(
    "group.left",
    "hospital",
    ("hospital_admin",),
    body(account=ACCOUNT, group=GROUP),
    since=2,
    rule=_may_leave,
    fold=_left,
    changes=(GroupMember,),
    wants=_membership,
    example=Example("hospital_admin", _example),
)
