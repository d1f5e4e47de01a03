"""Holds and erasures of a chart, as its patient and the hospitals that placed the holds may see them."""

from dataclasses import dataclass

from identity.actors import Caller
from identity.strength import check_two_factors
from ledger.codes import HOSPITAL_ROLES
from ledger.facts import HARM, Erasure, Hold
from records.charts import check_own_chart
from storage.ledger import Ledger


@dataclass(frozen=True)
class Holds:
    """Holds in the order of their entries."""

    holds: tuple[Hold, ...]


def holds_of(ledger: Ledger, caller: Caller, patient: str) -> Holds:
    """The holds on a chart of the caller's own, or those that the caller's hospital placed.

    Who is kept from a record is told here that it is held back and until when; the code of the reason stands in the history,
    in clear as all codes of the log. Raises NotThere for others' charts, SecondFactorNeeded.
    """
    found = sorted(ledger.rows(Hold, "patient", patient), key=lambda hold: hold.seq)
    if caller.role in HOSPITAL_ROLES:
        return Holds(tuple(hold for hold in found if hold.hospital == caller.hospital))
    check_own_chart(ledger, caller, patient)
    check_two_factors(caller, "what is held in a chart")
    return Holds(tuple(hold._replace(reason="") if hold.kind == HARM else hold for hold in found))


@dataclass(frozen=True)
class Erasures:
    """Erasures in the order of their entries, and what became of each."""

    erasures: tuple[Erasure, ...]


def erasures_of(ledger: Ledger, caller: Caller, patient: str) -> Erasures:
    """The erasures of a chart of the caller's own; raises NotThere for others', SecondFactorNeeded."""
    check_own_chart(ledger, caller, patient)
    check_two_factors(caller, "what is erased of a chart")
    found = sorted(ledger.rows(Erasure, "patient", patient), key=lambda one: one.seq)
    return Erasures(tuple(found))
