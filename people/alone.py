"""Registering alone: whoever is signed in as a person gets a chart of their own, and is its patient at once."""

from dataclasses import dataclass
from datetime import date

from crypto.ids import random_id
from identity.actors import Caller, new_id
from journeys.appending import submit
from journeys.days import birthday, today
from journeys.errors import AccessDenied, Forbidden, RecordsError
from journeys.sealing import check_texts, reserve, seal
from keeper.protocol import KeyRequest
from ledger.directory import Account, Patient
from ledger.errors import Refused
from ledger.types.patients import PATIENT_REGISTERED_2
from people.demographics import Demographics
from people.reserving import check_birth
from people.traits import witness
from storage.keytable import LABEL_KEY
from storage.ledger import Ledger


@dataclass(frozen=True)
class OwnChart:
    """A new chart, and the entry that registered it."""

    patient: str
    seq: int


def register_alone(ledger: Ledger, caller: Caller, name: str, born: str) -> OwnChart:
    """A chart for the caller, registered by the service; the name is sealed, of the birth date keyed hashes are kept.

    One a person: the chart's id is made of the account under the identity root, so that of two at once one is first.
    Raises Forbidden, RecordsError, and Refused for the second.
    """
    account = ledger.row(Account, caller.account)
    if caller.role != "person" or account is None or account.registrar != "service":
        raise Forbidden(
            "a chart of one's own is for an account that registered itself, signed in as person; "
            "other patients are registered by a hospital"
        )
    check_texts({"name": name})
    check_birth(born)
    if birthday(date.fromisoformat(born), ledger.policy.majority_years) > today(ledger.clock()):
        raise RecordsError("who is not of age yet is registered by a hospital")
    patient = random_id("pt", ledger.identity.index("own chart", caller.account)[:16])
    taken = Refused("conflict", f"your account has a chart of its own already: {patient}")
    if ledger.row(Patient, patient) is not None:
        raise taken
    event_id, stream, service = (
        new_id("ev", ledger.clock()),
        f"patient/{patient}",
        ledger.log.service,
    )
    made = reserve(ledger, service, [KeyRequest(patient, (patient, LABEL_KEY))])
    sealed = seal(ledger, made[patient, patient], stream, event_id, {"name": name})
    body = {"account": caller.account, "adult": True, "patient": patient, "purpose": "PATRQT"}
    proposal = ledger.log.by_service(PATIENT_REGISTERED_2, stream, body | sealed, event_id=event_id)
    try:
        entry = submit(ledger, [proposal])[0]
    except AccessDenied as error:  # who came at the same time was first
        raise taken from error
    said = Demographics(birth=born)
    since = entry.link.seq
    ledger.identifiers.keep_witnesses({patient: witness(ledger.identifiers, patient, said, since)})
    return OwnChart(patient, entry.link.seq)
