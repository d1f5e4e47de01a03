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

    For the entry's actor, its hospital, its patient and auditors in term; a refusal is for the patient
    and auditors only, because it holds the true reason. It is evidence that leaves the ledger: a session by password gets
    one with a second factor, as the patient, and none otherwise.
    """
    _check_sure(caller)
    try:
        entry = ledger.entry(seq)
    except NotFound as error:
        raise NotThere(f"there is no entry {seq} that concerns you") from error
    if not _concerns(ledger, caller, entry):
        raise NotThere(f"there is no entry {seq} that concerns you")
    return ledger.receipt(seq)


def _check_sure(caller: Caller) -> None:
    """Raises KeyNeeded or SecondFactorNeeded in a session by password that gets no receipt."""
    if caller.session is None:
        return
    if caller.role != "patient":
        raise KeyNeeded(
            "receipts are for a session by key, or by password with a second factor as a patient"
        )
    check_two_factors(caller, "a receipt")


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
    return event.actor == caller.account or own_hospital


def _known(ledger: LogReader, caller: Caller) -> bool:
    """Whether it is the account's: by a session by password, which was checked, or by a key that counts."""
    if caller.session is not None:
        return True
    key = None if caller.key is None else ledger.row(Key, caller.key)
    return key is not None and key.active and key.account == caller.account
