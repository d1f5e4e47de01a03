"""The consultations of a chart, as its patient and the hospitals may see them."""

from dataclasses import dataclass

from identity.actors import Caller
from identity.strength import check_two_factors
from ledger.codes import HOSPITAL_ROLES
from ledger.links import Consultation
from records.charts import check_own_chart
from storage.ledger import Ledger


@dataclass(frozen=True)
class Consultations:
    """Consultations in the order of their entries."""

    consultations: tuple[Consultation, ...]


def consultations_of(ledger: Ledger, caller: Caller, patient: str) -> Consultations:
    """The consultations of a chart of the caller's own, or those that doctors of the caller's hospital opened.

    Hospitals aren't told what the patient's side did: with why a reading is refused it could tell of an exclusion.

    Raises NotThere for others' charts, SecondFactorNeeded.
    """
    found = sorted(ledger.rows(Consultation, "patient", patient), key=lambda one: one.seq)
    if caller.role in HOSPITAL_ROLES:
        ours = (one for one in found if one.hospital == caller.hospital)
        return Consultations(tuple(one._replace(confirmed=0, withdrawn=0) for one in ours))
    check_own_chart(ledger, caller, patient)
    check_two_factors(caller, "what a patient consults about")
    return Consultations(tuple(found))
