"""How one is reached: people give an e-mail address, prove it, look at it and take it away. None of it stands in the log."""

from dataclasses import dataclass

from identity.actors import Caller
from identity.strength import check_strong
from journeys.errors import NotThere, OverQuota
from ledger.times import format_time
from people.languages import check_language
from storage.contacts import PROOFS_A_PAIR, PROOFS_AN_ACCOUNT, Contact
from storage.ledger import Ledger


@dataclass(frozen=True)
class ContactShown:
    """What is kept of how an account is reached; to that account alone."""

    address: str
    """The proved address, which is written to; empty for none."""
    language: str
    proved: str
    """When it was proved; empty for none."""
    pending: str
    """The address that waits for its code; empty for none."""
    pending_until: str


def contact_of(ledger: Ledger, caller: Caller) -> ContactShown:
    """What is kept of the caller's own account."""
    found = ledger.contacts.of(caller.account)
    pending = ledger.contacts.pending(caller.account, ledger.clock())
    contact, proved = found or (Contact("", ""), 0)
    return ContactShown(
        contact.address,
        contact.language,
        format_time(proved) if proved else "",
        pending[0].address if pending else "",
        format_time(pending[1]) if pending else "",
    )


def give_contact(ledger: Ledger, caller: Caller, address: str, language: str) -> ContactShown:
    """Give an address, to which a code goes; nothing else is sent there until it is proved.

    The first one may come in any session of who has no second factor to show; else as `check_strong`. Raises FormError for
    what is no address, RecordsError for a language without texts, and OverQuota.
    """
    if not (_by_password(caller) and _is_first(ledger, caller.account)):
        check_strong(ledger, caller)
    check_language(language)
    contact, key = Contact(address, language), caller.key or ""
    if not ledger.contacts.give(caller.account, contact, ledger.clock(), key):
        raise OverQuota(
            f"an account may give {PROOFS_AN_ACCOUNT} addresses within 24 hours, and the same one {PROOFS_A_PAIR} times; "
            "try again tomorrow"
        )
    return contact_of(ledger, caller)


def remove_contact(ledger: Ledger, caller: Caller) -> None:
    """Forget how the caller is reached; they are told so a last time. Raises as `check_strong`."""
    check_strong(ledger, caller)
    ledger.contacts.remove(caller.account, ledger.clock())


def prove_contact(ledger: Ledger, code: str) -> None:
    """Prove an address by the code that went there; raises NotThere, which is the same for every code that is none."""
    if not ledger.contacts.prove(code, ledger.clock()):
        raise NotThere("the code is unknown, was used or has expired: give the address again")


def _by_password(caller: Caller) -> bool:
    return caller.session is not None


def _is_first(ledger: Ledger, account: str) -> bool:
    """Whether there is neither an address yet, nor a second factor by which one could step up."""
    kept = ledger.credentials.of(account)
    return ledger.contacts.of(account) is None and (kept is None or not kept.confirmed)
