"""Finding a patient by a hospital's own identifier, over a keyed hash; for that hospital alone."""

from collections.abc import Sequence
from typing import NamedTuple

from identity.actors import Caller
from journeys.errors import Forbidden, RecordsError
from ledger.codes import HOSPITAL_ROLES
from ledger.directory import Patient
from storage.ledger import Ledger

IDENTIFIERS = 1_000
"""Most identifiers looked up by one call."""


class Found(NamedTuple):
    """A patient that was found, and the patient's account: what a key is registered for."""

    patient: str
    account: str


def lookup(ledger: Ledger, caller: Caller, identifiers: Sequence[str]) -> dict[str, Found]:
    """The registered patients of those identifiers (`<system>|<value>`) that the caller's hospital keeps."""
    if caller.role not in HOSPITAL_ROLES:
        raise Forbidden(f"got the role {caller.role}, expected one of a hospital")
    if len(identifiers) > IDENTIFIERS:
        raise RecordsError(f"got {len(identifiers)} identifiers, expected at most {IDENTIFIERS}")
    found = ledger.identifiers.find(caller.hospital, identifiers)
    rows = {identifier: ledger.row(Patient, patient) for identifier, patient in found.items()}
    return {i: Found(row.patient, row.account) for i, row in rows.items() if row is not None}
