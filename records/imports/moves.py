"""Units that an earlier import brought into another patient's chart: told, for a person to decide."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from consent.facts import Record
from identity.actors import Actor
from records.imports.drafts import Unit
from storage.ledger import Ledger


class Moved(NamedTuple):
    """A unit that stands in a live record of somebody else."""

    unit: Unit
    record: str
    patient: str
    """Whose record that is."""


class Moves:
    """Knows into whose chart a hospital's units went."""

    def __init__(self, ledger: Ledger, actor: Actor) -> None:
        """Nothing is kept but in the ledger."""
        self._ledger = ledger
        self._hospital = actor.hospital

    def found(self, patient: str, units: Sequence[Unit]) -> Iterator[Moved]:
        """Those of the units, which are the patient's now, that a live record of another patient holds."""
        by_name = {unit.name: unit for unit in units}
        imported = self._ledger.imported
        for name, others in imported.elsewhere(self._hospital, patient, by_name).items():
            for other in others:
                kept = imported.of(other).get(imported.name(self._hospital, other, name))
                record = self._ledger.row(Record, kept.object) if kept else None
                if record is not None and record.state == "live":
                    yield Moved(by_name[name], record.record, other)

    def settle(self, patient: str, units: Sequence[Unit]) -> None:
        """Keep that these units are the patient's."""
        if units:
            self._ledger.imported.settle(self._hospital, patient, [unit.name for unit in units])
