"""Who is who in the log: hospitals, accounts, keys and roles, as its entries leave them."""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.codes import HOSPITAL_ROLES
from ledger.editions import STRICTER
from ledger.policies import edition_in_force
from ledger.rows import Look, row_type
from ledger.times import DAY_MS

X_WING = "x-wing"
"""The algorithm of keys that are sealed to, and sign nothing."""
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


@row_type("recoveries_revoked", key=1)
class RecoveryRevoked(NamedTuple):
    """That a recovery of an account was revoked by what its owner signs in by, last by entry `seq`."""

    account: str
    seq: int


def revocable(keys: Iterable[Key], before: RecoveryRevoked | None, time: int) -> list[Key]:
    """Of an account's keys those that were put in by recovery and wait at `time` (Unix ms), if its password or a code may
    revoke them: once, and again only after a later recovery came to count.

    So a password or a phone that was stolen can't lock the owner out for ever: whoever is identified anew goes on. A
    recovery whose key was revoked since counts no more, whoever revoked it: with an older key that was stolen too, each new
    one could be ended. Owners who rotated it revoke by the key that they have.
    """
    all_keys = list(keys)
    waiting = [key for key in all_keys if key.active and key.counts_from > time]
    if before is None:
        return waiting
    recovered = any(
        key.active
        and key.voucher != key.account
        and before.seq < key.seq
        and key.counts_from <= time
        for key in all_keys
    )
    return waiting if recovered else []


@row_type("members", key=3, group=("account",), indexes={"members_of_hospital": "hospital"})
class Member(NamedTuple):
    """Who acts for a hospital in a role (of an auditor or the operator, `hospital` is empty).

    `start` and `end` (Unix ms) bound an auditor's term, `end` a doctor's approval too, where 0 is no bound.
    """

    account: str
    role: str
    hospital: str
    seq: int
    active: bool
    start: int
    end: int
    profession: str = ""
    """Of a doctor, as approved; empty where none was named, which counts as a physician."""
    suspended: bool = False
    """Of a doctor who isn't active: suspended, and not ended."""

    def holds(self, time: int) -> bool:
        """Whether the role is held at `time` (Unix ms), as far as this row tells: the end is excluded."""
        unbounded = not self.end and self.role != "auditor"
        return self.active and self.start <= time and (unbounded or time < self.end)


@row_type(
    "hospital_applications",
    key=1,
    group=("account",),
    indexes={"hospital_applications_of_account": "account"},
)
class HospitalApplication(NamedTuple):
    """That somebody applied for a hospital, by entry `seq`."""

    hospital: str
    account: str
    """Who applied."""
    seq: int
    state: str
    """`pending`, `approved` or `declined`."""
    decided: int
    """The entry that approved or declined; 0 while pending."""
    reason: str
    """Why it was declined, a code of `ledger.codes.DECLINED`; else empty."""
    system: str = ""
    """The account that its system is to have, once it is approved; empty where none was named."""
    key: str = ""
    """The id of that system's key, which whoever applied proved to have; empty where none was named."""


@row_type(
    "doctor_applications",
    key=2,
    group=("account",),
    indexes={"doctor_applications_of_hospital": "hospital"},
)
class DoctorApplication(NamedTuple):
    """That an account applied to a hospital as a doctor, last by entry `seq`."""

    account: str
    hospital: str
    seq: int
    application: str
    """The id of the event that applied."""
    profession: str
    """As applied for."""
    state: str
    """`pending`, `approved` or `declined`."""
    decided: int
    """The entry that approved or declined; 0 while pending."""
    reason: str
    """Why it was declined, a code of `ledger.codes.DECLINED`; else empty."""


@row_type(
    "doctor_invitations",
    key=2,
    group=("hospital",),
    indexes={"doctor_invitations_of_account": "account"},
)
class DoctorInvitation(NamedTuple):
    """That an admin invited somebody to be a doctor of a hospital, by entry `seq`."""

    hospital: str
    invitation: str
    """The id of the event that invited."""
    seq: int
    inviter: str
    """The admin who invited."""
    public: bytes
    """The public key of the invitation's code."""
    until: int
    """Until when the code counts, Unix ms, excluded."""
    profession: str
    group: str
    """The department to join; empty for none."""
    end: int
    """Of the approval, Unix ms; 0 for none."""
    closed: int
    """The entry by which somebody took it up, or that withdrew it; 0 while it is open."""
    account: str
    """Who took it up; empty where nobody did."""

    def waits(self, time: int) -> bool:
        """Whether it is neither taken up nor withdrawn, and its code counts at `time` (Unix ms)."""
        return not self.closed and time < self.until


class ChartLink(NamedTuple):
    """That a hospital says that a chart and another one are of one person, as one of the two has it."""

    other: str
    """The other chart."""
    seq: int
    """The entry that linked the two first, in either stream."""
    hospital: str
    """Whose entry it is in this chart's stream; empty where there was none yet."""
    told: int
    """That entry; 0 while it isn't in this stream, or since the link was ended there."""
    signed: int
    """The entry by which this chart's patient said that it is so; 0 if they didn't, or since the link was ended."""
    theirs: int
    """The like of the other chart's patient."""
    holds: bool
    """Whether whom the other chart excludes is kept out of this one too; only this chart's own patient ends that."""

    @property
    def joined(self) -> bool:
        """Whether both patients signed: then what either granted may count in the other."""
        return bool(self.signed and self.theirs)


@row_type("patients", key=1, prefix="pt", indexes={"patients_of_account": "account"})
class Patient(NamedTuple):
    """A patient's chart; the account is the patient. `teen_from`, `adult_from`: Unix ms, 0 if adult."""

    patient: str
    account: str
    hospital: str
    """The hospital that registered; empty for the service."""
    seq: int
    """The entry that registered."""
    teen_from: int
    adult_from: int
    deceased: int
    """The entry that says the patient has died; 0 while alive."""
    offered: int = 0
    """The entry that offered the claim code that counts; 0 where the chart waits for nobody to claim it."""
    offerer: str = ""
    """The hospital that offered it; empty for the service."""
    claim: bytes = b""
    """The public key of that code; empty without one."""
    claimed: int = 0
    """The entry by which a person claimed the chart; 0 where its account is the one that it was registered for."""
    erased: int = 0
    """The entry that asked to erase the whole chart; 0 where none did, or it was withdrawn."""
    links: tuple[ChartLink, ...] = ()
    """The other charts with which a hospital linked this one, by their ids."""

    def is_of(self, account: str) -> bool:
        """Whether an account is this patient: of a chart that waits to be claimed nobody's is."""
        return self.account == account and not self.offered

    @property
    def is_claimed(self) -> bool:
        """Whether a person says so by a key that no hospital can have put in: they claimed it, or registered alone."""
        return bool(self.claimed) or not self.hospital

    @property
    def bound(self) -> tuple[str, ...]:
        """The other charts whose exclusions hold in this one."""
        return tuple(link.other for link in self.links if link.holds)

    @property
    def joined(self) -> tuple[str, ...]:
        """The other charts whose grants count in this one: both patients signed."""
        return tuple(link.other for link in self.links if link.joined)

    def link(self, other: str) -> ChartLink | None:
        """How this chart is or was linked with another one, or None."""
        return next((link for link in self.links if link.other == other), None)


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


def was_approved(hospital: Hospital, look: Look) -> bool:
    """Whether a hospital was ever approved: one that somebody applied for is there before it is."""
    if hospital.active:
        return True
    applied = look.get(HospitalApplication, hospital.hospital)
    return applied is None or applied.state == "approved"


def is_staff(account: str, time: int, look: Look) -> bool:
    """Whether an account holds a role at a hospital at `time` (Unix ms), active or suspended as a whole; from
    STRICTER on such an account is no auditor."""
    if edition_in_force(look) < STRICTER:
        return False
    return any(m.holds(time) and m.role in HOSPITAL_ROLES for m in look.group(Member, account))
