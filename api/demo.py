"""The whole way on generated data: every step asserts its outcome and prints one line."""

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from api.bootstrap import create_ledger, open_ledger
from api.settings import Settings
from crypto.encoding import b64decode
from identity.actors import Actor, new_key, possession
from ledger.auditor import check_receipt, read_vkeys, verify_export
from ledger.entry import nested_reading
from ledger.errors import Tampered
from ledger.tiles import TILE_WIDTH, tile_path
from records import directory, disclosures, grants, history, imports, receipts, uploads
from records.directory import AddedHospital
from records.errors import AccessDenied
from records.fhir import ReferenceIndex, scan_bundle, split
from records.synthetic import SyntheticPatient, letter_pdf, patients, scan_png
from records.uploads import Uploaded
from storage.errors import StorageError
from storage.exports import write_export
from storage.ledger import Ledger

MARKER = ".heartwood-demo"
"""Only a folder with this file in it is ever wiped."""
SEED = 2026
PATIENTS = 12


T = TypeVar("T")


class DemoFailed(Exception):
    """A step's outcome was not the one it must have."""


def expect(condition: bool, what: str) -> None:
    """Raises DemoFailed unless the condition holds; unlike `assert`, also under `python -O`."""
    if not condition:
        raise DemoFailed(what)


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


def run(place: Path, say: Callable[[str], None]) -> None:
    """Run the demo in `place`, which it makes, or wipes if it made it before. Raises DemoFailed."""
    began = time.perf_counter()
    prepare(place)
    step = Steps(say)
    settings = Settings(data=place / "ledger", database_url="", root=None)
    created = step("a ledger is created", lambda: create_ledger(settings, "heartwood.example/demo"),
                   lambda c: f"{c.origin}, signed with Ed25519 and ML-DSA-44")  # fmt: skip
    ledger = open_ledger(settings)
    try:
        story = people(step, place, ledger, created.operator)
        consent(step, story)
        proofs(step, story, settings.data / "log.vkey")
    finally:
        ledger.close()
    say(f"all of it held; {step.count} steps in {time.perf_counter() - began:.1f} s, in {place}")


def prepare(place: Path) -> None:
    """An empty folder with the marker; raises StorageError for a folder that isn't the demo's."""
    if place.exists() and any(place.iterdir()):
        if not (place / MARKER).exists():
            raise StorageError(
                f"{place} holds files and is not a demo's folder; nothing was touched"
            )
        shutil.rmtree(place)
    place.mkdir(parents=True, exist_ok=True)
    (place / MARKER).write_text("made by `heartwood demo`, which may wipe this folder\n")


class Steps:
    """Runs steps, one line each."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` prints a line."""
        self._say, self.count = say, 0

    def __call__(self, what: str, act: Callable[[], T], tell: Callable[[T], str]) -> T:
        """Run `act`; print what it was, what came of it and how long it took."""
        began = time.perf_counter()
        out = act()
        self.count += 1
        spent = (time.perf_counter() - began) * 1000
        self._say(f"{self.count:>2}  {what:<38} {spent:>7.0f} ms   {tell(out)}")
        return out


def people(step: Steps, place: Path, ledger: Ledger, operator: Actor) -> Story:
    """Hospitals, doctors, patients and their records."""
    north, south = step(
        "two hospitals are approved",
        lambda: (
            directory.add_hospital(ledger, operator, "Klinikum Nord", "Europe/Berlin"),
            directory.add_hospital(ledger, operator, "Klinikum Süd", "Europe/Berlin"),
        ),
        lambda both: f"{both[0].hospital}, {both[1].hospital}",
    )
    doctors = step(
        "four doctors are approved",
        lambda: [
            directory.add_member(ledger, h.admin, "doctor", h.hospital, name, new_key())[0]
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
            f"{s.patients} patients, {s.own} resources in {sum(s.records.values())} records, "
            f"{s.encounters} encounters"
        ),
    )
    expect(
        summary.patients == PATIENTS and summary.unassigned == 0, "an import that lost something"
    )
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


def bring(
    ledger: Ledger, system: Actor, folder: Path, sources: list[SyntheticPatient]
) -> imports.Summary:
    """Write the generated bundles as files and import them."""
    folder.mkdir()
    for number, source in enumerate(sources):
        (folder / f"patient-{number:03d}.json").write_bytes(source.bundle)
    return imports.import_bundles(ledger, system, [folder])


def first_key(ledger: Ledger, system: Actor, source: SyntheticPatient) -> tuple[str, Actor]:
    """A first key for an imported patient's account, vouched for by the hospital."""
    draft = split(scan_bundle(source.bundle)[1], ReferenceIndex()).patients[0]
    chart = ledger.identifiers.find(system.hospital, [draft.identifier])[draft.identifier]
    account = directory.patient_of(ledger, chart).account
    key = new_key()
    proof = b64decode(possession(ledger.origin, account, key))
    directory.register_key(ledger, system, account, "device", key.public, proof)
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


def consent(step: Steps, story: Story) -> None:
    """Grant, read, refuse, revoke, refuse, and the history of it."""
    ledger, patient, chart = story.ledger, story.patient, story.chart
    reader, stranger = story.doctors[2], story.doctors[3]
    _, granted = step(
        "the patient grants a southern doctor",
        lambda: grants.grant(ledger, patient, chart, reader.account),
        lambda pair: f"entry {pair[1]}, the whole chart, {ledger.policy.grant_days_max} days",
    )
    step(
        "the doctor reads all of it",
        lambda: read_all(story, reader, granted),
        lambda n: f"{n[0]} records, {n[1]} bytes, each as its source had it",
    )
    step(
        "a colleague of that doctor is refused",
        lambda: refused(story, stranger),
        lambda seq: f"and the refusal is entry {seq}",
    )
    step(
        "the patient revokes the grant",
        lambda: grants.revoke(ledger, patient, chart, reader.account),
        lambda seq: f"entry {seq}",
    )
    step(
        "the doctor's next reading is refused",
        lambda: refused(story, reader),
        lambda seq: f"and the refusal is entry {seq}",
    )
    step(
        "the patient looks at the history",
        lambda: look_back(story),
        lambda n: f"{n[0]} acts, {n[1]} readings, {n[2]} of them refused",
    )


def read_all(story: Story, reader: Actor, granted: int) -> tuple[int, int]:
    """Read every record of the chart by the grant; compare with the source. (records, bytes)"""
    ledger = story.ledger
    rows = disclosures.find_records(ledger, story.chart)
    contents = {}
    for row in rows:
        proposal = disclosures.reading(ledger, reader, row, "TREAT")
        shown = disclosures.open_record(ledger, proposal)
        contents[row.record] = b"".join(shown.content)
        decision = shown.entry.decision or {}
        expect((decision["rule"], decision["basis"]) == ("S9", [granted]), f"got {decision}")
        expect(len(contents[row.record]) == shown.size, "a content of another length")
    source = story.source
    expect(contents[story.letter.record] == letter_pdf(SEED, source.name), "another letter")
    expect(contents[story.scan.record] == scan_png(SEED), "another scan")
    everything = b"".join(contents.values())
    for resource in scan_bundle(source.bundle)[1]:
        expect(resource.raw in everything, f"{resource.type} is in no record as the source had it")
    return len(rows), len(everything)


def refused(story: Story, reader: Actor) -> int:
    """A reading must be refused, and the refusal stand in the log, signed by the reader; its entry."""
    ledger = story.ledger
    row = disclosures.find_record(ledger, story.letter.record)
    proposal = disclosures.reading(ledger, reader, row, "TREAT")
    try:
        disclosures.open_record(ledger, proposal)
    except AccessDenied as denied:
        expect(denied.seq is not None and denied.rule == "S12", f"got {denied}")
        entry = ledger.entry(denied.seq or 0)
        expect(entry.event.type.name == "access.refused", "the refusal is another event")
        expect(nested_reading(entry.event)[0].raw == proposal.event.raw, "another reading inside")
        return entry.link.seq
    raise DemoFailed(f"{reader.account} could read what nobody granted")


def look_back(story: Story) -> tuple[int, int, int]:
    """The patient's history; (acts, readings, refused readings)."""
    _, acts = history.history(story.ledger, story.patient, story.chart, "PATRQT")
    opened = [act for act in acts if act.type == "record.opened"]
    denied = [act for act in opened if act.effect == "deny"]
    expect(
        {act.actor for act in denied} == {d.account for d in story.doctors[2:]}, "other refusals"
    )
    return len(acts), len(opened), len(denied)


def proofs(step: Steps, story: Story, vkey: Path) -> None:
    """Receipt, export, verification, and two alterations that are found."""
    ledger, keys = story.ledger, read_vkeys(vkey)
    target, seq = story.place / "export", story.letter.seq
    step(
        "a receipt of the letter is checked",
        lambda: check_receipt(receipts.receipt(ledger, story.patient, seq)[0].text(), keys),
        lambda receipt: f"entry {receipt.index}, {len(receipt.path)} hashes to the root",
    )
    size = step(
        "the log is exported",
        lambda: write_export(ledger, target),
        lambda n: f"{n} entries in {target}",
    )
    report = step(
        "and verified, offline",
        lambda: verify_export(target, keys),
        lambda r: f"{r.counts.entries} entries, every hash, chain, signature and tile",
    )
    expect(report.proven and report.counts.entries == size, "a verification of something else")
    step(
        "one byte of a copy is altered",
        lambda: tampered(story, target, keys, mend_manifest=False),
        lambda found: f"found: {found}",
    )
    step(
        "and hidden in the manifest too",
        lambda: tampered(story, target, keys, mend_manifest=True),
        lambda found: f"found: {found}",
    )


def tampered(story: Story, target: Path, keys: list[str] | None, mend_manifest: bool) -> str:
    """Alter one byte of the hash in the letter's entry, in a copy of the export; what the verification says."""
    seq = story.letter.seq
    copy = story.place / ("forged" if mend_manifest else "damaged")
    shutil.copytree(target, copy)
    size = story.ledger.head().size
    number = seq // TILE_WIDTH
    width = min(TILE_WIDTH, size - number * TILE_WIDTH)
    path = tile_path("entries", number, width)
    data = bytearray((copy / path).read_bytes())
    hash_of_blob = b'"sha256":"'
    at = data.index(hash_of_blob, data.index(story.letter.record.encode())) + len(hash_of_blob)
    data[at] = ord("B" if data[at] == ord("A") else "A")
    (copy / path).write_bytes(data)
    if mend_manifest:
        text = (copy / "manifest").read_text()
        old = next(line for line in text.splitlines() if line.endswith(f"  {path}"))
        new = f"{hashlib.sha256(data).hexdigest()}  {path}"
        (copy / "manifest").write_text(text.replace(old, new))
    try:
        verify_export(copy, keys)
    except Tampered as found:
        place = f"entry {seq}:" if mend_manifest else path
        expect(str(found).startswith(place), f"got {found}, expected the place {place}")
        return str(found)[:90]
    raise DemoFailed("an altered log was verified as good")
