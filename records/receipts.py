"""Receipts: given to whoever an entry concerns, and to nobody else."""

from durable.errors import NotFound
from identity.actors import Caller
from identity.errors import KeyNeeded
from identity.sessions import active_role
from identity.strength import check_two_factors
from journeys.errors import NotThere
from journeys.quotas import HOUR_MS, Quota, take
from ledger.directory import Key, Patient
from ledger.entry import Entry
from ledger.receipt import Receipt
from storage.ledger import Ledger
from storage.reader import LogReader

RECEIPTS_AN_HOUR = 1_000
"""Most receipts of others' entries for which one account asks over HTTP within an hour, also where it gets none."""
ASKED = (Quota(RECEIPTS_AN_HOUR, HOUR_MS),)
_ASKED = "receipts"
_FOR_HOSPITAL = ("hospital_admin", "hospital_system")
"""The roles that answer for what is done in a hospital's name."""


def receipt(ledger: LogReader, caller: Caller, seq: int) -> tuple[Receipt, bool]:
    """The receipt of entry `seq`, and whether it is final; raises NotThere, SecondFactorNeeded, KeyNeeded.

    For the entry's actor, the administrators and systems of its hospital, its patient, the account whose stream it is in, and
    auditors in term; a refusal is for the patient and auditors only, because it holds the true reason. What the law keeps
    from a patient is for the hospital's administrators and systems and for auditors, and for nobody who is that patient. It
    is evidence that leaves the ledger: a session by password gets one with a second factor, as the patient, or of the
    account's own acts, keys and sign-ins; and none otherwise.
    """
    check_two_factors(caller, "a receipt")
    entry = _entry(ledger, seq)
    if caller.session is not None and caller.role != "patient" and not _is_own(caller, entry):
        raise KeyNeeded(
            "in a session by password receipts are for patients, and of one's own acts: use a session by key"
        )
    if entry is None or not _concerns(ledger, caller, entry):
        raise NotThere(f"there is no entry {seq} that concerns you")
    return ledger.receipt(seq)


def receipt_counted(ledger: Ledger, caller: Caller, seq: int) -> tuple[Receipt, bool]:
    """`receipt` for whoever asks from afar: of what others did they may ask for ASKED, so that nobody counts through the log.

    Raises OverQuota, and what `receipt` raises. Not counted: one's own entries, and auditors, who read the whole log.
    """
    if caller.role != "auditor" and not _is_own(caller, _entry(ledger, seq)):
        take(ledger, _ASKED, caller.account, 1, ASKED, "receipts of what others did")
    return receipt(ledger, caller, seq)


def _entry(ledger: LogReader, seq: int) -> Entry | None:
    try:
        return ledger.entry(seq)
    except NotFound:
        return None


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
    if event.type.stream == "patient" and _is_patient(ledger, caller, event.subject):
        return True
    withheld = event.type.name == "disclosure.withheld"
    if withheld and _is_patient(ledger, caller, event.body["patient"]):
        return False
    active = active_role(ledger, caller, ledger.clock())
    if active and caller.role == "auditor":
        return True
    if event.type.name == "access.refused":
        return False
    # Not any doctor's: a sight of what colleagues did would be one of charts, and would leave no entry.
    answers_for = active and caller.role in _FOR_HOSPITAL and caller.hospital == event.hospital
    return answers_for or (_is_own(caller, entry) and not withheld)


def _is_patient(ledger: LogReader, caller: Caller, patient: str) -> bool:
    row = ledger.row(Patient, patient)
    return row is not None and row.is_of(caller.account)


def _known(ledger: LogReader, caller: Caller) -> bool:
    """Whether it is the account's: by a session by password, which was checked, or by a key that counts."""
    if caller.session is not None:
        return True
    key = None if caller.key is None else ledger.row(Key, caller.key)
    return key is not None and key.active and key.account == caller.account
