"""Names: of hospitals, which are public, and of their people and groups, opened by the keeper for anybody signed in.

A name that can't be opened is none: whoever signed it must not keep what it stands beside from anybody.
"""

from collections.abc import Sequence

from journeys.sealing import object_key
from journeys.unopened import tell_unopened
from ledger.directory import (
    Account,
    DoctorApplication,
    DoctorInvitation,
    Group,
    Hospital,
    HospitalApplication,
    Member,
)
from storage.evidence import ask_keeper, of_entries
from storage.keytable import with_object_key
from storage.ledger import Ledger

NAMES_KEPT = 100_000
"""Names kept in memory; none ever changes."""


def hospital_names(ledger: Ledger, hospitals: Sequence[str]) -> dict[str, str]:
    """The public names of those hospitals that are known."""
    return {hospital: name for hospital in hospitals if (name := _hospital(ledger, hospital))}


def staff_names(ledger: Ledger, accounts: Sequence[str]) -> dict[str, str]:
    """The names of those accounts that work or worked at a hospital and have one.

    Of those who registered alone, only if they asked for a role there: a hospital's appointing them tells nobody who they are.
    """
    return {account: name for account in accounts if (name := _person(ledger, account))}


def group_name(ledger: Ledger, group: Group) -> str:
    """A group's name; empty where it has none, or none that can be opened."""
    if group.group in ledger.names:
        return ledger.names[group.group]
    if "name" not in ledger.entry(group.seq).event.body:
        return ""
    formed = of_entries(ledger, group.seq)
    key = object_key(ledger.keys, group.hospital, group.group)
    name = with_object_key(
        ledger.keys,
        key,
        lambda found: ask_keeper(
            ledger, formed, lambda shown: ledger.keeper.group_name(shown, found)
        ),
    )
    return _keep(ledger, group.group, _text(group.group, name))


def applied_names(ledger: Ledger, applied: HospitalApplication) -> tuple[str, str]:
    """What whoever applied for a hospital calls it, and the contact; for the operator, the name for the applicant too.

    Each is empty where it can't be opened.
    """
    shown = of_entries(ledger, applied.seq)
    key = object_key(ledger.keys, applied.hospital, applied.hospital)
    name, contact = with_object_key(
        ledger.keys,
        key,
        lambda found: ask_keeper(ledger, shown, lambda e: ledger.keeper.applied(e, found)),
    )
    return _text(applied.hospital, name), _text(applied.hospital, contact)


def applicant_name(ledger: Ledger, account: str, applied: int) -> str:
    """The name of whoever applied to a hospital by entry `applied`; for that hospital's admins alone.

    Kept apart from the names that anybody signed in is shown.
    """
    kept = f"applied {account}"
    if kept in ledger.names:
        return ledger.names[kept]
    row = ledger.row(Account, account)
    if row is None or not _named(ledger, row):
        return ""
    return _keep(ledger, kept, _opened(ledger, account, row.seq, applied))


def _hospital(ledger: Ledger, hospital: str) -> str:
    if hospital in ledger.names:
        return ledger.names[hospital]
    row = ledger.row(Hospital, hospital)
    if row is None:
        return ""
    event = ledger.entry(row.seq).event
    if event.type.name != "hospital.approved":
        return ""  # what an applicant calls it is sealed, and not public
    return _keep(ledger, hospital, str(event.body["name"]))


def _person(ledger: Ledger, account: str) -> str:
    if account in ledger.names:
        return ledger.names[account]
    row = ledger.row(Account, account)
    roles = [member for member in ledger.rows(Member, "account", account) if member.hospital]
    if row is None or not roles or not _named(ledger, row):
        return ""
    # Whichever role: having left doesn't take the name out of what was done.
    joined = roles[0].seq if row.registrar != "service" else _asked(ledger, roles)
    return _keep(ledger, account, _opened(ledger, account, row.seq, joined)) if joined else ""


def _asked(ledger: Ledger, roles: Sequence[Member]) -> int:
    """The entry by which an account asked for one of its roles itself, or took up an invitation; 0 where it never did."""
    taken = ledger.rows(DoctorInvitation, "account", roles[0].account)
    joined = {one.hospital: one.closed for one in taken}
    for member in roles:
        if member.hospital in joined:
            return joined[member.hospital]
        doctor = ledger.row(DoctorApplication, member.account, member.hospital)
        hospital = ledger.row(HospitalApplication, member.hospital)
        if doctor is not None:
            return doctor.seq
        if hospital is not None and hospital.account == member.account:
            return hospital.seq
    return 0


def _named(ledger: Ledger, row: Account) -> bool:
    """Whether the account has a name of its own: a patient's, registered with a chart, is the chart's."""
    event = ledger.entry(row.seq).event
    return event.type.name == "account.registered" and "name" in event.body


def _opened(ledger: Ledger, account: str, registered: int, joined: int) -> str:
    """The name in entry `registered`, on the strength of it and of entry `joined`; empty where it can't be opened."""
    shown = of_entries(ledger, registered, joined)
    key = object_key(ledger.keys, account, account)
    name = with_object_key(
        ledger.keys,
        key,
        lambda found: ask_keeper(ledger, shown, lambda e: ledger.keeper.staff_name(e, found)),
    )
    return _text(account, name)


def _text(whose: str, name: str | None) -> str:
    """A name that the keeper answered; empty, and told to the program's log, where it can't be opened."""
    if name is None:
        tell_unopened([whose])
    return name or ""


def _keep(ledger: Ledger, whose: str, name: str) -> str:
    if len(ledger.names) >= NAMES_KEPT:
        ledger.names.clear()
    ledger.names[whose] = name
    return name
