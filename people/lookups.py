"""Finding a patient by a hospital's own identifier or by a number that the patient stated, over keyed hashes."""

from collections.abc import Sequence
from typing import NamedTuple

from consent.decide import decide_list
from identity.actors import Caller
from identity.strength import check_two_factors
from journeys.errors import Forbidden, RecordsError
from journeys.questions import Question, asked
from journeys.quotas import take
from ledger.codes import HOSPITAL_ROLES
from ledger.directory import Patient
from people.numbers import LOOKED_UP
from storage.ledger import Ledger
from storage.numbers import TEL, normal_number

IDENTIFIERS = 1_000
"""Most identifiers looked up by one call."""
FINDING_ROLES = HOSPITAL_ROLES | {"relative"}
"""Who may look for anybody by a number."""


class Found(NamedTuple):
    """A patient that was found."""

    patient: str
    account: str
    """The patient's account: what a key is registered for. By a number it is told to the hospital that registered the
    patient alone; empty for others."""


def lookup(ledger: Ledger, caller: Caller, identifiers: Sequence[str]) -> dict[str, Found]:
    """The patients of those identifiers (`<system>|<value>`) that the caller's hospital keeps, and of numbers (`tel:+…`).

    A number finds whom the caller may find: a patient whom their hospital registered or has a record of, or one whose chart
    the rules would let them list now. That it is nobody's, several patients', or one's whom they may not find is one answer,
    which takes the same work (see `storage.numbers.Numbers.candidate`). Raises Forbidden, RecordsError, FormError for what is no
    number, SecondFactorNeeded and OverQuota.
    """
    numbers = {one: normal_number(one) for one in identifiers if one.startswith(TEL)}
    own = [one for one in identifiers if one not in numbers]
    if caller.role not in (HOSPITAL_ROLES if own else FINDING_ROLES):
        raise Forbidden(f"got the role {caller.role}, expected one of a hospital")
    if len(identifiers) > IDENTIFIERS:
        raise RecordsError(f"got {len(identifiers)} identifiers, expected at most {IDENTIFIERS}")
    found = ledger.identifiers.find(caller.hospital, own) if own else {}
    rows = {identifier: ledger.row(Patient, patient) for identifier, patient in found.items()}
    known = {i: Found(row.patient, row.account) for i, row in rows.items() if row is not None}
    return known | _by_number(ledger, caller, numbers)


def _by_number(ledger: Ledger, caller: Caller, numbers: dict[str, str]) -> dict[str, Found]:
    """Whom numbers (E.164, by how they were written) find; each is counted before, whatever comes of it."""
    if not numbers:
        return {}
    check_two_factors(caller, "whoever looks for a patient by a number")
    take(ledger, "numbers looked up", caller.account, len(numbers), LOOKED_UP, "numbers looked up")
    found = {}
    for written, number in numbers.items():
        patient, theirs = ledger.numbers.candidate(number)
        row = ledger.row(Patient, patient)
        may = row is not None and may_find(ledger, caller, row)  # of whom it isn't as well
        if row is not None and may and theirs:
            ours = bool(caller.hospital) and row.hospital == caller.hospital
            found[written] = Found(patient, row.account if ours else "")
    return found


def may_find(ledger: Ledger, caller: Caller, patient: Patient) -> bool:
    """Whether a caller may learn that a patient exists: of their hospital, or by what the rules say of listing the chart."""
    relative = caller.role == "relative"
    question = Question(
        patient.patient, caller.account, caller.role, caller.hospital, "list", "FAMRQT" if relative else "TREAT",
        on_behalf_of=patient.account if relative else "",
    )  # fmt: skip
    records = ledger.records_of(patient.patient)
    request, facts, policy = asked(ledger, question)
    decision, _ = decide_list(request, facts, policy, records)
    if decision.effect == "permit":
        return True
    ours = caller.hospital
    return bool(ours) and (patient.hospital == ours or any(r.hospital == ours for r in records))
