"""Who applied, and what came of it: for the hospital's admins, for the operator, and for whoever applied."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from identity.actors import Caller
from journeys.errors import Forbidden, NotThere, RecordsError
from journeys.names import applicant_name, applied_names, hospital_names, staff_names
from ledger.codes import UNNAMED_PROFESSION
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
from storage.ledger import Ledger

LISTED = 200
"""Most doctors or hospitals on one page of a list, the longest in their state first: each has a name to be opened."""
DOCTOR_STATES = ("pending", "approved", "declined", "suspended", "ended")
SEQ_DIGITS = 16
"""Most digits of an entry's number."""
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
    application: str = ""
    """The id of the application that waits, or was declined; empty in other states."""


@dataclass(frozen=True)
class HospitalStanding:
    """A hospital, and who applied for it. Its id is the application's, too."""

    hospital: str
    name: str
    """Until it is approved, what whoever applied calls it."""
    time_zone: str
    state: str
    """One of HOSPITAL_STATES."""
    applicant: str
    """The account that applied; empty where none did. So are `contact` and `reason`."""
    contact: str
    reason: str
    seq: int
    """The entry that applied, approved or declined, whichever came last."""
    system: str = ""
    """The account that its system is to have, where somebody applied with its key; empty without. So are `key`, its id,
    `public_key` and `proof`, base64: that whoever applied has it, as `key.registered` takes it."""
    key: str = ""
    public_key: str = ""
    proof: str = ""


@dataclass(frozen=True)
class OwnApplications:
    """One's own applications, and where one is a doctor."""

    doctor: tuple[DoctorStanding, ...]
    hospitals: tuple[HospitalStanding, ...]


@dataclass(frozen=True)
class Doctors:
    """A page of a list of doctors."""

    doctors: tuple[DoctorStanding, ...]
    next: int = 0
    """After which entry the next page begins; 0 on the last one."""


@dataclass(frozen=True)
class Hospitals:
    """A page of a list of hospitals."""

    hospitals: tuple[HospitalStanding, ...]
    next: int = 0
    """After which entry the next page begins; 0 on the last one."""


def doctors_of(
    ledger: Ledger, caller: Caller, hospital: str, state: str = "", after: str = ""
) -> Doctors:
    """A hospital's doctors and applicants in a state (empty: in any), for its admins, a page of LISTED.

    `after`: `next` of the page before. Raises Forbidden and RecordsError.
    """
    check_own(caller, hospital)
    members = [m for m in ledger.rows(Member, "hospital", hospital) if m.role == "doctor"]
    applied = ledger.rows(DoctorApplication, "hospital", hospital)
    standings = _standings(ledger, members, applied)
    page, following = paged([one for one in standings if state in ("", one.state)], after)
    return Doctors(tuple(_named(ledger, one) for one in page), following)


def doctor_of(ledger: Ledger, caller: Caller, hospital: str, account: str) -> DoctorStanding:
    """How one account stands at a hospital as a doctor, for its admins; raises Forbidden and NotThere."""
    check_own(caller, hospital)
    member = ledger.row(Member, account, "doctor", hospital)
    applied = ledger.row(DoctorApplication, account, hospital)
    if member is None and applied is None:
        raise NotThere(f"{account} is no doctor of {hospital}, and never applied there")
    return _named(ledger, _standing(member, applied, ledger.clock()))


def hospitals_in(ledger: Ledger, caller: Caller, state: str = "", after: str = "") -> Hospitals:
    """The hospitals in a state (empty: in any), for the operator, a page of LISTED.

    `after`: `next` of the page before. Raises Forbidden and RecordsError.
    """
    _check_operator(caller)
    rows = [*ledger.rows(Hospital, "active", True), *ledger.rows(Hospital, "active", False)]
    known = [_Known(row, ledger.row(HospitalApplication, row.hospital)) for row in rows]
    known.sort(key=lambda one: one.seq)
    page, following = paged([one for one in known if state in ("", one.state)], after)
    return Hospitals(tuple(_hospital(ledger, one, True) for one in page), following)


def hospital_application(ledger: Ledger, caller: Caller, hospital: str) -> HospitalStanding:
    """How one hospital stands, and who applied for it, for the operator; raises Forbidden and NotThere."""
    _check_operator(caller)
    row = ledger.row(Hospital, hospital)
    if row is None:
        raise NotThere(f"there is no hospital {hospital}, and no application for it")
    return _hospital(ledger, _Known(row, ledger.row(HospitalApplication, hospital)), True)


def check_own(caller: Caller, hospital: str) -> None:
    """Raises Forbidden for all but the admins of that hospital."""
    if (caller.role, caller.hospital) != ("hospital_admin", hospital):
        raise Forbidden(
            f"the doctors, applicants and invitations of {hospital} are shown to its admins alone"
        )


def _check_operator(caller: Caller) -> None:
    if caller.role != "operator":
        raise Forbidden(f"got the role {caller.role}; this is shown to the operator alone")


class _Placed(Protocol):
    @property
    def seq(self) -> int: ...


P = TypeVar("P", bound=_Placed)


def paged(found: Sequence[P], after: str) -> tuple[Sequence[P], int]:
    """Those after an entry, at most LISTED, and after which the next page begins; `found` by their entries."""
    if not (after == "" or (after.isascii() and after.isdigit() and len(after) <= SEQ_DIGITS)):
        raise RecordsError(f"got after={after[:40]!r}, expected the `next` of the page before")
    rest = [one for one in found if one.seq > int(after or -1)]
    page = rest[:LISTED]
    return page, page[-1].seq if len(rest) > LISTED else 0


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
            hospitals.append(_hospital(ledger, _Known(row, one), False))
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
            applied.reason, applied.decided or applied.seq, applied.application,
        )  # fmt: skip
    assert member is not None
    state = "suspended" if member.suspended else "approved" if member.holds(now) else "ended"
    return DoctorStanding(
        member.account, member.hospital, "", state, member.profession or UNNAMED_PROFESSION, (),
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


@dataclass(frozen=True)
class _Known:
    """A hospital with its application, if there was one."""

    row: Hospital
    applied: HospitalApplication | None

    @property
    def state(self) -> str:
        if self.row.active:
            return "approved"
        return "suspended" if self.approved else str(self.applied and self.applied.state)

    @property
    def approved(self) -> bool:
        """Whether it ever was."""
        return self.row.active or self.applied is None or self.applied.state == "approved"

    @property
    def seq(self) -> int:
        """The entry that applied, approved or declined, whichever came last."""
        return max(self.row.seq, self.applied.decided if self.applied else 0)


def _hospital(ledger: Ledger, known: _Known, contact: bool) -> HospitalStanding:
    """`contact`: whether to show it, where somebody applied."""
    row, applied = known.row, known.applied
    name, reached = "", ""
    if applied is not None and (contact or not known.approved):
        name, reached = applied_names(ledger, applied)
    if known.approved:
        name = hospital_names(ledger, [row.hospital]).get(row.hospital, "")
    return HospitalStanding(
        row.hospital,
        name,
        zone_of(ledger, row.hospital),
        known.state,
        "" if applied is None else applied.account,
        reached if contact else "",
        "" if applied is None else applied.reason,
        known.seq,
        *_system(ledger, applied),
    )


def _system(ledger: Ledger, applied: HospitalApplication | None) -> tuple[str, ...]:
    """The account, key id, public key and proof that it applied with; nothing where it did without."""
    if applied is None or not applied.key:
        return ()
    body = ledger.kept_entry(applied.seq).event.body
    return applied.system, applied.key, body["public_key"], body["proof"]
