"""Linked charts, as the patient of one of them may see it."""

from dataclasses import dataclass

from identity.actors import Caller
from identity.strength import check_two_factors
from journeys.errors import NotThere
from ledger.directory import ChartLink, Patient
from storage.ledger import Ledger


@dataclass(frozen=True)
class Links:
    """With which charts one was linked, by the entries that did it first."""

    links: tuple[ChartLink, ...]


def links_of(ledger: Ledger, caller: Caller, patient: str) -> Links:
    """The links of a chart of the caller's own; raises NotThere, SecondFactorNeeded.

    Whoever has a patient's password alone must not learn of another chart: no entry says that they looked.
    """
    row = ledger.row(Patient, patient)
    if row is None or not row.is_of(caller.account):
        raise NotThere(f"{patient} is not your chart")
    check_two_factors(caller, "with which charts yours is linked")
    return Links(tuple(sorted(row.links, key=lambda link: link.seq)))
