"""The proof of a history that was just looked at: for the page that shows it, for a minute, without another entry."""

import os
from dataclasses import dataclass

import orjson

from crypto.encoding import b64decode, b64encode
from crypto.errors import CryptoError
from journeys.errors import NotThere
from ledger.entry import Entry
from ledger.histories import history_text
from records.explaining import check_still_permitted
from storage.ledger import Ledger

TOKEN_BYTES = 32
TOKEN_MS = 60_000
"""How long the token of a look gives the proof of that look, as a read token gives ranges of a record."""
_KIND = "history"


@dataclass(frozen=True)
class _Look:
    seq: int
    """The entry of the look."""
    actor: str
    patient: str


def proof_token(ledger: Ledger, entry: Entry) -> str:
    """A token by which whoever opened a history fetches its proof; `entry`: the `history.opened` that this very call appended."""
    secret, now = os.urandom(TOKEN_BYTES), ledger.clock()
    look = {"seq": entry.link.seq, "actor": entry.event.actor, "patient": entry.event.subject}
    ledger.tokens.put(_KIND, secret, orjson.dumps(look), now, now + TOKEN_MS)
    return b64encode(secret)


def proof_by(ledger: Ledger, token: str, account: str, patient: str, seq: int) -> str:
    """The proof of the history that entry `seq` opened, as `ledger.histories.history_text` writes it.

    It leaves no entry of its own. Raises NotThere once the token has ended, for another look, another account, or once the
    look is not permitted any more.
    """
    try:
        found = ledger.tokens.get(_KIND, b64decode(token, TOKEN_BYTES), ledger.clock())
    except CryptoError as error:
        raise NotThere("unknown token of a history") from error
    if found is None:
        raise NotThere("the look was longer ago than a minute: open the history again")
    if _Look(**orjson.loads(found)) != _Look(seq, account, patient):
        raise NotThere("the token is of another look")
    entry = ledger.kept_entry(seq)
    check_still_permitted(ledger, entry)
    receipt, _ = ledger.receipt(seq)
    stream = ledger.stream(entry.event.stream, seq + 1)
    return history_text([one.raw for one in stream], receipt.text())
