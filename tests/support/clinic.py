"""A ledger whose first hospital imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.app.settings import Settings
from client.beside import reading
from imports.report import Summary
from imports.run import Options, import_paths
from records.opening import find_records, open_record
from tests.support.ledger_fixture import LedgerFixture

ORIGIN = "heartwood.example/import"


class Clinic:
    """The hospital, its doctor, and what they do with what is imported."""

    def __init__(self, fixture: LedgerFixture) -> None:
        """On an open ledger."""
        self.settings, self.ledger = fixture.settings, fixture.ledger
        self.hospital, self.doctor = fixture.north, fixture.doctor(fixture.north)

    @classmethod
    def found(cls, place: Path, zone: str = "Etc/UTC") -> Clinic:
        """On a ledger of its own, with a hospital in this time zone."""
        settings = Settings(data=place / "data", database_url="", blobs="", root=None)
        return cls(LedgerFixture.found(settings, origin=ORIGIN, zone=zone))

    def bring(self, *paths: Path, **options: Any) -> Summary:
        """Import as the hospital's system."""
        return import_paths(self.ledger, self.hospital.system, paths, Options(**options)).summary

    def contents(self, patient: str) -> list[bytes]:
        """Every record of a patient, read by the hospital's doctor."""
        return [
            b"".join(
                open_record(self.ledger, reading(self.ledger, self.doctor, row, "TREAT")).content
            )
            for row in find_records(self.ledger, patient)
        ]

    def charts(self) -> list[str]:
        """The patients, in the order of their registration."""
        entries = [self.ledger.entry(n) for n in range(self.ledger.head().size)]
        return [e.event.subject for e in entries if e.event.type.name == "patient.registered"]
