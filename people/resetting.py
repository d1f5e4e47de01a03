"""A forgotten password: a link goes to the proved address, and with it and the second factor another password is set.

Whoever asks learns nothing: neither whether an account is there, nor whether it has an address or a second factor.
"""

import logging

import orjson

from identity import onrecord, passwords
from identity.addresses import account_named, normal_address
from identity.errors import WrongProof
from identity.factors import Changer, put_change
from identity.onrecord import RESETS_AN_HOUR, Change
from identity.proving import Proof, prove
from journeys.errors import OverQuota
from storage.ledger import Ledger
from storage.resets import normal_link

RESETS_MS = 3_600_000
"""The time for which the two limits that follow hold."""
RESETS_AN_ADDRESS = 60
"""Resets that are asked for from one address, over HTTP."""
RESETS_A_PAIR = 5
"""Resets of one account, by the name that was given, that are asked for from one address."""
_KIND = "resets"
_WRONG = "the link, the code or the recovery code is wrong, has expired, or was used already"
_LOG = logging.getLogger(__name__)


def ask_reset(ledger: Ledger, who: str, address: str) -> None:
    """Count that somebody at `address` asks for a reset of `who`, an account's id or e-mail address; raises OverQuota.

    The same for every name; `mail_reset` does the rest.
    """
    name = normal_address(who)
    if address:  # one that isn't known counts for nobody
        # First: whoever sends many names leaves no row for each.
        _count(ledger, address, RESETS_AN_ADDRESS)
        _count(ledger, f"{address}\0{name}", RESETS_A_PAIR)


def mail_reset(ledger: Ledger, who: str) -> None:
    """Mail a link to whoever that is, if there is somebody and they can be reached; after the answer, which tells nothing.

    An account without a second factor is told that a mail alone resets nothing. What fails is in the log, for nobody waits.
    """
    try:
        account = account_named(ledger, who)
        kept = ledger.credentials.of(account)
        version = kept.version if kept is not None and kept.confirmed else None
        ledger.resets.give(account, version, ledger.clock())
    except Exception:
        _LOG.exception("a reset can't be mailed")


def reset_password(ledger: Ledger, link: str, new: str, proof: Proof, address: str) -> None:
    """Set another password by a link and the second factor; all sessions by password end, and the account is told.

    Raises BadPassword, before anything is used up; WrongProof, whatever is wrong; FactorConflict, Throttled.
    """
    onrecord.check_takes(ledger)
    resets = ledger.resets
    account = resets.account_of(link, ledger.clock())
    passwords.check(new, account)
    # By the account, whichever of its links it is: only who reads its mail uses that count up. Of a link that is none the
    # try is counted, too: for the address, and for that link alone.
    named = f"reset {account or normal_link(link)}"
    proved = prove(ledger, account, proof, address, password=False, named=named)
    if proved is None or not proved.second:
        raise WrongProof(_WRONG)
    hashed = passwords.hash_new(new, account)
    takes = Change(lambda connection: resets.take(connection, link), WrongProof(_WRONG))
    put_change(
        ledger,
        Changer(account, "", [takes], RESETS_AN_HOUR),
        proved,
        ("factor.added", {"factor": "password", "replaces": True}),
        lambda connection: ledger.credentials.change_password(connection, account, hashed),
        passkeys_go=True,
    )


def _count(ledger: Ledger, name: str, most: int) -> None:
    now = ledger.clock()

    def counted(before: bytes | None) -> bytes:
        count, end = orjson.loads(before) if before else (0, now + RESETS_MS)
        if end <= now:
            count, end = 0, now + RESETS_MS
        if count >= most:
            raise OverQuota(
                f"got more than {most} resets asked for from your address within an hour: try again in "
                f"{(end - now) // 60_000 + 1} minutes"
            )
        return orjson.dumps([count + 1, end])

    ledger.tokens.change(
        _KIND, name.encode("utf-8", "surrogatepass"), counted, now, now + RESETS_MS
    )
