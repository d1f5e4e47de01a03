"""Who signs in: an account by its id or by an e-mail address, which is kept as a keyed hash alone."""

import unicodedata

from crypto.ids import is_id
from storage.ledger import Ledger

MAIL = "mail"
"""The kind of keyed hash by which an e-mail address is found (`IdentityRoot.index`)."""


def normal_address(address: str) -> str:
    """An e-mail address as it is looked up: NFC, without white space around, in small letters."""
    return unicodedata.normalize("NFC", address.strip()).casefold()


def account_named(ledger: Ledger, name: str) -> str:
    """The account of an id or an e-mail address; empty for an address that nobody has. The same work for both."""
    found = ledger.credentials.account_at(ledger.identity.index(MAIL, normal_address(name)))
    return name if is_id("ac", name) else found
