"""Who acts for whom: what an account may do for others, and who acts for a patient, as the patient may see it."""

from dataclasses import dataclass

from identity.actors import Caller
from identity.strength import check_two_factors
from journeys.errors import NotThere
from ledger.directory import Patient
from ledger.relations import Delegation, Invitation, Relation
from storage.ledger import Ledger


@dataclass(frozen=True)
class Related:
    """A patient for whom somebody acts as a relative or a guardian."""

    patient: str
    principal: str
    """The account that is the patient: what acts name as the one on whose behalf they are."""
    relation: Relation
    """Without records, labels and criteria."""
    counts: bool
    """Whether it is in force now; a guardian may still have to wait."""


@dataclass(frozen=True)
class Acting:
    """For whom an account acts: patients who linked it or whose guardian it is, and colleagues; by entry."""

    patients: tuple[Related, ...]
    colleagues: tuple[Delegation, ...]


def acting_for(ledger: Ledger, caller: Caller) -> Acting:
    """For whom the caller's account acts, or will; what was ended isn't in it."""
    now = max(ledger.clock(), ledger.head().time)
    found = []
    for relation in ledger.rows(Relation, "account", caller.account):
        patient = ledger.row(Patient, relation.patient)
        if relation.active and patient is not None and _lasts(relation, now, patient):
            counts = _counts(relation, now, patient)
            found.append(Related(patient.patient, patient.account, _told(relation), counts))
    colleagues = [
        one
        for one in ledger.rows(Delegation, "account", caller.account)
        if one.active and now < one.end
    ]
    return Acting(
        tuple(sorted(found, key=lambda one: one.relation.seq)),
        tuple(sorted(colleagues, key=lambda one: one.seq)),
    )


def _told(relation: Relation) -> Relation:
    """A relation as whoever has it is told of it: what the patient left out, and by which criteria, is the patient's to know."""
    return relation._replace(records=(), labels=(), what=(), exceptions=())


def _lasts(relation: Relation, now: int, patient: Patient) -> bool:
    return now < (relation.end or patient.adult_from)


def _counts(relation: Relation, now: int, patient: Patient) -> bool:
    if relation.end:
        return relation.start <= now < relation.end
    return relation.guards(now, patient.adult_from)


@dataclass(frozen=True)
class Invited:
    """An invitation that somebody may still use."""

    invitation: str
    seq: int
    until: int
    """Unix ms, excluded."""
    actions: tuple[str, ...]
    scope: str


@dataclass(frozen=True)
class Representatives:
    """Who acts for a patient, or did, and who is invited to; by entry."""

    relations: tuple[Relation, ...]
    invitations: tuple[Invited, ...]


def representatives(ledger: Ledger, caller: Caller, patient: str) -> Representatives:
    """Relatives, guardians and open invitations of a chart of the caller's own; raises NotThere, SecondFactorNeeded.

    Whoever has a patient's password alone must not learn whom the patient trusts: no entry says that they looked.
    """
    row = ledger.row(Patient, patient)
    if row is None or not row.is_of(caller.account):
        raise NotThere(f"{patient} is not your chart")
    check_two_factors(caller, "who acts for a patient")
    now = max(ledger.clock(), ledger.head().time)
    relations = sorted(ledger.rows(Relation, "patient", patient), key=lambda one: one.seq)
    open_ = [
        Invited(one.invitation, one.seq, one.until, one.actions, one.scope)
        for one in ledger.rows(Invitation, "patient", patient)
        if not one.closed and now < one.until
    ]
    return Representatives(tuple(relations), tuple(sorted(open_, key=lambda one: one.seq)))
