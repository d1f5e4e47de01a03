"""What people see of their own: a seed that they begin, what a setup link gives, their factors, their sessions by password, and what the log says of their sign-ins."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from identity.actors import Caller
from identity.sessions import ALONE_ROLES, TWO_FACTOR_ROLES, active_role, is_over
from ledger.directory import Member
from ledger.times import format_time
from storage.ledger import Ledger

SIGN_INS_SHOWN = 200
"""Entries of one's own sign-in history that are shown, the newest ones."""
SIGN_INS_LOOKED = 20_000
"""The newest entries of an account among which they are looked for."""
_SHOWN = ("factor", "recovery", "session")
"""How the types begin that are about sign-ins."""


@dataclass(frozen=True)
class BegunCode:
    """One-time codes that don't count yet: what an app reads, and the seed for typing it in."""

    uri: str
    seed: str


@dataclass(frozen=True)
class BegunSetup:
    """Whose link it is, and one-time codes that don't count yet."""

    account: str
    seed: str
    uri: str


@dataclass(frozen=True)
class SetUp:
    """Whose password and codes count from now on, and the recovery codes, this once."""

    account: str
    recovery: tuple[str, ...]


@dataclass(frozen=True)
class Factors:
    """What an account can sign in by."""

    code: bool
    password: bool
    recovery: int
    """How many recovery codes are left."""


def factors_of(ledger: Ledger, caller: Caller) -> Factors:
    """The caller's own factors."""
    kept = ledger.credentials.of(caller.account)
    if kept is None:
        return Factors(False, False, 0)
    return Factors(kept.confirmed, True, kept.recovery)


@dataclass(frozen=True)
class OwnSession:
    """A session by password as its owner sees it; times as texts."""

    assurance: int
    created: str
    current: bool
    """Whether it is the one that asks."""
    hospital: str
    means: str
    role: str
    session: str
    used: str


def sessions_of(ledger: Ledger, caller: Caller) -> tuple[OwnSession, ...]:
    """The caller's own sessions by password, the one that was used last first."""
    now, current = ledger.clock(), caller.session.id if caller.session else ""
    return tuple(
        OwnSession(
            3 if now < row.strong_until else row.assurance, format_time(row.created), row.session == current,
            row.hospital, row.means, row.role, row.session, format_time(row.used),
        )
        for row in ledger.credentials.sessions.of(caller.account)
        if not is_over(row, now)
    )  # fmt: skip


@dataclass(frozen=True)
class SignInEntry:
    """An entry about one's own sign-ins and factors."""

    body: dict[str, Any]
    seq: int
    time: str
    type: str


def sign_ins_of(ledger: Ledger, caller: Caller) -> tuple[SignInEntry, ...]:
    """What stands in the log of the caller's sign-ins and factors, the newest first, at most SIGN_INS_SHOWN."""
    found = (
        SignInEntry(
            dict(entry.event.body), entry.link.seq, format_time(entry.time), entry.event.type.name
        )
        for entry in ledger.backwards(f"account/{caller.account}", SIGN_INS_LOOKED)
        if entry.event.type.name.partition(".")[0] in _SHOWN
    )
    return tuple(islice(found, SIGN_INS_SHOWN))


@dataclass(frozen=True)
class OwnPasskey:
    """A passkey as its owner sees it; times as texts, `regressed` empty where its counter never went back."""

    created: str
    passkey: str
    regressed: str
    used: str


def passkeys_of(ledger: Ledger, caller: Caller) -> tuple[OwnPasskey, ...]:
    """The caller's own passkeys, the newest first."""
    return tuple(
        OwnPasskey(
            format_time(row.created), row.name, format_time(row.regressed) if row.regressed else "",
            format_time(row.used),
        )
        for row in ledger.credentials.passkeys.of(caller.account)
    )  # fmt: skip


@dataclass(frozen=True)
class OwnRole:
    """A role that an account can act in now; `hospital` is empty for those that no hospital gives."""

    role: str
    hospital: str = ""


def own_roles(ledger: Ledger, caller: Caller) -> tuple[OwnRole, ...]:
    """The roles in which the caller could be signed in by password now: as a person, then those that they hold."""
    held = sorted(ledger.rows(Member, "account", caller.account), key=lambda member: member.seq)
    alone = (OwnRole(role) for role in ("person", "patient", "relative"))
    could = [*alone, *(OwnRole(m.role, m.hospital) for m in held)]
    now, allowed = ledger.clock(), ALONE_ROLES | TWO_FACTOR_ROLES
    return tuple(
        one
        for one in dict.fromkeys(could)
        if one.role in allowed
        and active_role(ledger, Caller(caller.account, one.role, one.hospital, None), now)
    )
