"""The operator's first sign-in: a one-time link, printed when the ledger is made, sets password and one-time codes at once.

It counts once, for a day, and only while the account has no password: then it is dead, wherever it lies. It has 128 random
bits, so that guesses need no throttle; of it a keyed hash is kept, in the store of what lasts for a while.
"""

import base64
import os

from crypto.identity import IdentityRoot
from identity import codes, onrecord, passwords
from identity.errors import FactorConflict, WrongProof
from identity.onrecord import Act, Change
from identity.own import BegunSetup, SetUp
from identity.proving import SEED, recovery_hash
from storage.ledger import Ledger
from storage.resets import normal_link
from storage.tokens import TokenStore

SETUP_LINK_MS = 86_400_000
"""How long a link counts."""
LINK_BYTES = 16
_LINK, _SEED = "setup link", "setup seed"
"""The kinds under which an account, and a seed that was begun, are kept by the link's keyed hash."""
_WRONG = "the link or the code is wrong, has expired, or was used already"


def give_link(tokens: TokenStore, identity: IdentityRoot, account: str, now: int) -> str:
    """A fresh link for an account without a password, from `now` (Unix ms) on: 26 letters and digits."""
    link = base64.b32encode(os.urandom(LINK_BYTES)).decode().rstrip("=")
    tokens.put(_LINK, _index(identity, link), account.encode(), now, now + SETUP_LINK_MS)
    return link


def begin_setup(ledger: Ledger, link: str) -> BegunSetup:
    """A fresh seed for a link's owner, in place of one that was begun before; raises WrongProof."""
    account, now, seed = _owner(ledger, link), ledger.clock(), codes.new_seed()
    sealed, end = ledger.identity.seal(SEED, account, seed), now + SETUP_LINK_MS
    ledger.tokens.put(_SEED, _index(ledger.identity, link), sealed, now, end)
    uri = codes.enrolment_uri(seed, account, ledger.origin)
    return BegunSetup(account, codes.seed_text(seed), uri)


def complete_setup(ledger: Ledger, link: str, new: str, code: str) -> SetUp:
    """Set password and codes by a link and a code of the seed that was begun, and use the link up, all or nothing.

    Raises BadPassword, before anything is used up; WrongProof, whatever is wrong; Unavailable where nothing can go on record.
    """
    onrecord.check_takes(ledger)
    account, now, credentials = _owner(ledger, link), ledger.clock(), ledger.credentials
    passwords.check(new, account)
    index = _index(ledger.identity, link)
    sealed = ledger.tokens.get(_SEED, index, now)
    step = codes.step_of(ledger.identity.open(SEED, account, sealed), code, now) if sealed else None
    if sealed is None or step is None:
        raise WrongProof(_WRONG)
    hashed, recovery, shown = passwords.hash_new(new, account), codes.new_recovery_codes(), step
    hashes = [recovery_hash(ledger, account, one) for one in recovery]
    meanwhile = FactorConflict("codes of the account were begun meanwhile; try again")
    if not credentials.begin_code(account, sealed):
        raise meanwhile
    wrong = WrongProof(_WRONG)
    changes = [
        Change(lambda c: credentials.set_first(c, account, hashed, now), wrong),
        Change(lambda c: credentials.confirm_code(c, account, sealed, shown, hashes, now), meanwhile),
        # Last, as it lies in a store of its own: what comes before has to hold.
        Change(lambda _: ledger.tokens.take(_LINK, index, now) is not None, wrong),
    ]  # fmt: skip
    acts: list[Act] = [("factor.added", {"factor": factor}) for factor in ("password", "code")]
    onrecord.put_on_record(ledger, account, acts, changes)
    return SetUp(account, recovery)


def _owner(ledger: Ledger, link: str) -> str:
    """Whose link it is, while the account has no password; raises WrongProof."""
    found = ledger.tokens.get(_LINK, _index(ledger.identity, link), ledger.clock())
    account = found.decode() if found else ""
    if not account or ledger.credentials.of(account) is not None:
        raise WrongProof(_WRONG)
    return account


def _index(identity: IdentityRoot, link: str) -> bytes:
    return identity.index(_LINK, normal_link(link))
