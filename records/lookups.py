"""Finding a patient by a hospital's own identifier, over a keyed hash; for that hospital alone."""

from collections.abc import Sequence

from identity.actors import Caller
from ledger.directory import Patient
from ledger.registry import HOSPITAL_ROLES
from records.errors import Forbidden, RecordsError
from storage.ledger import Ledger

IDENTIFIERS = 1_000
"""Most identifiers looked up by one call."""


def lookup(ledger: Ledger, caller: Caller, identifiers: Sequence[str]) -> dict[str, str]:
    """The registered patients of those identifiers (`<system>|<value>`) that the caller's hospital keeps."""
    if caller.role not in HOSPITAL_ROLES:
        raise Forbidden(f"got the role {caller.role}, expected one of a hospital")
    if len(identifiers) > IDENTIFIERS:
        raise RecordsError(f"got {len(identifiers)} identifiers, expected at most {IDENTIFIERS}")
    found = ledger.identifiers.find(caller.hospital, identifiers)
    return {i: patient for i, patient in found.items() if ledger.row(Patient, patient) is not None}
