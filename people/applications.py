"""Who applied, and what came of it: for the hospital's admins, for the operator, and for whoever applied."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from identity.actors import Caller
from journeys.errors import Forbidden
from journeys.names import applicant_name, hospital_names, staff_names
from journeys.sealing import object_key
from ledger.directory import (
    DoctorApplication,
    Group,
    GroupMember,
    Hospital,
    HospitalApplication,
    Member,
)
from ledger.times import format_time
from people.hospitals import zone_of
from storage.evidence import ask_keeper, of_entries
from storage.keytable import with_object_key
from storage.ledger import Ledger

LISTED = 500
"""Most doctors or hospitals that one list shows, the longest in their state first: each has a name to be opened."""
DOCTOR_STATES = ("pending", "approved", "declined", "suspended", "ended")
UNNAMED = "physician"
"""The profession of an approval that names none."""
HOSPITAL_STATES = ("pending", "approved", "declined", "suspended")


@dataclass(frozen=True)
class DoctorStanding:
    """How an account stands at a hospital as a doctor."""

    account: str
    hospital: str
    name: str
    """Of the person; to the applicants themselves, of the hospital."""
    state: str
    """One of DOCTOR_STATES; an approval whose end has passed is `ended`."""
    profession: str
    """As approved, or as applied for; `physician` where none was named."""
    groups: tuple[str, ...]
    """The hospital's groups that the account is in, by id."""
    end: str
    """The end of an approval that has one, else empty."""
    reason: str
    """Why it was declined, a code of `ledger.codes.DECLINED`; else empty."""
    seq: int
    """The entry that applied, approved or declined, whichever came last."""


@dataclass(frozen=True)
class HospitalStanding:
    """A hospital, and who applied for it."""

    hospital: str
    name: str
    time_zone: str
    state: str
    """One of HOSPITAL_STATES."""
    applicant: str
    """The account that applied; empty where none did. So are `contact` and `reason`."""
    contact: str
    reason: str
    seq: int
    """The entry that applied, approved or declined, whichever came last."""


@dataclass(frozen=True)
class OwnApplications:
    """One's own applications, and where one is a doctor."""

    doctor: tuple[DoctorStanding, ...]
    hospitals: tuple[HospitalStanding, ...]


@dataclass(frozen=True)
class Doctors:
    """A list of doctors."""

    doctors: tuple[DoctorStanding, ...]


@dataclass(frozen=True)
class Hospitals:
    """A list of hospitals."""

    hospitals: tuple[HospitalStanding, ...]


def doctors_of(ledger: Ledger, caller: Caller, hospital: str, state: str = "") -> Doctors:
    """A hospital's doctors and applicants in a state (empty: in any), for its admins; raises Forbidden."""
    if (caller.role, caller.hospital) != ("hospital_admin", hospital):
        raise Forbidden(f"the doctors and applicants of {hospital} are listed for its admins alone")
    members = [m for m in ledger.rows(Member, "hospital", hospital) if m.role == "doctor"]
    applied = ledger.rows(DoctorApplication, "hospital", hospital)
    found = [
        one for one in _standings(ledger, members, applied) if state in ("", one.state)
    ][:LISTED]  # fmt: skip
    return Doctors(tuple(_named(ledger, one) for one in found))


def hospitals_in(ledger: Ledger, caller: Caller, state: str = "") -> Hospitals:
    """The hospitals in a state (empty: in any), for the operator; raises Forbidden."""
    if caller.role != "operator":
        raise Forbidden(f"got the role {caller.role}; hospitals are listed for the operator alone")
    rows = [*ledger.rows(Hospital, "active", True), *ledger.rows(Hospital, "active", False)]
    found = []
    for row in sorted(rows, key=lambda row: row.seq):
        applied = ledger.row(HospitalApplication, row.hospital)
        if state in ("", _hospital_state(row, applied)):
            found.append(_hospital(ledger, row, applied, True))
        if len(found) == LISTED:
            break
    return Hospitals(tuple(found))


def own_applications(ledger: Ledger, caller: Caller) -> OwnApplications:
    """The caller's own applications with their states and reasons, and where the caller is a doctor."""
    members = [m for m in ledger.rows(Member, "account", caller.account) if m.role == "doctor"]
    applied = ledger.rows(DoctorApplication, "account", caller.account)
    standings = _standings(ledger, members, applied)
    names = hospital_names(ledger, [one.hospital for one in standings])
    hospitals = []
    for one in sorted(
        ledger.rows(HospitalApplication, "account", caller.account), key=lambda one: one.seq
    ):
        row = ledger.row(Hospital, one.hospital)
        if row is not None:
            hospitals.append(_hospital(ledger, row, one, False))
    doctor = tuple(replace(one, name=names.get(one.hospital, "")) for one in standings)
    return OwnApplications(doctor, tuple(hospitals))


def _standings(
    ledger: Ledger, members: Iterable[Member], applied: Iterable[DoctorApplication]
) -> list[DoctorStanding]:
    """Each (account, hospital) once, without its name; by the entry that tells how it stands."""
    held = {(m.account, m.hospital): m for m in members}
    asked = {(a.account, a.hospital): a for a in applied}
    now = ledger.clock()
    found = [_standing(held.get(key), asked.get(key), now) for key in held | asked]
    return sorted(found, key=lambda one: one.seq)


def _standing(member: Member | None, applied: DoctorApplication | None, now: int) -> DoctorStanding:
    """How somebody stands who is or was a doctor, or applied; at least one of the two rows is there."""
    if applied is not None and (
        applied.state == "pending" or member is None or applied.decided > member.seq
    ):
        return DoctorStanding(
            applied.account, applied.hospital, "", applied.state, applied.profession, (), "",
            applied.reason, applied.decided or applied.seq,
        )  # fmt: skip
    assert member is not None
    state = "suspended" if member.suspended else "approved" if member.holds(now) else "ended"
    return DoctorStanding(
        member.account, member.hospital, "", state, member.profession or UNNAMED, (),
        format_time(member.end) if member.end else "", "", member.seq,
    )  # fmt: skip


def _named(ledger: Ledger, one: DoctorStanding) -> DoctorStanding:
    """With the person's name, and the groups."""
    applied = ledger.row(DoctorApplication, one.account, one.hospital)
    if applied is not None and one.state in ("pending", "declined"):
        return replace(one, name=applicant_name(ledger, one.account, applied.seq))
    name = staff_names(ledger, [one.account]).get(one.account, "")
    return replace(one, name=name, groups=_groups(ledger, one.account, one.hospital))


def _groups(ledger: Ledger, account: str, hospital: str) -> tuple[str, ...]:
    joined = [m.group for m in ledger.rows(GroupMember, "account", account) if m.active]
    rows = [ledger.row(Group, group) for group in sorted(joined)]
    return tuple(row.group for row in rows if row is not None and row.hospital == hospital)


def _hospital(
    ledger: Ledger, row: Hospital, applied: HospitalApplication | None, contact: bool
) -> HospitalStanding:
    """`contact`: whether to open it, where somebody applied."""
    return HospitalStanding(
        row.hospital,
        hospital_names(ledger, [row.hospital]).get(row.hospital, ""),
        zone_of(ledger, row.hospital),
        _hospital_state(row, applied),
        "" if applied is None else applied.account,
        _contact(ledger, applied) if contact and applied is not None else "",
        "" if applied is None else applied.reason,
        max(row.seq, 0 if applied is None else applied.decided),
    )


def _hospital_state(row: Hospital, applied: HospitalApplication | None) -> str:
    if row.active:
        return "approved"
    return "suspended" if applied is None or applied.state == "approved" else applied.state


def _contact(ledger: Ledger, applied: HospitalApplication) -> str:
    shown = of_entries(ledger, applied.seq)
    key = object_key(ledger.keys, applied.hospital, applied.hospital)
    return with_object_key(
        ledger.keys,
        key,
        lambda found: ask_keeper(ledger, shown, lambda e: ledger.keeper.contact(e, found)),
    )
