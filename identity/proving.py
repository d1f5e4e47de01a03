"""Proving who one is by what is kept of an account: the password, then a code or a recovery code, each of which works once."""

from dataclasses import dataclass, field

from identity import codes, passwords
from identity.throttles import Attempt
from storage.ledger import Ledger
from storage.sql.credentials import Kept

SEED = "seed"
"""The kind under which seeds are sealed."""
RECOVERY = "recovery"
"""The kind of keyed hash under which recovery codes are kept."""


@dataclass(frozen=True)
class Proof:
    """What somebody shows; what is empty wasn't shown. It prints nothing of it."""

    password: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    recovery: str = field(default="", repr=False)


@dataclass(frozen=True)
class Proved:
    """What was proved."""

    kept: Kept
    """As it was when it was compared."""
    second: str
    """`code`, `recovery`, or empty where no second factor is set up."""
    left: int
    """How many recovery codes are left now."""


def prove(
    ledger: Ledger, account: str, proof: Proof, address: str, *, password: bool = True, named: str = ""
) -> Proved | None:  # fmt: skip
    """What the proof proves of an account; None where anything of it is wrong, used or missing. Raises Throttled.

    A second factor is asked for wherever one counts. `password`: whether a password is, too. `address`: whence it comes.
    `named`: what was given as the account, where there is none by that name.
    """
    attempt = Attempt(ledger, account, address, named)
    kept = ledger.credentials.of(account)
    right = not password or passwords.matches(kept.password if kept else None, proof.password)
    second = _second(ledger, account, kept, proof, right)
    if kept is None or not right or second is None:
        attempt.failed(kept is not None)
        return None
    attempt.passed()
    return Proved(kept, second, kept.recovery - (second == "recovery"))


def opened_seed(ledger: Ledger, account: str, kept: Kept) -> bytes:
    """The seed of an account's codes; raises SealError where it was altered."""
    return ledger.identity.open(SEED, account, kept.seed)


def recovery_hash(ledger: Ledger, account: str, code: str) -> bytes:
    """The keyed hash under which a recovery code of an account is kept."""
    return ledger.identity.index(RECOVERY, f"{account}\0{codes.plain_recovery(code)}")


def _second(
    ledger: Ledger, account: str, kept: Kept | None, proof: Proof, right: bool
) -> str | None:
    """By what the second factor was shown, empty where none counts; None where it is wrong.

    Nothing is used up unless the rest is `right`, and a wrong password costs what a wrong code does.
    """
    counts = kept is not None and kept.confirmed
    seed = opened_seed(ledger, account, kept) if kept is not None and counts else None
    step = codes.step_of(seed, proof.code, ledger.clock())
    hashed = recovery_hash(ledger, account, proof.recovery)
    if not right or kept is None:
        return None
    if not counts:
        return None if proof.code or proof.recovery else ""
    if step is not None:
        return "code" if ledger.credentials.use_step(account, kept.seed, step) else None
    if proof.recovery and not proof.code:
        return "recovery" if ledger.credentials.use_recovery(account, hashed) else None
    return None
