"""Who is who in the log: hospitals, accounts, keys and roles, folded from entries by a pure function."""

from typing import Any, NamedTuple

from crypto.encoding import b64decode
from ledger.entry import Entry
from ledger.event import Event
from ledger.policies import edition_in_force
from ledger.registry import STRICTER
from ledger.rows import GROUPS, KEY_LENGTHS, Look, Row
from ledger.times import DAY_MS, parse_time

RECOVERY_WAIT_MS = DAY_MS
"""A key put in by recovery counts only from this long after its entry."""


class Hospital(NamedTuple):
    """A hospital; `seq` is the entry that approved it."""

    hospital: str
    seq: int
    active: bool
    has_admin: bool
    """Whether a first admin was ever appointed; the operator appoints no second one."""


class Account(NamedTuple):
    """An account; `registrar` is `operator`, `service` or the hospital that registered it."""

    account: str
    seq: int
    registrar: str


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


class Group(NamedTuple):
    """A group (a department) of a hospital; `seq` is the entry that formed it."""

    group: str
    hospital: str
    seq: int


class GroupMember(NamedTuple):
    """That an account is (`active`) or was in a group, by entry `seq`."""

    account: str
    group: str
    seq: int
    active: bool


KEY_LENGTHS.update(
    {Hospital: 1, Account: 1, Key: 1, Member: 3, Patient: 1, Group: 1, GroupMember: 2}
)
GROUPS.update({Key: slice(1, 2), Member: slice(0, 1), GroupMember: slice(0, 1)})


def fold_directory(entry: Entry, look: Look) -> list[Row]:
    """The rows that this entry changes, given the rows before it."""
    fold = _FOLDS.get(entry.event.type.name)
    return fold(entry.event, entry.link.seq, entry.time, look) if fold else []


def _ledger_created(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    rows: list[Row] = []
    for role, custody in (("operator", "device"), ("service", "service")):
        named = event.body[role]
        account = named["account"]
        public = _public(named["public_key"])
        rows.append(Account(account, seq, "operator"))
        rows.append(
            Key(named["key"], account, public, "ed25519", custody, seq, time, account, True)
        )
        rows.append(Member(account, role, "", seq, True, 0, 0))
    return rows


def _hospital_approved(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    row = look.get(Hospital, event.body["hospital"])
    return [Hospital(event.body["hospital"], seq, True, bool(row and row.has_admin))]


def _hospital_suspended(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    row = look.get(Hospital, event.body["hospital"])
    return [row._replace(active=False)] if row else []


def _auditor_appointed(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    body = event.body
    start, end = parse_time(body["start"]), parse_time(body["end"])
    return [Member(body["account"], "auditor", "", seq, True, start, end)]


def _member(role: str, active: bool) -> Any:
    def fold(event: Event, seq: int, time: int, look: Look) -> list[Row]:
        account, hospital = event.body["account"], event.subject
        row = look.get(Member, account, role, hospital)
        if active:
            return [Member(account, role, hospital, seq, True, 0, 0)]
        return [row._replace(active=False)] if row else []

    return fold


def _doctor_approved(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    """Whoever is approved again is in no group any more: neither whoever left, nor whoever was suspended."""
    before = look.get(Member, event.body["account"], "doctor", event.subject)
    rows: list[Row] = _member("doctor", True)(event, seq, time, look)
    return rows if before is None or before.active else [*rows, *_groups_left(event, seq, look)]


def _doctor_ended(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    """Whoever leaves a hospital leaves its groups."""
    rows: list[Row] = _member("doctor", False)(event, seq, time, look)
    return [*rows, *_groups_left(event, seq, look)]


def _groups_left(event: Event, seq: int, look: Look) -> list[Row]:
    """The memberships in this hospital's groups that end with this event; before STRICTER they stayed."""
    if edition_in_force(look) < STRICTER:
        return []
    found = list(look.group(GroupMember, event.body["account"]))
    groups = [(member, look.get(Group, member.group)) for member in found if member.active]
    return [
        member._replace(seq=seq, active=False)
        for member, group in groups
        if group is not None and group.hospital == event.subject
    ]


def _admin_appointed(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    rows: list[Row] = _member("hospital_admin", True)(event, seq, time, look)
    hospital = look.get(Hospital, event.subject)
    if hospital and not hospital.has_admin:
        rows.append(hospital._replace(has_admin=True))
    return rows


def _account_registered(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    return [Account(event.body["account"], seq, event.hospital or event.role)]


def _key_registered(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    body = event.body
    counts_from = time + (RECOVERY_WAIT_MS if body.get("recovery") else 0)
    return [
        Key(
            body["key"], body["account"], _public(body["public_key"]), body["algorithm"],
            body["custody"], seq, counts_from, event.hospital or event.actor, True,
        )
    ]  # fmt: skip


def _key_revoked(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    row = look.get(Key, event.body["key"])
    return [row._replace(active=False)] if row else []


def _patient_registered(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    body = event.body
    rows: list[Row] = []
    if event.role != "service":
        rows.append(Account(body["account"], seq, event.hospital))
    rows.append(Patient(body["patient"], body["account"], event.hospital, seq, *_ages(body, seq)))
    return rows


def _patient_corrected(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    """A correction says all of it anew; the entry that first told of the death stays its entry."""
    old = look.get(Patient, event.body["patient"])
    if old is None:
        return []
    teen, adult, deceased = _ages(event.body, old.deceased or seq)
    return [old._replace(teen_from=teen, adult_from=adult, deceased=deceased)]


def _ages(body: dict[str, Any], seq: int) -> tuple[int, int, int]:
    """`teen_from`, `adult_from` (Unix ms, 0 if adult), and `seq` if the patient has died."""
    teen, adult = (parse_time(body[m]) if m in body else 0 for m in ("teen_from", "adult_from"))
    return teen, adult, seq if body.get("deceased") else 0


def _group_formed(event: Event, seq: int, time: int, look: Look) -> list[Row]:
    return [Group(event.body["group"], event.subject, seq)]


def _group_member(active: bool) -> Any:
    def fold(event: Event, seq: int, time: int, look: Look) -> list[Row]:
        return [GroupMember(event.body["account"], event.body["group"], seq, active)]

    return fold


def _public(text: str) -> bytes:
    return b64decode(text, 32)


_FOLDS = {
    "ledger.created": _ledger_created,
    "hospital.approved": _hospital_approved,
    "hospital.suspended": _hospital_suspended,
    "auditor.appointed": _auditor_appointed,
    "auditor.ended": _member("auditor", False),
    "admin.appointed": _admin_appointed,
    "admin.ended": _member("hospital_admin", False),
    "system.added": _member("hospital_system", True),
    "system.ended": _member("hospital_system", False),
    "doctor.approved": _doctor_approved,
    "doctor.suspended": _member("doctor", False),
    "doctor.ended": _doctor_ended,
    "account.registered": _account_registered,
    "key.registered": _key_registered,
    "key.revoked": _key_revoked,
    "patient.registered": _patient_registered,
    "patient.corrected": _patient_corrected,
    "group.formed": _group_formed,
    "group.joined": _group_member(True),
    "group.left": _group_member(False),
}
