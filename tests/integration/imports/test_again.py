"""Imports that are repeated, changed, cut off, tried dry, mended: nothing twice, nothing lost, nothing out of sight."""

import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.app.settings import Settings
from consent.auditor import audit_export
from identity.actors import Actor
from imports.drafts import names_of
from imports.report import Summary
from imports.run import Options, import_paths
from journeys.errors import RecordsError
from ledger.auditor import verify_export
from ledger.facts import Record
from ledger.files import read_vkeys
from records.opening import find_records
from storage.blobs.files import FileBlobs
from storage.exports import write_export
from storage.keytable import KeyTable
from storage.log import Log
from storage.sql.identifiers import Identifiers, Imported
from storage.sql.views import rebuild
from tests.support.clinic import Clinic
from tests.support.inside import opened

SYSTEM = "urn:hospital"
UUIDS = [f"a0b1c2d3-0000-4000-8000-{n:012d}" for n in range(4)]


def patient(number: int, **members: Any) -> dict[str, Any]:
    mr = {"type": {"coding": [{"code": "MR"}]}, "system": SYSTEM, "value": str(number or 10)}
    body = {"resourceType": "Patient", "id": UUIDS[number], "identifier": [mr]}
    return body | {"name": [{"family": f"Alder{number}"}], "birthDate": "1980-02-03"} | members


def visit(number: int) -> dict[str, Any]:
    return of(number, "Encounter", f"e{number}", period={"start": "2020-03-04T10:00:00Z"})


def of(number: int, kind: str, name: str, **members: Any) -> dict[str, Any]:
    subject = {"reference": f"Patient/{UUIDS[number]}"}
    return {"resourceType": kind, "id": name, "subject": subject, **members}


def lab(number: int, name: str, value: int, **members: Any) -> dict[str, Any]:
    coding = [{"coding": [{"code": "laboratory"}]}]
    tied = {"category": coding, "encounter": {"reference": f"Encounter/e{number}"}}
    return of(number, "Observation", name, valueInteger=value, **tied, **members)


def write(path: Path, *resources: Any) -> Path:
    entries = [{"resource": resource} for resource in resources]
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    return path


def chart(clinic: Clinic, number: int) -> list[Record]:
    name = f"{SYSTEM}|{number or 10}"
    found = clinic.ledger.identifiers.find(clinic.hospital.hospital, [name])
    return find_records(clinic.ledger, found[name])


def ids(clinic: Clinic, number: int) -> list[list[str]]:
    """The resources of each record as it is read now."""
    name = f"{SYSTEM}|{number or 10}"
    found = clinic.ledger.identifiers.find(clinic.hospital.hospital, [name])[name]
    return [[e["resource"]["id"] for e in json.loads(c)["entry"]] for c in clinic.contents(found)]


def numbers(summary: Summary) -> tuple[int, int, int, int, int]:
    return summary.found, summary.new, summary.amended, summary.known, summary.rejected


# --- the same again, and otherwise ---------------------------------------------------------------


def test_what_changed_is_a_new_version_of_its_record(clinic: Clinic, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    clinic.bring(write(path, patient(1), visit(1), lab(1, "x", 1), lab(1, "y", 1)))
    summary = clinic.bring(write(path, patient(1), visit(1), lab(1, "x", 2), lab(1, "y", 1)))
    assert numbers(summary) == (4, 0, 1, 3, 0)
    assert (summary.amendments, sum(summary.records.values())) == (1, 0)
    assert ids(clinic, 1) == [[UUIDS[1]], ["e1"], ["x", "y"]]
    record = chart(clinic, 1)[2]
    assert [version.version for version in record.versions] == [1, 2]
    assert numbers(clinic.bring(path)) == (4, 0, 0, 4, 0)


def test_what_came_to_a_known_encounter_belongs_to_its_record(
    clinic: Clinic, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    clinic.bring(write(path, patient(1), visit(1), lab(1, "x", 1)))
    summary = clinic.bring(write(path, patient(1), visit(1), lab(1, "x", 1), lab(1, "y", 1)))
    assert numbers(summary) == (4, 1, 0, 3, 0)
    assert ids(clinic, 1)[2] == ["x", "y"]


def test_a_part_never_takes_the_rest_out_of_sight(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", patient(1), visit(1), lab(1, "x", 1), lab(1, "y", 1)))
    part = write(tmp_path / "b.json", lab(1, "x", 2), lab(1, "z", 1))
    assert numbers(clinic.bring(part)) == (2, 1, 1, 0, 0)
    assert ids(clinic, 1)[2:] == [["x", "y"], ["z"]]
    assert len({record.episode for record in chart(clinic, 1)[1:]}) == 1
    assert numbers(clinic.bring(part)) == (2, 0, 0, 2, 0)
    # The whole again, as it is now: both records are told apart, and only what changed is amended.
    whole = [patient(1), visit(1), lab(1, "x", 2), lab(1, "y", 2), lab(1, "z", 1)]
    assert numbers(clinic.bring(write(tmp_path / "a.json", *whole))) == (5, 0, 1, 4, 0)
    assert ids(clinic, 1)[2:] == [["x", "y"], ["z"]]


def test_a_patient_is_known_by_uuid_and_by_number(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", patient(1)))
    elsewhere = patient(1) | {"identifier": [], "name": [{"family": "Alder1"}]}
    summary = clinic.bring(write(tmp_path / "b.json", elsewhere))
    assert (summary.patients, summary.patients_known) == (0, 1)
    find = clinic.ledger.identifiers.find
    names, weak = names_of("1")
    assert not names
    assert len(set(find(clinic.hospital.hospital, [*weak, f"{SYSTEM}|1"]).values())) == 1


def test_a_number_of_two_patients_finds_nobody(clinic: Clinic, tmp_path: Path) -> None:
    twin = patient(2)
    twin["identifier"] = [twin["identifier"][0] | {"system": "urn:other", "value": "1"}]
    clinic.bring(write(tmp_path / "a.json", patient(1), twin))
    found = clinic.ledger.identifiers.find(clinic.hospital.hospital, names_of("1")[1])
    assert list(found.values()) == [""]


def test_names_of_two_patients_are_set_aside(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", patient(1), patient(2)))
    mixed = patient(1) | {"identifier": patient(2)["identifier"]}
    summary = clinic.bring(write(tmp_path / "b.json", mixed, of(1, "Basic", "x")))
    assert (summary.rejected, summary.new) == (2, 0)
    assert "those of different patients" in next(iter(summary.reasons))


def test_who_is_not_known_is_set_aside(clinic: Clinic, tmp_path: Path) -> None:
    summary = clinic.bring(write(tmp_path / "a.json", lab(3, "x", 1)))
    assert numbers(summary) == (1, 0, 0, 0, 1)
    assert "knows no patient" in next(iter(summary.reasons))


def test_what_the_ledger_refuses_is_set_aside_alone(clinic: Clinic, tmp_path: Path) -> None:
    endless = patient(1, name=[{"family": "A" * 2_000}])
    path = write(tmp_path / "a.json", endless, visit(1), patient(2), visit(2))
    summary = clinic.bring(path, report=tmp_path / "report")
    assert (summary.rejected, summary.patients, summary.new) == (2, 1, 2)
    lines = (tmp_path / "report" / "rejects.jsonl").read_text().splitlines()
    assert all("bytes of name" in json.loads(line)["reason"] for line in lines)


def test_sensitive_codes_label_their_record(clinic: Clinic, tmp_path: Path) -> None:
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "F32.1"}]}
    tied = {"encounter": {"reference": "Encounter/e1"}}
    bodies = [of(1, "Condition", "c", code=code, **tied), lab(1, "x", 1)]
    clinic.bring(write(tmp_path / "a.json", patient(1), visit(1), *bodies))
    records = {record.category: record for record in chart(clinic, 1)}
    assert (records["condition"].sensitive, records["condition"].minor_private) == (True, True)
    assert len(records["condition"].labels) == 1
    assert not records["laboratory"].sensitive


# --- trying, mending -----------------------------------------------------------------------------


def test_a_dry_run_says_what_the_import_does(clinic: Clinic, bundles: Path) -> None:
    size = clinic.ledger.head().size
    dry = clinic.bring(bundles, dry=True)
    assert clinic.ledger.head().size == size
    with clinic.ledger.database.read() as connection:
        for table in ("identifiers", "imported", "blob_keys"):
            rows = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            assert rows == 0
    real = clinic.bring(bundles)
    assert numbers(dry) == numbers(real)
    assert (dry.records, dry.patients) == (real.records, real.patients)


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles"
    folder.mkdir()
    for n in range(4):
        labs = [lab(n, f"{n}-{m}", m) for m in range(3)]
        write(folder / f"{n}.json", patient(n), visit(n), *labs, of(n, "Basic", f"b{n}"))
    return folder


def test_rejects_are_mended_and_imported_from_their_file(clinic: Clinic, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", patient(1), visit(1), lab(1, "x", 1), {"id": "no type"})
    path.write_text(path.read_text().replace('"valueInteger": 1', '"valueInteger": NaN'))
    summary = clinic.bring(path, report=tmp_path / "report")
    assert numbers(summary) == (4, 2, 0, 0, 2)
    rejects = tmp_path / "report" / "rejects.jsonl"
    assert rejects.stat().st_mode & 0o077 == 0
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [line["position"] for line in lines] == ["entry[2]", "entry[3]"]
    lines[0]["original"] = lines[0]["original"].replace("NaN", "1")
    mended = tmp_path / "mended.jsonl"
    mended.write_text("\n".join(map(json.dumps, lines)) + "\nnot a line\n")
    again = clinic.bring(mended, report=tmp_path / "second")
    assert numbers(again) == (3, 1, 0, 0, 2)
    assert ids(clinic, 1)[-1] == ["x"]
    assert chart(clinic, 1)[-1].episode == chart(clinic, 1)[1].episode


def test_one_import_at_a_time(clinic: Clinic, bundles: Path) -> None:
    with clinic.ledger.database.alone(f"import_{clinic.hospital.hospital}") as first:
        assert first
        with pytest.raises(RecordsError, match="another import"):
            clinic.bring(bundles)
    assert clinic.bring(bundles).rejected == 0


def test_what_is_kept_goes_with_the_patient(clinic: Clinic, bundles: Path) -> None:
    clinic.bring(bundles)
    name = f"{SYSTEM}|1"
    hospital, ledger = clinic.hospital.hospital, clinic.ledger
    found = ledger.identifiers.find(hospital, [name])[name]
    ledger.identifiers.imported.forget(found)
    ledger.identifiers.forget(found)
    assert not ledger.identifiers.imported.of(found)
    assert not ledger.identifiers.find(hospital, [name, *names_of(UUIDS[1])[0]])
    with ledger.database.read() as connection:
        everything = repr(connection.exec_driver_sql("SELECT * FROM imported").fetchall())
    assert "Observation" not in everything


# --- cut off -------------------------------------------------------------------------------------


class Cut(Exception):
    """The planted end."""


POINTS: dict[str, tuple[type, str]] = {
    "names": (Identifiers, "reserve"),
    "numbers": (Identifiers, "number"),
    "units": (Imported, "keep"),
    "blobs": (FileBlobs, "put"),
    "keys": (KeyTable, "stage"),
    "append": (Log, "append"),
}


@contextmanager
def cut(patch: pytest.MonkeyPatch, point: str, after: int, done: bool) -> Iterator[None]:
    """Break one write after so many, before or after it happened."""
    kind, name = POINTS[point]
    true: Callable[..., Any] = getattr(kind, name)
    calls = iter(range(10**6))

    def write(self: Any, *given: Any, **named: Any) -> Any:
        number = next(calls)
        if number < after:
            return true(self, *given, **named)
        if number == after and done:
            true(self, *given, **named)
        raise Cut(point)

    with patch.context() as planted:
        planted.setattr(kind, name, write)
        yield


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("point", POINTS)
def test_an_import_that_was_cut_off_goes_on(
    clinic: Clinic,
    bundles: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    after: int,
    done: bool,
) -> None:
    with cut(monkeypatch, point, after, done), pytest.raises(Cut):
        clinic.bring(bundles)
    finish(clinic, bundles)


def finish(clinic: Clinic, bundles: Path) -> None:
    """The second run completes; each resource stands once, and the third adds nothing."""
    second = clinic.bring(bundles)
    assert second.new + second.known == 24
    for n in range(4):
        expected = [[UUIDS[n]], ["e" + str(n)], [f"{n}-{m}" for m in range(3)], [f"b{n}"]]
        assert sorted(ids(clinic, n)) == sorted(expected)
    size = clinic.ledger.head().size
    assert numbers(clinic.bring(bundles)) == (24, 0, 0, 24, 0)
    assert clinic.ledger.head().size == size


def _bring(settings: Settings, system: Actor, bundles: Path) -> None:
    ledger = opened(settings)
    for _ in range(10**6):
        import_paths(ledger, system, [bundles], Options())


def test_an_import_that_was_killed_goes_on(clinic: Clinic, bundles: Path, tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    chance, system = random.Random(seed), clinic.hospital.system
    context = multiprocessing.get_context("fork")
    for _ in range(4):
        clinic.ledger.close()
        child = context.Process(target=_bring, args=(clinic.settings, system, bundles))
        child.start()
        time.sleep(0.1 + chance.random() * 0.5)
        child.kill()
        child.join()
        clinic.ledger = opened(clinic.settings)
    finish(clinic, bundles)
    write_export(clinic.ledger, tmp_path / "export")
    vkeys = read_vkeys(clinic.settings.data / "log.vkey")
    assert verify_export(tmp_path / "export", vkeys).proven
    assert not audit_export(tmp_path / "export", vkeys).wrong
    assert not rebuild(clinic.ledger.store, swap=False).differences


def test_a_mended_row_is_read_as_its_table(clinic: Clinic, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    header = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION"
    row = f"2011-12-16,,{UUIDS[1]},e1,359817006,Hüftfraktur"
    (folder / "conditions.csv").write_bytes(f"{header}\n{row},surplus\n".encode("cp1252"))
    clinic.bring(write(tmp_path / "a.json", patient(1)))
    summary = clinic.bring(folder, report=tmp_path / "report")
    assert numbers(summary) == (1, 0, 0, 0, 1)
    line = json.loads((tmp_path / "report" / "rejects.jsonl").read_text())
    assert line["header"] == header + "\n"
    mended = tmp_path / "mended.jsonl"
    long = line | {"original": None, "patient": "1"}
    mended.write_text(json.dumps(line | {"original": row}) + "\n" + json.dumps(long) + "\n")
    assert numbers(clinic.bring(mended)) == (2, 1, 0, 0, 1)
    found = clinic.ledger.identifiers.find(clinic.hospital.hospital, [f"{SYSTEM}|1"])
    assert clinic.contents(found[f"{SYSTEM}|1"])[-1].decode() == f"{header}\n{row}\n"
