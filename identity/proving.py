"""Proving who one is by what is kept of an account: the password, then a code or a recovery code, each of which works once.

What is proved is used up by what it is shown for, in the transaction of its entries: a code is never lost to something that
comes to nothing, and never counts twice.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection

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
    step: int = field(default=0, repr=False)
    """The step of the code that was shown."""
    recovery: bytes = field(default=b"", repr=False)
    """The keyed hash of the recovery code that was shown."""

    @property
    def left(self) -> int:
        """How many recovery codes are left once this is used up."""
        return self.kept.recovery - (self.second == "recovery")

    def use(self, ledger: Ledger, account: str, connection: Connection) -> bool:
        """Use up what was shown, in the transaction of what it is shown for; False where somebody else did."""
        if self.second == "code":
            return ledger.credentials.use_step(connection, account, self.kept.seed, self.step)
        if self.second == "recovery":
            return ledger.credentials.use_recovery(connection, account, self.recovery)
        return True


def prove(
    ledger: Ledger, account: str, proof: Proof, address: str, *, password: bool = True, named: str = ""
) -> Proved | None:  # fmt: skip
    """What the proof proves of an account; None where anything of it is wrong, used or missing. Nothing is used up.

    A second factor is asked for wherever one counts. `password`: whether a password is, too. `address`: whence it comes.
    `named`: what was given as the account, where there is none by that name. Raises Throttled.
    """
    attempt = Attempt(ledger, account, address, named)
    kept = ledger.credentials.of(account)
    right = not password or passwords.matches(kept.password if kept else None, proof.password)
    proved = _proved(ledger, account, kept, proof, right)
    if proved is None:
        attempt.failed(kept is not None)
        return None
    attempt.passed()
    return proved


def prove_one(
    ledger: Ledger, account: str, proof: Proof, address: str, named: str
) -> Proved | None:
    """What one factor proves by itself: the password, or else a code or a recovery code; None where it is wrong.

    It counts as a try at signing in, whatever comes of it, and isn't forgiven: whoever has one factor alone must not wipe out
    their failures at guessing the other. `named`: what was given as the account. Raises Throttled.
    """
    attempt = Attempt(ledger, account, address, named)
    kept = ledger.credentials.of(account)
    if proof.password:
        right = passwords.matches(kept.password if kept else None, proof.password)
        proved = Proved(kept, "") if kept is not None and right else None
    else:
        proved = _proved(ledger, account, kept, proof, True)
    if proved is None or not (proof.password or proved.second):
        attempt.failed(kept is not None)
        return None
    return proved


def opened_seed(ledger: Ledger, account: str, kept: Kept) -> bytes:
    """The seed of an account's codes; raises SealError where it was altered."""
    return ledger.identity.open(SEED, account, kept.seed)


def recovery_hash(ledger: Ledger, account: str, code: str) -> bytes:
    """The keyed hash under which a recovery code of an account is kept."""
    return ledger.identity.index(RECOVERY, f"{account}\0{codes.plain_recovery(code)}")


def _proved(
    ledger: Ledger, account: str, kept: Kept | None, proof: Proof, right: bool
) -> Proved | None:
    """What is proved, with the second factor where one counts; None where that is wrong, was used, or is missing.

    A wrong password costs what a wrong code does.
    """
    counts = kept is not None and kept.confirmed
    seed = opened_seed(ledger, account, kept) if kept is not None and counts else None
    step = codes.step_of(seed, proof.code, ledger.clock())
    hashed = recovery_hash(ledger, account, proof.recovery)
    recovers = ledger.credentials.recovers(
        account, hashed
    )  # asked for whatever is right: it costs the same
    if not right or kept is None:
        return None
    if not counts:
        return None if proof.code or proof.recovery else Proved(kept, "")
    if step is not None:
        return Proved(kept, "code", step=step) if step > kept.step else None
    if proof.recovery and not proof.code and recovers:
        return Proved(kept, "recovery", recovery=hashed)
    return None
