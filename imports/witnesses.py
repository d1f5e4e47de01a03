"""The second witness: what the ledger keeps of a patient's name, birth date and sex, beside what a unit says."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from journeys.days import TEEN_YEARS, birthday, today
from ledger.directory import Patient
from people.comparing import BIRTH, Verdict, compare
from people.demographics import Demographics, Traits
from people.traits import hashed, read, written
from storage.reader import LogReader
from storage.sql.identifiers import Identifiers, Witness

_LEAP = timedelta(days=1)
"""By how much two ways to count a birthday differ: that of 29 February."""


class Witnesses:
    """Compares, and keeps keyed hashes of what was compared: no name or date stands in the database."""

    def __init__(self, ledger: LogReader, identifiers: Identifiers, dry: bool) -> None:
        """`dry`: what would be kept is remembered for this run only."""
        self._ledger, self._identifiers = ledger, identifiers
        self._dry = dry
        self._would: dict[str, Traits] = {}

    def has(self, patient: str) -> bool:
        """Whether anything of the patient is known."""
        return self._known(patient)[0] != Traits()

    def verdict(self, patient: str, said: Demographics) -> Verdict:
        """Whether a unit that says this can be the patient's, and whether that is confirmed."""
        if not said:
            return Verdict((), False)
        known, kept = self._known(patient)
        verdict = compare(known, self._traits(patient, said))
        differs = list(verdict.differs)
        if not known.year and not self._age_fits(patient, said):
            differs.append(BIRTH)
        if differs and kept is not None:
            differs = self._corrected(patient, kept, known, said, differs)
        return Verdict(tuple(differs), verdict.confirmed and not differs)

    def keep(self, patient: str, said: Demographics, fresh: bool) -> None:
        """Keep what is said: of somebody new in place of whatever there was, else beside what was known."""
        traits = self._traits(patient, said)
        known = Traits() if fresh else self._known(patient)[0]
        if compare(known, traits).differs:  # a person corrected the patient: that goes before
            known = Traits()
        merged = known.joined(traits)
        if merged == known and not fresh:
            return
        if self._dry:
            self._would[patient] = merged
            return
        since = self._ledger.head().size
        self._identifiers.keep_witnesses({patient: Witness(since, written(merged))})

    def _known(self, patient: str) -> tuple[Traits, Witness | None]:
        kept = self._identifiers.witness(patient)
        if patient in self._would:
            return self._would[patient], kept or Witness(0, "")
        return (read(kept.traits) if kept else Traits()), kept

    def _traits(self, patient: str, said: Demographics) -> Traits:
        return hashed(self._identifiers, patient, said)

    def _age_fits(self, patient: str, said: Demographics) -> bool:
        """Whether a minor has the birthday that is said (who was registered as born that day may have any), and
        somebody of age none of a child."""
        row = self._ledger.row(Patient, patient)
        if row is None or not said.birth:
            return True
        if not row.teen_from:
            return not self._is_minor(said.birth)
        if len(said.birth) != len("2020-01-31"):
            return True
        teen = datetime.fromtimestamp(row.teen_from / 1000, UTC).date()
        registered = today(self._ledger.entry(row.seq).time)
        days = (date.fromisoformat(said.birth), registered)
        return any(abs(birthday(day, TEEN_YEARS) - teen) <= _LEAP for day in days)

    def _is_minor(self, birth: str) -> bool:
        """Whether who was born then, on whatever day of it, is not of age yet."""
        year, month, day = (int(part) for part in f"{birth}-01-01".split("-")[:3])
        now = today(max(self._ledger.clock(), self._ledger.head().time))
        return birthday(date(year, month, day), self._ledger.policy.majority_years) > now + _LEAP

    def _corrected(
        self, patient: str, kept: Witness, known: Traits, said: Demographics, differs: list[str]
    ) -> list[str]:
        """What still differs if somebody corrected the patient since the witness was kept."""
        body = self._correction(patient, kept.since)
        if body is None:
            return differs
        known = replace(known, day="", swapped="", month="", year="")
        if "name" in body:
            known = replace(known, given=frozenset(), family=frozenset(), whole=frozenset())
        left = list(compare(known, self._traits(patient, said)).differs)
        return left if self._age_fits(patient, said) else [*left, BIRTH]

    def _correction(self, patient: str, since: int) -> dict[str, object] | None:
        """The body of the last correction from the entry `since` on."""
        found = None
        for entry in self._ledger.stream(f"patient/{patient}", self._ledger.head().size):
            if entry.link.seq >= since and entry.event.type.name == "patient.corrected":
                found = dict(entry.event.body)
        return found
