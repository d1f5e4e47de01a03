"""Hospitals and accounts as anybody signed in may see them: public names, active doctors, groups, roles."""

from collections.abc import Set
from dataclasses import dataclass

from identity.actors import Caller
from journeys.errors import NotThere
from journeys.names import group_name, hospital_names, staff_names
from ledger.directory import (
    Account,
    Group,
    GroupMember,
    Hospital,
    HospitalApplication,
    Member,
    Patient,
)
from storage.ledger import Ledger


@dataclass(frozen=True)
class Department:
    """A group and who is in it now, by account."""

    group: str
    name: str
    """Empty where none was given."""
    seq: int
    """The entry that formed it."""
    accounts: tuple[str, ...]


@dataclass(frozen=True)
class Directory:
    """A hospital's people, for whoever wants to grant or to exclude."""

    hospital: str
    name: str
    active: bool
    time_zone: str
    """As it was approved; its days are days of this zone."""
    doctors: dict[str, str]
    """Names of the active doctors by account."""
    groups: tuple[Department, ...]
    """In the order in which they were formed."""


def directory(ledger: Ledger, caller: Caller, hospital: str) -> Directory:
    """A hospital's directory, for anybody who is signed in; raises NotThere."""
    return directory_of(ledger, hospital)


def directory_of(ledger: Ledger, hospital: str) -> Directory:
    """A hospital's directory as of now; raises NotThere."""
    row = _known(ledger, hospital)
    applied = None if row.active else ledger.row(HospitalApplication, hospital)
    if applied is not None and applied.state != "approved":  # the operator's to see, until then
        raise NotThere(f"there is no hospital {hospital}")
    members = ledger.rows(Member, "hospital", hospital)
    now = ledger.clock()
    doctors = sorted(m.account for m in members if m.role == "doctor" and m.holds(now))
    over = {m.account for m in members if m.role == "doctor" and m.active and not m.holds(now)}
    names = staff_names(ledger, doctors)
    groups = sorted(ledger.rows(Group, "hospital", hospital), key=lambda group: group.seq)
    return Directory(
        hospital,
        hospital_names(ledger, [hospital])[hospital],
        row.active,
        zone_of(ledger, hospital),
        {account: names.get(account, "") for account in doctors},
        tuple(
            Department(g.group, group_name(ledger, g), g.seq, _accounts(ledger, g.group, over))
            for g in groups
        ),
    )


def zone_of(ledger: Ledger, hospital: str) -> str:
    """The time zone that the hospital was approved with, or applied with; raises NotThere."""
    row = _known(ledger, hospital)
    return str(ledger.kept_entry(row.seq).event.body["time_zone"])


@dataclass(frozen=True)
class GroupOwner:
    """A group and the hospital whose group it is."""

    group: str
    hospital: str


def owner_of(ledger: Ledger, caller: Caller, group: str) -> GroupOwner:
    """The hospital whose group it is; raises NotThere."""
    row = ledger.row(Group, group)
    if row is None:
        raise NotThere(f"there is no group {group}")
    return GroupOwner(group, row.hospital)


@dataclass(frozen=True)
class Role:
    """A role that an account holds or held."""

    role: str
    hospital: str
    """Empty for roles that no hospital gives."""
    active: bool
    """Whether one acts in it now: neither it nor its hospital is suspended."""


@dataclass(frozen=True)
class Holder:
    """An account, its name if it works at a hospital, and its roles."""

    account: str
    name: str
    roles: tuple[Role, ...]

    def acts_as(self, role: str) -> list[Role]:
        """Where it acts in that role now."""
        return [one for one in self.roles if one.active and one.role == role]


def holder_of(ledger: Ledger, caller: Caller, account: str) -> Holder:
    """An account's roles; raises NotThere.

    Whether it is a patient is told to itself and to the hospital that registered the patient alone.
    """
    if ledger.row(Account, account) is None:
        raise NotThere(f"there is no account {account}")
    members = sorted(ledger.rows(Member, "account", account), key=lambda member: member.seq)
    now = ledger.clock()
    roles = [Role(m.role, m.hospital, m.holds(now) and _runs(ledger, m.hospital)) for m in members]
    shown = [
        chart
        for chart in ledger.rows(Patient, "account", account)
        if account == caller.account or (chart.hospital and chart.hospital == caller.hospital)
    ]
    if shown:
        roles.append(Role("patient", "", any(chart.is_of(account) for chart in shown)))
    return Holder(account, staff_names(ledger, [account]).get(account, ""), tuple(roles))


def _known(ledger: Ledger, hospital: str) -> Hospital:
    row = ledger.row(Hospital, hospital)
    if row is None:
        raise NotThere(f"there is no hospital {hospital}")
    return row


def _runs(ledger: Ledger, hospital: str) -> bool:
    row = ledger.row(Hospital, hospital) if hospital else None
    return not hospital or (row is not None and row.active)


def _accounts(ledger: Ledger, group: str, over: Set[str]) -> tuple[str, ...]:
    """Who is in a group; `over`: those whose approval at its hospital has run out."""
    members = ledger.rows(GroupMember, "group", group)
    return tuple(sorted(m.account for m in members if m.active and m.account not in over))


@dataclass(frozen=True)
class OpenHospital:
    """A hospital that acts now, by its public name."""

    hospital: str
    name: str


def open_hospitals(ledger: Ledger, caller: Caller) -> tuple[OpenHospital, ...]:
    """The hospitals that act now, by name, for anybody who is signed in: whom one may grant, or apply to."""
    ids = [row.hospital for row in ledger.rows(Hospital, "active", True)]
    names = hospital_names(ledger, ids)
    found = [OpenHospital(one, names[one]) for one in ids]
    return tuple(sorted(found, key=lambda one: (one.name.casefold(), one.hospital)))
