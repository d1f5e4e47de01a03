"""Import, end to end: the numbers add up, each patient once, and a doctor reads the source's bytes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.bootstrap import create_ledger, open_ledger
from api.settings import Settings
from identity.actors import Actor, new_key, read_keyfile
from ledger.auditor import read_vkeys, verify_export
from records.desk import Near
from records.directory import AddedHospital, add_hospital, add_member
from records.disclosures import find_records, open_record, reading
from records.errors import RecordsError
from records.imports import import_bundles
from records.imports.fhir import FhirError, scan_bundle
from records.synthetic import patients
from storage.exports import write_export
from storage.ledger import Ledger

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDERS = [SAMPLES / "synthea-2019-r4", SAMPLES / "synthea-2022-csv-fhir" / "fhir"]
COUNT = 8


class Clinic:
    """A ledger with one hospital and a doctor."""

    def __init__(self, place: Path) -> None:
        self.settings = Settings(data=place / "data", database_url="", root=None)
        operator = read_keyfile(create_ledger(self.settings, "heartwood.example/import").keyfile)
        self.ledger: Ledger = open_ledger(self.settings)
        self.hospital: AddedHospital = add_hospital(
            Near(self.ledger), operator, "Clinic", "Etc/UTC"
        )
        self.doctor: Actor = add_member(
            Near(self.ledger),
            self.hospital.admin,
            "doctor",
            self.hospital.hospital,
            "Doc",
            new_key(),
        )[0]

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


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles"
    folder.mkdir()
    for number, one in enumerate(patients(11, COUNT)):
        (folder / f"{number}.json").write_bytes(one.bundle)
    return folder


def own_resources(path: Path) -> list[bytes]:
    """The bytes of every resource in a bundle that isn't only referred to."""
    found = scan_bundle(path.read_bytes())[1]
    shared = {"Organization", "Practitioner", "PractitionerRole", "Location"}
    return [resource.raw for resource in found if resource.type not in shared]


def test_generated_bundles_come_back_byte_for_byte(clinic: Clinic, bundles: Path) -> None:
    summary = import_bundles(clinic.ledger, clinic.hospital.system, [bundles])
    assert (summary.files, summary.patients, summary.unassigned) == (COUNT, COUNT, 0)
    everything = b"".join(b"".join(clinic.contents(chart)) for chart in clinic.charts())
    resources = [raw for path in sorted(bundles.iterdir()) for raw in own_resources(path)]
    assert len(resources) == summary.own
    assert all(raw in everything for raw in resources)


def test_records_lie_in_one_category_and_are_tied_by_episode(clinic: Clinic, bundles: Path) -> None:
    import_bundles(clinic.ledger, clinic.hospital.system, [bundles])
    for chart in clinic.charts():
        rows = find_records(clinic.ledger, chart)
        tied = [(row.episode, row.category) for row in rows if row.episode]
        assert len(tied) == len(set(tied))
        assert {row.category for row in rows if not row.episode} <= {"demographics", "summary"}


def test_events_of_a_patient_share_signatures(clinic: Clinic, bundles: Path) -> None:
    import_bundles(clinic.ledger, clinic.hospital.system, [bundles])
    entries = [clinic.ledger.entry(n) for n in range(clinic.ledger.head().size)]
    uploads = [entry for entry in entries if entry.event.type.name == "record.uploaded"]
    assert len({entry.sig.value for entry in uploads}) == COUNT
    assert all(entry.sig.size for entry in uploads)


def test_a_patient_known_before_is_left_alone(clinic: Clinic, bundles: Path) -> None:
    first = import_bundles(clinic.ledger, clinic.hospital.system, [bundles])
    size = clinic.ledger.head().size
    again = import_bundles(clinic.ledger, clinic.hospital.system, [bundles])
    assert (again.patients, again.known, again.own) == (0, COUNT, 0)
    assert (again.known_resources, again.found) == (first.own, first.found)
    assert clinic.ledger.head().size == size


def test_a_patient_in_two_files_is_one_chart(clinic: Clinic, bundles: Path) -> None:
    (bundles / "again.json").write_bytes((bundles / "0.json").read_bytes())
    summary = import_bundles(clinic.ledger, clinic.hospital.system, [bundles])
    assert summary.patients == COUNT == len(clinic.charts())


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"resourceType":"Bundle","type":"history"}', b"\xff"]
)
def test_what_is_no_bundle_is_refused_before_anything_is_written(
    clinic: Clinic, bundles: Path, content: bytes
) -> None:
    (bundles / "zz.json").write_bytes(content)
    size = clinic.ledger.head().size
    with pytest.raises(FhirError, match=r"got|expected"):
        import_bundles(clinic.ledger, clinic.hospital.system, [bundles])
    assert clinic.ledger.head().size == size


def test_a_missing_path_is_named(clinic: Clinic, tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="nowhere"):
        import_bundles(clinic.ledger, clinic.hospital.system, [tmp_path / "nowhere"])


@pytest.mark.skipif(not FOLDERS[0].is_dir(), reason="the sample data lies outside the repository")
def test_the_samples_add_up(clinic: Clinic, tmp_path: Path) -> None:
    summary = import_bundles(clinic.ledger, clinic.hospital.system, FOLDERS)
    assert (summary.patients, summary.encounters, summary.found) == (36, 952, 11_757)
    assert (summary.unassigned, summary.known) == (0, 0)
    everything = {chart: b"".join(clinic.contents(chart)) for chart in clinic.charts()[:6]}
    source = sorted(path for folder in FOLDERS[:1] for path in folder.glob("*.json"))[:6]
    for path, content in zip(source, everything.values(), strict=True):
        assert all(raw in content for raw in own_resources(path)), path.name
        assert json.loads(path.read_bytes())["resourceType"] == "Bundle"
    write_export(clinic.ledger, tmp_path / "export")
    report = verify_export(tmp_path / "export", read_vkeys(clinic.settings.data / "log.vkey"))
    assert report.proven
    assert report.size == clinic.ledger.head().size
