"""A hospital as anybody signed in may see it: its public name, its active doctors, its groups."""

from dataclasses import dataclass

from ledger.directory import Group, GroupMember, Hospital, Member
from records.errors import NotThere
from records.names import group_name, hospital_names, staff_names
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
    doctors: dict[str, str]
    """Names of the active doctors by account."""
    groups: tuple[Department, ...]
    """In the order in which they were formed."""


def directory_of(ledger: Ledger, hospital: str) -> Directory:
    """A hospital's directory as of now; raises NotThere."""
    row = ledger.row(Hospital, hospital)
    if row is None:
        raise NotThere(f"there is no hospital {hospital}")
    members = ledger.rows(Member, "hospital", hospital)
    doctors = sorted(m.account for m in members if m.role == "doctor" and m.active)
    names = staff_names(ledger, doctors)
    groups = sorted(ledger.rows(Group, "hospital", hospital), key=lambda group: group.seq)
    return Directory(
        hospital,
        hospital_names(ledger, [hospital])[hospital],
        row.active,
        {account: names.get(account, "") for account in doctors},
        tuple(
            Department(g.group, group_name(ledger, g), g.seq, _accounts(ledger, g.group))
            for g in groups
        ),
    )


def _accounts(ledger: Ledger, group: str) -> tuple[str, ...]:
    members = ledger.rows(GroupMember, "group", group)
    return tuple(sorted(member.account for member in members if member.active))
