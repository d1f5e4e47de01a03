"""The people of the demonstration, and what is known of them."""

from dataclasses import dataclass
from pathlib import Path

from api.demo.steps import Steps, expect
from crypto.encoding import b64decode
from identity.actors import Actor, new_key, possession
from ledger.directory import Patient
from records import directory, uploads
from records.desk import Near
from records.directory import AddedHospital
from records.imports import Summary, import_paths
from records.imports.fhir import scan_bundle
from records.imports.fhir.drafts import patient_identifier
from records.synthetic import SyntheticPatient, letter_pdf, patients, scan_png
from records.uploads import Uploaded
from storage.ledger import Ledger

SEED = 2026
PATIENTS = 12


@dataclass
class Story:
    """What the steps hand on to each other."""

    place: Path
    ledger: Ledger
    operator: Actor
    north: AddedHospital
    south: AddedHospital
    doctors: list[Actor]
    """Two of the northern hospital, then two of the southern."""
    source: SyntheticPatient
    """The patient it is about."""
    patient: Actor
    chart: str
    letter: Uploaded
    scan: Uploaded
    granted: int = 0
    """The entry of the first grant."""


def people(step: Steps, place: Path, ledger: Ledger, operator: Actor) -> Story:
    """Hospitals, doctors, patients and their records."""
    desk = Near(ledger)
    north, south = step(
        "two hospitals are approved",
        lambda: (
            directory.add_hospital(desk, operator, "Klinikum Nord", "Europe/Berlin"),
            directory.add_hospital(desk, operator, "Klinikum Süd", "Europe/Berlin"),
        ),
        lambda both: f"{both[0].hospital}, {both[1].hospital}",
    )
    doctors = step(
        "four doctors are approved",
        lambda: [
            directory.add_member(desk, h.admin, "doctor", h.hospital, name, new_key())[0]
            for h, name in (
                (north, "Dr. Ada Nord"),
                (north, "Dr. Ben Nord"),
                (south, "Dr. Cem Süd"),
                (south, "Dr. Dora Süd"),
            )
        ],
        lambda found: f"{len(found)} with keys of their own",
    )
    sources = list(patients(SEED, PATIENTS))
    summary = step(
        "FHIR bundles are imported",
        lambda: bring(ledger, north.system, place / "source", sources),
        lambda s: (
            f"{s.patients} patients, {s.new} resources in {sum(s.records.values())} records, "
            f"{s.encounters} encounters"
        ),
    )
    expect(summary.patients == PATIENTS and summary.rejected == 0, "an import that lost something")
    adult = next(s for s in sources if not s.deceased and s.birth_date < "2000")
    chart, patient = step(
        "a patient gets a key",
        lambda: first_key(ledger, north.system, adult),
        lambda pair: f"{pair[0]}, vouched for by the hospital, proved by the key",
    )
    letter, scan = step(
        "a letter and a scan are uploaded",
        lambda: attach(ledger, north.system, chart, adult.name),
        lambda both: f"PDF of {both[0].size} bytes, PNG of {both[1].size}, encrypted",
    )
    return Story(
        place, ledger, operator, north, south, doctors, adult, patient, chart, letter, scan
    )


def bring(ledger: Ledger, system: Actor, folder: Path, sources: list[SyntheticPatient]) -> Summary:
    """Write the generated bundles as files and import them."""
    folder.mkdir()
    for number, source in enumerate(sources):
        (folder / f"patient-{number:03d}.json").write_bytes(source.bundle)
    return import_paths(ledger, system, [folder]).summary


def first_key(ledger: Ledger, system: Actor, source: SyntheticPatient) -> tuple[str, Actor]:
    """A first key for an imported patient's account, vouched for by the hospital."""
    patient = next(one for one in scan_bundle(source.bundle)[1] if one.type == "Patient")
    identifier = patient_identifier(patient)
    chart = ledger.identifiers.find(system.hospital, [identifier])[identifier]
    row = ledger.row(Patient, chart)
    expect(row is not None, "an imported patient who is not there")
    account = row.account if row else ""
    desk = Near(ledger)
    key = new_key()
    proof = b64decode(possession(ledger.origin, account, key))
    directory.register_key(desk, system, account, "device", key.public, proof)
    return chart, Actor(ledger.origin, account, "patient", "", key)


def attach(ledger: Ledger, system: Actor, chart: str, name: str) -> tuple[Uploaded, Uploaded]:
    """A discharge letter and an image, in one bundle of two events."""
    letter, scan = letter_pdf(SEED, name), scan_png(SEED)
    made = uploads.upload(
        ledger,
        system,
        [
            uploads.Upload(
                chart, "document", "application/pdf", [letter], title="Discharge letter"
            ),
            uploads.Upload(chart, "imaging", "image/png", [scan], title="Scan"),
        ],
    )
    return made[0], made[1]
