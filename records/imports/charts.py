"""Whose a draft is: the chart that the hospital knows by the draft's names, or a new one."""

from collections.abc import Iterable
from datetime import date

from crypto.ids import is_id
from identity.actors import Actor, new_id
from ledger.directory import Patient
from records.desk import Near
from records.directory import NewPatient, ages, register_patients
from records.imports.drafts import PatientDraft, Person
from storage.identifiers import SEVERAL
from storage.ledger import Ledger


class Unclear(Exception):
    """It cannot be said whose a draft is; the text tells why."""


class Charts:
    """Finds and registers the patients of one hospital."""

    def __init__(self, ledger: Ledger, actor: Actor, dry: bool) -> None:
        """`dry`: nothing is registered or kept; who would be registered is remembered."""
        self._ledger = ledger
        self._actor = actor
        self._dry = dry
        self._would: dict[str, str] = {}
        self._new: set[str] = set()

    def chart(self, draft: PatientDraft) -> tuple[str, bool]:
        """The patient of a draft, and whether it is new. Raises Unclear.

        Names that nobody else can bear come first; a bare number counts only where there is no such name,
        and only while one patient bears it. Names of two patients, or an image that names another, are Unclear.
        """
        patient = self._named(draft)
        there = self._there(patient)
        if not there and draft.person is None:
            called = ", ".join(n.removeprefix("#MR|") for n in (*draft.names, *draft.numbers))
            raise Unclear(
                f"the hospital knows no patient {called}" if called else "it names no patient"
            )
        self._check_also(draft, patient)
        if not there and draft.person is not None:
            patient = self._register(draft, draft.person, patient)
        if draft.person is not None:
            self._keep(draft, patient)
        return patient, not there

    def _named(self, draft: PatientDraft) -> str:
        """The patient by the draft's names, registered or reserved only; empty when none is known."""
        strong = self._find(draft.names)
        if len(strong) > 1:
            raise Unclear("its names are those of different patients: " + ", ".join(draft.names))
        if strong or draft.person is not None:
            return next(iter(strong), "")
        weak = self._find(draft.numbers)
        if len(weak) > 1 or SEVERAL in weak:
            raise Unclear("more than one patient bears the number " + ", ".join(draft.numbers)[4:])
        return next(iter(weak), "")

    def _find(self, names: Iterable[str]) -> set[str]:
        names = list(names)
        found = set(self._ledger.identifiers.find(self._actor.hospital, names).values())
        own = {name.removeprefix("#MR|") for name in names}
        return (
            found
            | {n for n in own if is_id("pt", n)}
            | {self._would[n] for n in names if n in self._would}
        )

    def _there(self, patient: str) -> bool:
        if not patient:
            return False
        return patient in self._new or self._ledger.row(Patient, patient) is not None

    def _check_also(self, draft: PatientDraft, patient: str) -> None:
        others = self._find(draft.also) - {patient, SEVERAL}
        if others:
            named = ", ".join(n.removeprefix("#MR|") for n in draft.also)
            raise Unclear(f"it says itself that it is of {named}, who is another patient")

    def _register(self, draft: PatientDraft, person: Person, reserved: str) -> str:
        patient = reserved or new_id("pt", self._ledger.clock())
        birth = date.fromisoformat(person.birth_date) if person.birth_date else None
        ages(Near(self._ledger), birth)  # refuses here, in a dry run too, before a name is reserved
        if self._dry:
            return patient
        kept = self._ledger.identifiers.reserve(
            self._actor.hospital, dict.fromkeys(draft.names, patient)
        )
        if set(kept.values()) != {patient}:
            raise Unclear("another import registers the same patient just now")
        account = new_id("ac", self._ledger.clock())
        new = NewPatient(patient, account, person.name, birth, person.deceased, None)
        register_patients(Near(self._ledger), self._actor, [new])
        return patient

    def _keep(self, draft: PatientDraft, patient: str) -> None:
        """Know the patient by all the names from now on."""
        if self._dry:
            self._new.add(patient)
            self._would |= dict.fromkeys((*draft.names, *draft.numbers), patient)
            return
        identifiers, hospital = self._ledger.identifiers, self._actor.hospital
        names = set(draft.names) - identifiers.find(hospital, draft.names).keys()
        if names:
            identifiers.reserve(hospital, dict.fromkeys(names, patient))
        known = identifiers.find(hospital, draft.numbers)
        numbers = [n for n in draft.numbers if known.get(n) not in (patient, SEVERAL)]
        if numbers:
            identifiers.number(hospital, patient, numbers)
