"""Units that an earlier import brought into another patient's chart: told, for a person to decide."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from imports.drafts import Unit
from ledger.facts import Record
from storage.reader import LogReader
from storage.sql.identifiers import Imported


class Moved(NamedTuple):
    """A unit that stands in a live record of somebody else."""

    unit: Unit
    record: str
    patient: str
    """Whose record that is."""


class Moves:
    """Knows into whose chart a hospital's units went."""

    def __init__(self, ledger: LogReader, imported: Imported, hospital: str) -> None:
        """Nothing is kept but in the ledger."""
        self._ledger, self._imported = ledger, imported
        self._hospital = hospital

    def check(self, patient: str, units: Sequence[Unit], dry: bool) -> Iterator[Moved]:
        """Keep that these units are the patient's (unless `dry`); gives those that somebody else's record holds."""
        by_name = {name: unit for unit in units for name in unit.parts or (unit.name,)}
        homes = self._imported.homes(self._hospital, by_name)
        new = [name for name in by_name if patient not in homes.get(name, ())]
        if new and not dry:
            self._imported.settle(self._hospital, patient, new)
        told = set[tuple[str, str]]()
        for name, patients in homes.items():
            for other in sorted(patients - {patient}):
                record = self._live(other, name)
                if record and (by_name[name].name, record) not in told:
                    told.add((by_name[name].name, record))
                    yield Moved(by_name[name], record, other)

    def _live(self, patient: str, name: str) -> str:
        """The patient's record that holds the unit of this name; empty if it is retracted, or never came."""
        name_of = self._imported.name(self._hospital, patient, name)
        kept = self._imported.of(patient).get(name_of)
        record = self._ledger.row(Record, kept.object) if kept else None
        return record.record if record is not None and record.state == "live" else ""
