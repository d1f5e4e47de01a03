"""Receipts: given to whoever an entry concerns, and to nobody else."""

from durable.errors import NotFound
from identity.actors import Caller
from identity.errors import KeyNeeded
from identity.sessions import active_role
from identity.strength import check_two_factors
from journeys.errors import NotThere
from ledger.directory import Key, Patient
from ledger.entry import Entry
from ledger.receipt import Receipt
from storage.reader import LogReader


def receipt(ledger: LogReader, caller: Caller, seq: int) -> tuple[Receipt, bool]:
    """The receipt of entry `seq`, and whether it is final; raises NotThere, SecondFactorNeeded, KeyNeeded.

    For the entry's actor, its hospital, its patient, the account whose stream it is in, and auditors in term; a refusal is for the patient
    and auditors only, because it holds the true reason. It is evidence that leaves the ledger: a session by password gets
    one with a second factor, as the patient, or of the account's own acts, keys and sign-ins; and none otherwise.
    """
    check_two_factors(caller, "a receipt")
    try:
        entry = ledger.entry(seq)
    except NotFound:
        entry = None
    if caller.session is not None and caller.role != "patient" and not _is_own(caller, entry):
        raise KeyNeeded(
            "in a session by password receipts are for patients, and of one's own acts: use a session by key"
        )
    if entry is None or not _concerns(ledger, caller, entry):
        raise NotThere(f"there is no entry {seq} that concerns you")
    return ledger.receipt(seq)


def _is_own(caller: Caller, entry: Entry | None) -> bool:
    """Whether an entry is one of the account's own acts, opened its own chart, or says something of its keys and sign-ins."""
    if entry is None or entry.event.type.name == "access.refused":
        return False
    event, account = entry.event, caller.account
    if event.type.name == "patient.registered" and event.role == "service":
        return bool(event.body["account"] == account)
    return event.actor == account or event.stream == f"account/{account}"


def _concerns(ledger: LogReader, caller: Caller, entry: Entry) -> bool:
    if not _known(ledger, caller):
        return False
    event = entry.event
    if event.type.stream == "patient":
        patient = ledger.row(Patient, event.subject)
        if patient is not None and patient.is_of(caller.account):
            return True
    active = active_role(ledger, caller, ledger.clock())
    if active and caller.role == "auditor":
        return True
    if event.type.name == "access.refused":
        return False
    own_hospital = active and bool(caller.hospital) and caller.hospital == event.hospital
    return _is_own(caller, entry) or own_hospital


def _known(ledger: LogReader, caller: Caller) -> bool:
    """Whether it is the account's: by a session by password, which was checked, or by a key that counts."""
    if caller.session is not None:
        return True
    key = None if caller.key is None else ledger.row(Key, caller.key)
    return key is not None and key.active and key.account == caller.account
