"""The system that a hospital applied with: the operator adds it with the approval, and can put in no other key."""

from typing import TYPE_CHECKING

from ledger.codes import ACCOUNT, body
from ledger.directory import Account, Hospital, HospitalApplication, Key, Member
from ledger.editions import CONSENT
from ledger.errors import Refused
from ledger.rows import Look, Row, Wanted, row_named, row_of_id, rows_in
from ledger.types.checks import known_account
from ledger.types.declaration import EventType
from ledger.types.examples import Example
from ledger.types.staff import no_auditor

if TYPE_CHECKING:
    from ledger.entry import Entry
    from ledger.event import Event

_ROLE = "hospital_system"


def _may_add(event: "Event", time: int, origin: str, look: Look) -> None:
    """Once, of an active hospital, as it applied: under the one key that the applicant proved to have.

    With another key beside it, whoever put that in could act for the hospital.
    """
    account, at = known_account(event, look), event.subject
    no_auditor(event, time, look)
    hospital, applied = look.get(Hospital, at), look.get(HospitalApplication, at)
    if hospital is None or not hospital.active:
        raise Refused("unknown", f"got the hospital {at}, which is not active")
    if applied is None or applied.system != account.account:
        raise Refused(
            "role", f"got {account.account}, which is not the system that {at} applied with; its admins add others"
        )  # fmt: skip
    if look.get(Member, account.account, _ROLE, at) is not None:
        raise Refused("conflict", f"{account.account} was added to {at} before")
    if [(one.key, one.active) for one in look.group(Key, account.account)] != [(applied.key, True)]:
        raise Refused(
            "key", f"expected {applied.key}, active, as the only key that {account.account} ever had"
        )  # fmt: skip


def _added(entry: "Entry", look: Look) -> list[Row]:
    """Account and key are the hospital's from now on, as if its admins had registered them."""
    account, hospital = entry.event.body["account"], entry.event.subject
    row = look.get(Account, account)
    handed: list[Row] = [] if row is None else [row._replace(registrar=hospital)]
    handed += [key._replace(voucher=hospital) for key in look.group(Key, account)]
    return [Member(account, _ROLE, hospital, entry.link.seq, True, 0, 0), *handed]


def _adding(event: "Event") -> list[Wanted]:
    account, hospital = event.body["account"], event.subject
    return [
        row_of_id(account), row_of_id(hospital), row_named(HospitalApplication, hospital), rows_in(Key, account),
        row_named(Member, account, "auditor", ""), row_named(Member, account, _ROLE, hospital),
    ]  # fmt: skip


SYSTEM_ADDED = EventType(
    "system.added",
    "hospital",
    ("operator",),
    body(account=ACCOUNT),
    v=2,
    since=CONSENT,
    rule=_may_add,
    fold=_added,
    changes=(Member, Account, Key),
    wants=_adding,
    example=Example("operator", lambda sample: {"account": sample.account("hospital_system")}),
)
