"""The people of the demonstration, and what is known of them."""

from dataclasses import dataclass
from pathlib import Path

from client import beside, registering
from client.local import LocalClient
from client.registering import AddedHospital
from client.signers import possession
from crypto.encoding import b64decode
from crypto.texts import counted
from demo.steps import Steps, expect
from identity.actors import Actor, new_key
from imports.fhir import scan_bundle
from imports.fhir.patients import patient_identifier
from imports.generating import Order, generate
from imports.run import import_paths
from ledger.directory import Patient
from records import uploads
from records.uploads import Uploaded
from storage.ledger import Ledger
from synthetic import SyntheticPatient, letter_pdf, patient, scan_png

NORTH, SOUTH = "Klinikum Nord", "Klinikum Süd"
DOCTORS = ("Dr. Ada Nord", "Dr. Ben Nord", "Dr. Cem Süd", "Dr. Dora Süd")
"""Two of each."""
SEED = 2213
PATIENTS = 8
ABOUT = 7
"""The place of the patient whom it is about."""
FILE_ID = bytes(16)


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
    client = LocalClient(ledger)
    north, south = step(
        "two hospitals are approved",
        lambda: (
            registering.add_hospital(client, operator, NORTH, "Europe/Berlin"),
            registering.add_hospital(client, operator, SOUTH, "Europe/Berlin"),
        ),
        lambda both: f"{both[0].hospital}, {both[1].hospital}",
    )
    doctors = step(
        "four doctors are approved",
        lambda: [
            registering.add_member(client, h.admin, "doctor", h.hospital, name, new_key())[0]
            for h, name in zip((north, north, south, south), DOCTORS, strict=True)
        ],
        lambda found: f"{len(found)} with keys of their own",
    )
    order = Order(SEED, PATIENTS)
    step(
        "patients are generated",
        lambda: generate(place / "source", order),
        lambda g: (
            f"{counted(g.patients, 'patient')}, {counted(g.resources, 'resource')}, {g.bytes / 1e6:.1f} MB"
        ),
    )
    summary = step(
        "their FHIR bundles are imported",
        lambda: import_paths(ledger, north.system, [place / "source"]).summary,
        lambda s: (
            f"{counted(s.patients, 'patient')}, {counted(s.new, 'resource')} in {counted(sum(s.records.values()), 'record')}, "
            f"{counted(s.encounters, 'encounter')}"
        ),
    )
    expect(
        (summary.patients, summary.rejected, summary.unresolved) == (PATIENTS, 0, 0),
        "an import that lost something",
    )
    adult = patient(SEED, ABOUT, order.years)
    chart, owner = step(
        "a patient gets a key",
        lambda: first_key(ledger, north.system, adult),
        lambda pair: f"{pair[0]}, vouched for by the hospital, proved by the key",
    )
    letter, scan = step(
        "a letter and a scan are uploaded",
        lambda: attach(ledger, north.system, chart, adult.name),
        lambda both: f"PDF of {both[0].size} bytes, PNG of {both[1].size}, encrypted",
    )
    return Story(place, ledger, operator, north, south, doctors, adult, owner, chart, letter, scan)


def first_key(ledger: Ledger, system: Actor, source: SyntheticPatient) -> tuple[str, Actor]:
    """A first key for an imported patient's account, vouched for by the hospital."""
    patient = next(one for one in scan_bundle(source.bundle)[1] if one.type == "Patient")
    identifier = patient_identifier(patient)
    chart = ledger.identifiers.find(system.hospital, [identifier])[identifier]
    row = ledger.row(Patient, chart)
    expect(row is not None, "an imported patient who is not there")
    account = row.account if row else ""
    client = LocalClient(ledger)
    key = new_key()
    proof = b64decode(possession(key, ledger.origin, account))
    registering.register_key(client, system, account, "device", key.public, proof)
    return chart, Actor(ledger.origin, account, "patient", "", key)


def attach(ledger: Ledger, system: Actor, chart: str, name: str) -> tuple[Uploaded, Uploaded]:
    """A discharge letter and an image, in one bundle of two events."""
    letter, scan = discharge_letter(name), scan_png(SEED)
    made = beside.upload(
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


def discharge_letter(name: str) -> bytes:
    """The letter that is uploaded, as a PDF."""
    lines = [
        f"Patient: {name}",
        "",
        "Dear colleague,",
        "",
        "we saw this patient for a check of the heart. The scan is enclosed.",
        "Please repeat the blood tests within four weeks.",
    ]
    return letter_pdf("Discharge letter", lines, FILE_ID)
