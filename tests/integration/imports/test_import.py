"""Import, end to end: the numbers add up, each patient once, and a doctor reads the source's bytes."""

import json
from collections import Counter
from pathlib import Path

import pytest

from imports.fhir import scan_bundle
from imports.generating import Order, generate
from journeys.errors import RecordsError
from ledger.auditor import verify_export
from ledger.codes import CATEGORIES
from ledger.files import read_vkeys
from records.opening import find_records
from storage.exports import write_export
from synthetic import patients
from tests.support.clinic import Clinic
from tests.support.paths import ROOT

SAMPLES = ROOT.parent / "shared" / "data"
FOLDERS = [SAMPLES / "synthea-2019-r4", SAMPLES / "synthea-2022-csv-fhir" / "fhir"]
COUNT = 8


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles"
    folder.mkdir()
    for number, one in enumerate(patients(11, COUNT, years=2)):
        (folder / f"{number}.json").write_bytes(one.bundle)
    return folder


def test_a_generated_folder_is_taken_whole(clinic: Clinic, tmp_path: Path) -> None:
    """Nothing is rejected or corrected, no reference leads nowhere, and doctors come with every record."""
    made = generate(tmp_path / "run", Order(seed=7, patients=COUNT, years=2))
    summary = clinic.bring(tmp_path / "run")
    assert (summary.files, summary.patients) == (COUNT + 2, COUNT)
    assert (summary.rejected, summary.corrections, summary.unresolved, summary.known) == (0,) * 4
    assert summary.found == made.resources
    assert summary.encounters == made.types["Encounter"]
    assert set(summary.records) == set(CATEGORIES)
    shown = b"".join(clinic.contents(clinic.charts()[0]))
    assert b'"resourceType":"Practitioner"' in shown and b'"resourceType":"Organization"' in shown


def own_resources(path: Path) -> list[bytes]:
    """The bytes of every resource in a bundle that isn't only referred to."""
    found = scan_bundle(path.read_bytes())[1]
    shared = {"Organization", "Practitioner", "PractitionerRole", "Location"}
    return [resource.raw for resource in found if resource.type not in shared]


def test_generated_bundles_come_back_byte_for_byte(clinic: Clinic, bundles: Path) -> None:
    summary = clinic.bring(bundles)
    assert (summary.files, summary.patients, summary.rejected) == (COUNT, COUNT, 0)
    everything = b"".join(b"".join(clinic.contents(chart)) for chart in clinic.charts())
    resources = [raw for path in sorted(bundles.iterdir()) for raw in own_resources(path)]
    assert len(resources) == summary.new
    assert all(raw in everything for raw in resources)


def test_records_lie_in_one_category_and_are_tied_by_episode(clinic: Clinic, bundles: Path) -> None:
    clinic.bring(bundles)
    for chart in clinic.charts():
        rows = find_records(clinic.ledger, chart)
        tied = [(row.episode, row.category) for row in rows if row.episode]
        assert len(tied) == len(set(tied))
        assert {row.category for row in rows if not row.episode} <= {"demographics", "summary"}


def test_events_of_a_patient_share_signatures(clinic: Clinic, bundles: Path) -> None:
    clinic.bring(bundles)
    entries = [clinic.ledger.entry(n) for n in range(clinic.ledger.head().size)]
    uploads = [entry for entry in entries if entry.event.type.name == "record.uploaded"]
    assert len({entry.sig.value for entry in uploads}) == COUNT
    assert all(entry.sig.size for entry in uploads)


def test_a_second_run_adds_nothing(clinic: Clinic, bundles: Path) -> None:
    first = clinic.bring(bundles)
    size = clinic.ledger.head().size
    again = clinic.bring(bundles)
    assert (again.patients, again.patients_known, again.new) == (0, COUNT, 0)
    assert (again.known, again.found, again.records) == (first.new, first.found, Counter())
    assert clinic.ledger.head().size == size


def test_a_patient_in_two_files_is_one_chart(clinic: Clinic, bundles: Path) -> None:
    (bundles / "again.json").write_bytes((bundles / "0.json").read_bytes())
    summary = clinic.bring(bundles)
    assert summary.patients == COUNT == len(clinic.charts())


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"resourceType":"Bundle","type":"history"}', b"\xff\x00"]
)
def test_what_is_no_bundle_is_one_reject_and_the_rest_is_imported(
    clinic: Clinic, bundles: Path, content: bytes
) -> None:
    (bundles / "zz.json").write_bytes(content)
    summary = clinic.bring(bundles)
    assert (summary.rejected, summary.patients) == (1, COUNT)


def test_a_missing_path_is_named(clinic: Clinic, tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="nowhere"):
        clinic.bring(tmp_path / "nowhere")


@pytest.mark.skipif(not FOLDERS[0].is_dir(), reason="the sample data lies outside the repository")
def test_the_samples_add_up(clinic: Clinic, tmp_path: Path) -> None:
    summary = clinic.bring(SAMPLES, report=tmp_path / "report")
    assert (summary.found, summary.new, summary.references) == (16_791, 15_437, 1_335)
    assert (summary.rejected, summary.duplicates, summary.unresolved) == (19, 0, 0)
    # The 36 of the bundles, whom the tables name by the same UUIDs, and two of the messages.
    assert (summary.patients, summary.amendments) == (38, 0)
    rejects = (tmp_path / "report" / "rejects.jsonl").read_text("utf-8").splitlines()
    aside = Counter(Path(json.loads(line)["file"]).suffix for line in rejects)
    assert aside == Counter(
        {".hl7": 8, ".dcm": 6, "": 2, ".py-pdf-sample-files": 1, ".pydicom": 1, ".md": 1}
    )
    size = clinic.ledger.head().size
    again = clinic.bring(SAMPLES)
    assert (again.new, again.amended, again.known, again.rejected) == (0, 0, 15_437, 19)
    assert clinic.ledger.head().size == size
    for chart, path in zip(clinic.charts()[:6], sorted(FOLDERS[0].glob("*.json")), strict=False):
        everything = b"".join(clinic.contents(chart))
        assert all(raw in everything for raw in own_resources(path)), path.name
    write_export(clinic.ledger, tmp_path / "export")
    report = verify_export(tmp_path / "export", read_vkeys(clinic.settings.data / "log.vkey"))
    assert report.proven
    assert report.size == clinic.ledger.head().size
