"""Whose a draft is: the chart that the hospital knows by the draft's names, or a new one."""

from collections.abc import Iterable
from datetime import date

from client.local import LocalClient
from client.registering import NewPatient, correct_death, register_patients, today_at
from crypto.ids import is_id
from identity.actors import Actor, new_id
from imports.drafts import PatientDraft, Person, Unit, plain_name
from imports.letters import Letters
from imports.witnesses import Witnesses
from ledger.directory import Patient
from people.comparing import Verdict, compare, listed
from people.demographics import Traits
from storage.ledger import Ledger
from storage.sql.identifiers import HASH_BYTES, SEVERAL


class Unclear(Exception):
    """It cannot be said whose a draft is; the text tells why."""


class Charts:
    """Finds and registers the patients of one hospital."""

    def __init__(
        self, ledger: Ledger, actor: Actor, dry: bool, letters: Letters | None = None
    ) -> None:
        """`dry`: nothing is registered or kept; who would be registered is remembered. `letters`: where each who is
        registered gets a claim code."""
        self._ledger = ledger
        self._identifiers, self._imported = ledger.identifiers, ledger.identifiers.imported
        self._actor = actor
        self._dry, self._letters = dry, letters
        self._witnesses = Witnesses(ledger, ledger.identifiers, dry)
        self._would: dict[str, str] = {}
        self._new: set[str] = set()

    def chart(self, draft: PatientDraft) -> tuple[str, bool]:
        """The patient of a draft, and whether it is new. Raises Unclear.

        Names with a system, an authority or a source come first. Whoever bears them must not contradict what
        the draft says of its patient; a number without any finds only whom that confirms.
        """
        patient = self._named(draft)
        there = self._there(patient)
        if there:
            if differs := self._witnesses.verdict(patient, draft.said).differs:
                raise Unclear(f"same identifier, but another {listed(differs)} than its patient's")
        elif draft.person is None:
            raise Unclear(_unknown(draft))
        self._check_also(draft, patient)
        if draft.person is not None:
            if there:
                self._tell_death(patient, draft.person)
            else:
                patient = self._register(draft, draft.person, patient)
            self._keep(draft, patient, not there)
        return patient, not there

    def _named(self, draft: PatientDraft) -> str:
        """The patient by the draft's names, registered or reserved only; empty when none is known."""
        strong = self._find(draft.names)
        if len(strong) > 1:
            named = ", ".join(map(plain_name, draft.names))
            raise Unclear(f"its names are those of different patients: {named}")
        if strong:
            return strong.pop()
        weak = self._find((*draft.numbers, *draft.bare, *draft.former))
        verdicts = {one: self._verdict(one, draft) for one in weak if self._there(one)}
        confirmed = [one for one, verdict in verdicts.items() if verdict.confirmed]
        if len(confirmed) == 1:
            return confirmed[0]
        if len(confirmed) > 1:
            raise Unclear(f"more than one patient has {_called(draft)}, and fits")
        if draft.chosen:
            return self._chosen(draft, weak)
        if draft.person is not None and not draft.bare:
            self._check_former(draft)
            return ""
        if any(one is not SEVERAL and not self._there(one) for one in weak) and not verdicts:
            return next(
                one for one in weak if one is not SEVERAL
            )  # an import that was cut off here
        if weak:
            raise Unclear(_unconfirmed(draft, [v.differs for v in verdicts.values()]))
        return ""

    def _check_former(self, draft: PatientDraft) -> None:
        """Unclear if an older program registered somebody under a name that the draft has, and nothing tells."""
        own = [name for name in (*draft.former, *draft.numbers) if not name.startswith("#")]
        for patient in self._find(own) - {SEVERAL}:
            unknown = self._there(patient) and not self._witnesses.has(patient)
            if unknown and not self._witnesses.verdict(patient, draft.said).differs:
                raise Unclear(
                    f"an older import registered a patient as {', '.join(own)}, and nothing tells whether it "
                    "is this one; import what it brought then once more, unchanged"
                )

    def _chosen(self, draft: PatientDraft, weak: set[str]) -> str:
        """The one who bears the number that a person named."""
        if len(weak) > 1 or SEVERAL in weak:
            raise Unclear(f"more than one patient has the number {_called(draft)}")
        return next(iter(weak), "")

    def _verdict(self, patient: str, draft: PatientDraft) -> Verdict:
        verdict = self._witnesses.verdict(patient, draft.said)
        if verdict.differs or verdict.confirmed:
            return verdict
        return Verdict((), self._imported_before(patient, draft))

    def _imported_before(self, patient: str, draft: PatientDraft) -> bool:
        """Whether a unit of the draft, the same in every byte, came into this chart before."""
        imported = self._imported
        kept = imported.of(patient)

        def known(unit: Unit) -> bool:
            names = filter(None, (unit.name, unit.former, *unit.parts))
            held = (kept.get(imported.name(self._actor.hospital, patient, name)) for name in names)
            digests = {imported.digest(patient, one) for one in (unit.sha256, *unit.was)}
            return any(one is not None and one.digest[:HASH_BYTES] in digests for one in held)

        return any(known(unit) for record in draft.records for unit in record.units)

    def _find(self, names: Iterable[str]) -> set[str]:
        names = list(names)
        found = set(self._identifiers.find(self._actor.hospital, names).values())
        own = {plain_name(name) for name in names}
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
            named = ", ".join(map(plain_name, draft.also))
            raise Unclear(f"it says itself that it is of {named}, who is another patient")

    def _register(self, draft: PatientDraft, person: Person, reserved: str) -> str:
        names = draft.names or draft.bare
        if not names:
            raise Unclear(NAMELESS)
        if not draft.names and not _can_be_known_again(draft):
            raise Unclear(
                f"{_called(draft)} is a server's own id, and neither a source (--source) nor a name "
                "with a full birth date tells its patient from others"
            )
        patient = reserved or new_id("pt", self._ledger.clock())
        if self._dry:
            return patient
        kept = self._identifiers.reserve(self._actor.hospital, dict.fromkeys(names, patient))
        if set(kept.values()) != {patient}:
            raise Unclear(
                "somebody else is registering the same patient right now; import it again"
            )
        # Kept before the entry: there is never somebody registered whom nothing confirms.
        self._witnesses.keep(patient, draft.said, fresh=True)
        born = today_at(LocalClient(self._ledger), self._actor)
        birth = date.fromisoformat(person.birth_date) if person.birth_date else born
        account = new_id("ac", self._ledger.clock())
        new = NewPatient(patient, account, person.name, min(birth, born), person.deceased, None)
        if self._letters is None:
            register_patients(LocalClient(self._ledger), self._actor, [new])
        else:
            self._letters.register(self._actor, new)
        return patient

    def _tell_death(self, patient: str, person: Person) -> None:
        """Correct the registration of a patient who has died since."""
        row = self._ledger.row(Patient, patient)
        own = row is not None and row.hospital == self._actor.hospital
        if person.deceased and row is not None and own and not row.deceased and not self._dry:
            correct_death(LocalClient(self._ledger), self._actor, row)

    def _keep(self, draft: PatientDraft, patient: str, fresh: bool) -> None:
        """Know the patient by all the names, and by what is said, from now on."""
        names = draft.names or draft.bare
        if self._dry:
            self._new.add(patient)
            self._would |= dict.fromkeys((*names, *draft.numbers), patient)
            self._witnesses.keep(patient, draft.said, fresh)
            return
        identifiers, hospital = self._identifiers, self._actor.hospital
        new = set(names) - identifiers.find(hospital, names).keys()
        if new:
            identifiers.reserve(hospital, dict.fromkeys(new, patient))
        known = identifiers.find(hospital, draft.numbers)
        numbers = [n for n in draft.numbers if known.get(n) not in (patient, SEVERAL)]
        if numbers:
            identifiers.number(hospital, patient, numbers)
        if not fresh:
            self._witnesses.keep(patient, draft.said, fresh=False)


NAMELESS = (
    "nothing names its patient: expected an identifier with a system or an authority, or the name of the "
    "source (--source) whose own number it is"
)
"""Why who bears no number that counts is not registered."""


def _called(draft: PatientDraft) -> str:
    return ", ".join(map(plain_name, (*draft.names, *draft.bare, *draft.numbers)))


def _unknown(draft: PatientDraft) -> str:
    return f"the hospital knows no patient {_called(draft)}" if _called(draft) else NAMELESS


def _unconfirmed(draft: PatientDraft, verdicts: list[tuple[str, ...]]) -> str:
    """Why a number without a system finds nobody."""
    differs = dict.fromkeys(field for fields in verdicts for field in fields)
    why = (
        f"it is that of a patient with another {listed(differs)}"
        if differs
        else "no name with a birth date confirms whose it is"
    )
    return f"{_called(draft)} has no system, authority or source, and {why}"


def _can_be_known_again(draft: PatientDraft) -> bool:
    """Whether what is said would confirm itself in the next run."""
    traits = Traits.of(draft.said)
    return compare(traits, traits).confirmed
