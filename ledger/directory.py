"""Who is who in the log: hospitals, accounts, keys and roles, as its entries leave them."""

from typing import NamedTuple

from ledger.codes import HOSPITAL_ROLES
from ledger.editions import STRICTER
from ledger.policies import edition_in_force
from ledger.rows import Look, row_type
from ledger.times import DAY_MS

RECOVERY_WAIT_MS = DAY_MS
"""A key put in by recovery counts only from this long after its entry."""


@row_type("hospitals", key=1, prefix="hs")
class Hospital(NamedTuple):
    """A hospital; `seq` is the entry that approved it."""

    hospital: str
    seq: int
    active: bool
    has_admin: bool
    """Whether a first admin was ever appointed; the operator appoints no second one."""


@row_type("accounts", key=1, prefix="ac")
class Account(NamedTuple):
    """An account; `registrar` is `operator`, `service` or the hospital that registered it."""

    account: str
    seq: int
    registrar: str


@row_type("keys", key=1, group=("account",), prefix="k", indexes={"keys_of_account": "account"})
class Key(NamedTuple):
    """A key in the log; it signs from `counts_from` (Unix ms) until it is revoked."""

    key: str
    account: str
    public: bytes
    algorithm: str
    custody: str
    seq: int
    counts_from: int
    voucher: str
    """Who vouched for it: a hospital, by whichever of its people, or else the account."""
    active: bool


@row_type("members", key=3, group=("account",), indexes={"members_of_hospital": "hospital"})
class Member(NamedTuple):
    """Who acts for a hospital in a role (of an auditor or the operator, `hospital` is empty).

    `start` and `end` (Unix ms) bound an auditor's term; 0 is no bound.
    """

    account: str
    role: str
    hospital: str
    seq: int
    active: bool
    start: int
    end: int


@row_type("patients", key=1, prefix="pt", indexes={"patients_of_account": "account"})
class Patient(NamedTuple):
    """A patient's chart; the account is the patient. `teen_from`, `adult_from`: Unix ms, 0 if adult."""

    patient: str
    account: str
    hospital: str
    """The hospital that registered; empty for the service."""
    seq: int
    teen_from: int
    adult_from: int
    deceased: int
    """The entry that says the patient has died; 0 while alive."""


@row_type("groups", key=1, prefix="gp", indexes={"groups_of_hospital": "hospital"})
class Group(NamedTuple):
    """A group (a department) of a hospital; `seq` is the entry that formed it."""

    group: str
    hospital: str
    seq: int


@row_type("group_members", key=2, group=("account",), indexes={"members_of_group": "group"})
class GroupMember(NamedTuple):
    """That an account is (`active`) or was in a group, by entry `seq`."""

    account: str
    group: str
    seq: int
    active: bool


def is_staff(account: str, look: Look) -> bool:
    """Whether an account holds a role at a hospital, active or suspended as a whole; from STRICTER on such an
    account is no auditor."""
    if edition_in_force(look) < STRICTER:
        return False
    return any(m.active and m.role in HOSPITAL_ROLES for m in look.group(Member, account))
