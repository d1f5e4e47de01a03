"""Whose a unit is: no number is trusted without a second witness, in no format, run or process."""

import gzip
import json
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from api.app.creating import create_ledger
from api.app.settings import Settings
from client.authoring import retract
from client.local import LocalClient
from client.registering import NewPatient, correct_patient, register_patients
from identity.actors import new_id
from imports.mapping import Mapping
from imports.report import Summary
from journeys.days import day_in, today
from ledger.directory import Patient
from records.opening import find_records
from storage.sql.identifiers import Kept, Witness
from tests.support.clinic import Clinic
from tests.support.inside import opened

SYSTEM = "https://north.example/mrn"
UUID = "5f0c1d2e-0000-4000-8000-00000000000a"
IDA = {
    "name": [{"family": "Lindqvist", "given": ["Ida"]}],
    "gender": "female",
    "birthDate": "1971-06-09",
}
OTTO = {
    "name": [{"family": "Brandt", "given": ["Otto"]}],
    "gender": "male",
    "birthDate": "2001-01-02",
}
OTHER = "another given name, family name, birth date and sex"


def person(own: str, number: str, said: dict[str, Any], system: str = SYSTEM) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": own,
        "identifier": [{"system": system, "value": number}],
        **said,
    }


def result(name: str, patient: str, value: int = 1) -> dict[str, Any]:
    subject = {"reference": f"Patient/{patient}"}
    return {"resourceType": "Observation", "id": name, "subject": subject, "valueInteger": value}


def write(path: Path, *resources: Any, base: str = "") -> Path:
    entries = [
        {"resource": r} | ({"fullUrl": f"{base}/{r['resourceType']}/{r['id']}"} if base else {})
        for r in resources
    ]
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    return path


def hl7(
    path: Path, kind: str, number: str, name: str, born: str, sex: str, sender: str = "KIS|North"
) -> Path:
    order = (
        "OBR|1|||718-7^Hb^LN|||20200102\rOBX|1|NM|718-7^Hb^LN||14\r"
        if kind == "ORU^R01"
        else "EVN|A01\r"
    )
    path.write_text(
        f"MSH|^~\\&|{sender}|||20200102||{kind}|{path.stem}|P|2.5\r"
        f"PID|1||{number}||{name}||{born}|{sex}\r{order}",
        newline="",
    )
    return path


def image(path: Path, number: str, name: str = "", born: str = "", sex: str = "") -> Path:
    made = pydicom.Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", f"1.2.3.{len(path.name)}"
    made.Modality, made.PatientID, made.PatientName = "CT", number, name
    made.PatientBirthDate, made.PatientSex = born, sex
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.save_as(path, enforce_file_format=True)
    return path


def who(clinic: Clinic, *names: str) -> list[str]:
    """The patients that bear the names, each once."""
    found = clinic.ledger.identifiers.find(clinic.hospital.hospital, names)
    return sorted(set(found.values()))


def count(clinic: Clinic, *names: str) -> list[int]:
    """How many records each of the patients has."""
    return [len(find_records(clinic.ledger, one)) for one in who(clinic, *names)]


def reasons(summary: Summary) -> str:
    return " / ".join(summary.reasons)


# --- one number, two people ----------------------------------------------------------------------


def test_the_second_person_of_a_number_is_set_aside(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA), result("x", "1")))
    other = write(tmp_path / "b.json", person("2", "77", OTTO), result("y", "2"))
    dry = clinic.bring(other, dry=True)
    summary = clinic.bring(other)
    assert (summary.new, summary.rejected, summary.patients) == (0, 2, 0)
    assert dry.reasons == summary.reasons and OTHER in reasons(summary)
    assert count(clinic, f"{SYSTEM}|77") == [2]


def test_it_is_the_same_after_a_restart_and_in_one_file(clinic: Clinic, tmp_path: Path) -> None:
    both = [person("1", "77", IDA), person("2", "77", OTTO), result("x", "1"), result("y", "2")]
    summary = clinic.bring(write(tmp_path / "a.json", *both))
    assert (summary.new, summary.rejected, summary.patients) == (2, 2, 1)
    assert OTHER in reasons(summary) and "its Patient is set aside" in reasons(summary)
    clinic.ledger.close()
    clinic.ledger = opened(clinic.settings)
    summary = clinic.bring(write(tmp_path / "b.json", *both[1::2]))
    assert (summary.new, summary.rejected) == (0, 2)
    with clinic.ledger.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT traits FROM witnesses").scalars().all()
    assert len(kept) == 1
    assert not any(word in kept[0].lower() for word in ("ida", "lind", "1971", "female", "latin"))


def test_a_patient_registered_by_hand_is_compared_too(clinic: Clinic, tmp_path: Path) -> None:
    now = clinic.ledger.clock()
    named = [
        ("Ida Lindqvist", f"{SYSTEM}|1", None),
        ("Kai Ek", f"{SYSTEM}|2", today(now).replace(year=2019)),
    ]
    new = [
        NewPatient(new_id("pt", now), new_id("ac", now), name, born, False, None, number)
        for name, number, born in named
    ]
    register_patients(LocalClient(clinic.ledger), clinic.hospital.system, new)

    def bring(one: dict[str, Any]) -> Summary:
        return clinic.bring(write(tmp_path / "a.json", one))

    assert "another given name and family name" in reasons(bring(person("1", "1", OTTO)))
    assert bring(person("1", "1", IDA)).new == 1
    kai = {"name": [{"family": "Ek", "given": ["Kai"]}]}
    assert "another birth date" in reasons(
        bring(person("2", "2", kai | {"birthDate": "2012-01-01"}))
    )
    assert bring(person("2", "2", kai | {"birthDate": str(today(now).replace(year=2019))})).new == 1


@pytest.mark.parametrize("number", ["UNKNOWN", "000000", "4.71171E+11", "99999999"])
def test_a_placeholder_brings_nobody_together(clinic: Clinic, tmp_path: Path, number: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.json", person("1", number, IDA), result("x", "1"))
    write(folder / "b.json", person("1", number, OTTO), result("y", "1"))
    hl7(folder / "1.hl7", "ADT^A01", f"{number}^^^North^MR", "Ek^Kai", "", "")
    hl7(folder / "2.hl7", "ADT^A01", f"{number}^^^North^MR", "Holm^Mia", "", "")
    image(folder / "x.dcm", number, "Ek^Kai")
    (folder / "p.csv").write_text(f"no,born\n{number},2001-01-02\n{number},1950-01-02\n")
    mapping = Mapping.parse(
        '[tables.p]\nfiles = "p.csv"\nkind = "patients"\nkey = "no"\nbirth_date = "born"\n'
        'patient = { column = "no", as = "identifier", system = "urn:t" }\n',
        "test",
    )
    dry = clinic.bring(folder, mapping=mapping, dry=True)
    summary = clinic.bring(folder, mapping=mapping)
    assert (summary.found, summary.new, summary.rejected, summary.patients) == (9, 2, 7, 1)
    assert dry.reasons == summary.reasons
    assert not who(clinic, f"{SYSTEM}|{number}", f"North|{number}", f"urn:t|{number}")


def test_a_bare_number_of_another_house_finds_whom_it_says(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", person(UUID, "4711", IDA | _mr("4711"))))
    good = hl7(tmp_path / "1.hl7", "ORU^R01", "4711", "LINDQVIST^IDA", "19710609", "F", "LAB|South")
    assert clinic.bring(good).new == 1
    other = hl7(tmp_path / "2.hl7", "ORU^R01", "4711", "Brandt^Otto", "20010102", "M", "LAB|South")
    assert OTHER in reasons(clinic.bring(other))
    silent = hl7(tmp_path / "3.hl7", "ORU^R01", "4711", "", "", "", "LAB|South")
    assert "no name with a birth date confirms" in reasons(clinic.bring(silent))
    assert (
        clinic.bring(image(tmp_path / "i.dcm", "4711", "Lindqvist^Ida", "19710609", "F")).new == 1
    )
    assert OTHER in reasons(
        clinic.bring(image(tmp_path / "other.dcm", "4711", "Brandt^Otto", "20010102", "M"))
    )
    # Whom a person names at the desk is found by the number; what the image says must not contradict.
    named = image(tmp_path / "named.dcm", "", "Brandt^Otto", "20010102", "M")
    assert OTHER in reasons(clinic.bring(named, patient="4711"))
    (tmp_path / "letter.txt").write_text("Dear Ida")
    assert clinic.bring(tmp_path / "letter.txt", patient="4711").new == 1
    assert count(clinic, f"Patient/{UUID}") == [4]


def _mr(number: str, system: str = SYSTEM) -> dict[str, Any]:
    return {
        "identifier": [{"system": system, "value": number, "type": {"coding": [{"code": "MR"}]}}]
    }


def test_a_number_that_a_family_shares_sets_nobody_aside(clinic: Clinic, tmp_path: Path) -> None:
    def member(own: str, number: str, said: dict[str, Any]) -> dict[str, Any]:
        shared = {"system": "urn:insurance", "value": "F-9", "type": {"coding": [{"code": "SS"}]}}
        return person(own, number, said) | {
            "identifier": [shared, *person(own, number, said)["identifier"]]
        }

    path = write(tmp_path / "a.json", member("1", "1", IDA), member("2", "2", OTTO))
    assert clinic.bring(path).patients == 2
    again = clinic.bring(path)
    assert (again.patients, again.known, again.rejected) == (0, 2, 0)


# --- servers' own ids ----------------------------------------------------------------------------


def test_an_id_counts_within_its_source(clinic: Clinic, tmp_path: Path) -> None:
    nobody: dict[str, Any] = {"identifier": []}
    for source, said in (("lab", IDA), ("ris", OTTO)):
        path = write(tmp_path / f"{source}.json", person("1", "", said) | nobody, result("1", "1"))
        assert (
            clinic.bring(path, source=source).patients,
            clinic.bring(path, source=source).known,
        ) == (1, 2)
        based = write(
            tmp_path / "b.json",
            person("1", "", said) | nobody,
            base=f"https://{source}.example/fhir",
        )
        assert clinic.bring(based).patients == 1
    assert len(clinic.charts()) == 4
    # Where nobody names the source, only name and birth date say who Patient/1 is.
    path = write(tmp_path / "c.json", person("1", "", IDA) | nobody, result("1", "1"))
    assert (clinic.bring(path).patients, clinic.bring(path).known) == (1, 2)
    other = write(tmp_path / "d.json", person("1", "", OTTO) | nobody, result("2", "1"))
    assert OTHER in reasons(clinic.bring(other))
    silent = write(tmp_path / "e.json", {"resourceType": "Patient", "id": "9"}, result("3", "9"))
    dry, real = clinic.bring(silent, dry=True), clinic.bring(silent)
    assert dry.reasons == real.reasons and "--source" in reasons(real)
    assert len(clinic.charts()) == 5


def test_one_name_of_two_systems_is_two_results(clinic: Clinic, tmp_path: Path) -> None:
    for source, value in (("lab", 1), ("ris", 2)):
        path = write(tmp_path / f"{source}.json", person(UUID, "5", IDA), result("1", UUID, value))
        assert clinic.bring(path, source=source).amended == 0
        assert clinic.bring(path, source=source).known == 2
    held = b"".join(clinic.contents(who(clinic, f"{SYSTEM}|5")[0]))
    assert held.count(b'"valueInteger": 1') == held.count(b'"valueInteger": 2') == 1


def test_two_people_under_one_id_in_a_file(clinic: Clinic, tmp_path: Path) -> None:
    both = [person("1", "1", IDA), person("1", "2", OTTO), result("x", "1")]
    summary = clinic.bring(write(tmp_path / "a.json", *both))
    assert (summary.new, summary.rejected) == (0, 3)
    assert "two people in this file" in reasons(summary)


@pytest.mark.parametrize("how", ["id", "server", "source", "number"])
def test_what_older_programs_called_a_patient_still_counts(
    clinic: Clinic, tmp_path: Path, how: str
) -> None:
    """Who is known by a name that counts no more is not registered a second time."""
    ledger, hospital = clinic.ledger, clinic.hospital.hospital
    now = ledger.clock()
    old = NewPatient(new_id("pt", now), new_id("ac", now), "Ida Lindqvist", None, False, None)
    register_patients(LocalClient(ledger), clinic.hospital.system, [old])
    ledger.identifiers.reserve(hospital, {"|9" if how == "number" else "Patient/7": old.patient})
    with_number = {"identifier": [{"value": "9"}, {"system": "urn:new", "value": "5"}]}
    body = person("7", "", IDA) | (with_number if how == "number" else {"identifier": []})
    path = write(tmp_path / "a.json", body, base="https://x.example/r4" if how == "server" else "")
    options = {"source": "KIS"} if how == "source" else {}
    assert clinic.bring(path, **options).rejected == 1  # nothing confirms that it is her
    name = ledger.identifiers.imported.name(hospital, old.patient, "Patient/7")
    digest = ledger.identifiers.imported.digest(
        old.patient, sha256(json.dumps(body).encode()).digest()
    )
    ledger.identifiers.imported.keep(old.patient, {name: Kept(new_id("rc", now), 1, digest)})
    for _ in range(2):
        summary = clinic.bring(path, **options)
        assert (summary.rejected, summary.patients, summary.patients_known) == (0, 0, 1)
    assert len(clinic.charts()) == 1


# --- names that come and go ----------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, -1])
def test_a_new_number_is_kept_whichever_stands_first(
    clinic: Clinic, tmp_path: Path, order: int
) -> None:
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA)))
    both = [{"system": SYSTEM, "value": "77"}, {"system": "urn:new", "value": "N-1"}][::order]
    summary = clinic.bring(write(tmp_path / "b.json", person("1", "", IDA) | {"identifier": both}))
    assert (summary.patients, summary.patients_known) == (0, 1)
    clinic.bring(write(tmp_path / "c.json", person("1", "N-1", IDA, "urn:new"), result("x", "1")))
    assert len(clinic.charts()) == 1
    assert len(who(clinic, f"{SYSTEM}|77", "urn:new|N-1")) == 1


def test_who_marries_stays_who_she_is(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA)))
    married = IDA | {"name": [{"family": "Holm", "given": ["Ida", "Sophie"]}]}
    assert clinic.bring(write(tmp_path / "b.json", person("1", "77", married))).amended == 1
    for family in ("Holm", "Lindqvist"):
        message = hl7(
            tmp_path / f"{family}.hl7", "ORU^R01", f"77^^^{SYSTEM}", f"{family}^Ida", "", ""
        )
        assert clinic.bring(message).new == 1


def test_a_correction_by_hand_goes_before_the_witness(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA)))
    born = today(clinic.ledger.clock()).replace(year=2018, month=3, day=4)
    right = write(tmp_path / "b.json", person("1", "77", IDA | {"birthDate": str(born)}))
    assert "another birth date" in reasons(clinic.bring(right))
    (patient,) = who(clinic, f"{SYSTEM}|77")
    correct_patient(LocalClient(clinic.ledger), clinic.hospital.system, patient, born, False)
    assert clinic.bring(right).amended == 1
    assert "another birth date" in reasons(clinic.bring(tmp_path / "a.json"))


# --- others within ---------------------------------------------------------------------------------


def test_resources_within_resources_are_nobodys(clinic: Clinic, tmp_path: Path) -> None:
    inner = {"resourceType": "Bundle", "id": "b", "type": "collection",
             "entry": [{"resource": person("2", "78", OTTO)}]}  # fmt: skip
    parameters = {"resourceType": "Parameters", "id": "p",
                  "parameter": [{"name": "r", "resource": person("2", "78", OTTO)}]}  # fmt: skip
    contained = {"resourceType": "Basic", "id": "c", "contained": [person("z", "78", OTTO)]}
    path = write(tmp_path / "a.json", person("1", "77", IDA), inner, parameters, contained)
    summary = clinic.bring(path)
    assert (summary.new, summary.rejected) == (1, 3)
    assert count(clinic, f"{SYSTEM}|77") == [1]


CDA = b'<?xml version="1.0"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget/></ClinicalDocument>'
LINES = b'{"resourceType":"Patient","id":"1"}\n{"resourceType":"Patient","id":"2"}\n'


def test_files_that_name_patients_are_filed_under_nobody(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", person(UUID, "77", IDA)))
    folder = tmp_path / "in"
    folder.mkdir()
    texts = {
        "export.ndjson": LINES, "export.json": LINES, "export.dat": LINES, "letter.xml": CDA,
        "wide.xml": b"\xff\xfe" + CDA.decode().encode("utf-16-le"),
        "fhir.xml": b'<Patient xmlns="http://hl7.org/fhir"/>', "one.txt": b'{"resourceType":"Patient"}',
        "packed.gz": gzip.compress(LINES), "x.ldt": b"0138000020\r\n",
    }  # fmt: skip
    for name, data in texts.items():
        (folder / name).write_bytes(data)
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
        archive.writestr("doc.xml", CDA)
    hl7(folder / "m.hl7", "ORU^R01", "1^^^X", "Brandt^Otto", "", "")
    (folder / "manifest.csv").write_text(
        f"file,patient,category,clinical_date,title\nm.hl7,{UUID},,,\n"
    )
    (folder / "scan.pdf").write_bytes(b"%PDF-1.4 a letter")
    summary = clinic.bring(folder, patient=UUID)
    assert (summary.found, summary.new, summary.references) == (13, 1, 1)
    told = reasons(summary)
    for word in ("NDJSON", "CDA", "FHIR XML", "PID", "xDT", ".json"):
        assert word in told
    assert count(clinic, f"Patient/{UUID}") == [2]


# --- moved -----------------------------------------------------------------------------------------


def test_a_result_that_moved_is_listed_until_somebody_decides(
    clinic: Clinic, tmp_path: Path
) -> None:
    people = [person("1", "1", IDA), person("2", "2", OTTO)]
    clinic.bring(write(tmp_path / "a.json", *people, result("x", "1")))
    path = write(tmp_path / "b.json", *people, result("x", "2"))
    for number, new in enumerate((1, 0)):
        summary = clinic.bring(path, report=tmp_path / f"r{number}")
        assert (summary.new, summary.moved) == (new, 1)
        (line,) = map(
            json.loads, (tmp_path / f"r{number}" / "review.jsonl").read_text().splitlines()
        )
        assert line["what"] == "was of another patient" and line["position"] == "entry[2]"
        (was,) = who(clinic, f"{SYSTEM}|1")
        assert (line["was"], [line["patient"]]) == (was, who(clinic, f"{SYSTEM}|2"))
        assert line["record"] in {record.record for record in find_records(clinic.ledger, was)}
    retract(LocalClient(clinic.ledger), clinic.hospital.system, line["record"], "TREAT")
    assert clinic.bring(path).moved == 0


# --- messages without an authority ---------------------------------------------------------------


@pytest.mark.parametrize("field", ["4711", "4711^^^^MR"])
def test_an_admission_without_authority(clinic: Clinic, tmp_path: Path, field: str) -> None:
    path = hl7(tmp_path / "1.hl7", "ADT^A01", field, "Lindqvist^Ida", "19710609", "F")
    dry, real, again = (clinic.bring(path, dry=True), clinic.bring(path), clinic.bring(path))
    assert [(s.new, s.known, s.patients) for s in (dry, real, again)] == [
        (1, 0, 1),
        (1, 0, 1),
        (0, 1, 0),
    ]
    other = hl7(tmp_path / "2.hl7", "ADT^A01", field, "Brandt^Otto", "20010102", "M")
    assert OTHER in reasons(clinic.bring(other))
    nowhere = hl7(tmp_path / "3.hl7", "ADT^A01", field, "Holm^Mia", "19800101", "F", "|")
    dry, real = clinic.bring(nowhere, dry=True), clinic.bring(nowhere)
    assert dry.reasons == real.reasons and "an identifier with a system" in reasons(real)
    assert clinic.bring(nowhere, source="KIS of the south").patients == 1


def test_a_table_of_bare_numbers_needs_its_source(clinic: Clinic, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("no,born\n5,2001-01-02\n")
    text = ('[tables.p]\nfiles = "p.csv"\nkind = "patients"\nkey = "no"\nbirth_date = "born"\n'
            'patient = { column = "no", as = "number" }\n')  # fmt: skip
    mapping = Mapping.parse(text, "test")
    dry = clinic.bring(tmp_path / "p.csv", mapping=mapping, dry=True)
    real = clinic.bring(tmp_path / "p.csv", mapping=mapping)
    assert dry.reasons == real.reasons and "--source" in reasons(real)
    assert clinic.bring(tmp_path / "p.csv", mapping=mapping, source="KIS").patients == 1
    assert clinic.bring(tmp_path / "p.csv", mapping=mapping, source="KIS").known == 1


# --- births and deaths -----------------------------------------------------------------------------


def row_of(clinic: Clinic, name: str) -> Patient:
    (patient,) = who(clinic, name)
    found = clinic.ledger.row(Patient, patient)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "written", ["2019", "2019-03", "04/05/2019", "2019-02-30", "9999-12-31", "", None]
)
def test_a_child_is_never_of_age_by_a_doubtful_date(
    clinic: Clinic, tmp_path: Path, written: str | None
) -> None:
    said = {"name": IDA["name"]} | ({} if written is None else {"birthDate": written})
    path = write(tmp_path / "a.json", person("1", "1", said), person("2", "2", IDA))
    summary = clinic.bring(path, report=tmp_path / "report")
    assert (summary.rejected, summary.patients, summary.doubts) == (0, 2, 1)
    (line,) = map(json.loads, (tmp_path / "report" / "corrections.jsonl").read_text().splitlines())
    assert (line["position"], line["before"]) == ("entry[0]", written or "")
    assert "patient correct" in line["what"]
    assert row_of(clinic, f"{SYSTEM}|1").adult_from > clinic.ledger.clock()
    assert not row_of(clinic, f"{SYSTEM}|2").adult_from
    patient = row_of(clinic, f"{SYSTEM}|1").patient
    correct_patient(LocalClient(clinic.ledger), clinic.hospital.system, patient, None, False)
    assert not row_of(clinic, f"{SYSTEM}|1").adult_from
    assert clinic.bring(path).known == 2


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_days_are_the_hospitals(tmp_path: Path, zone: str) -> None:
    """Of the zones one is always on another day than UTC: there, too, a child is born, and one of unknown age known."""
    clinic = Clinic.found(tmp_path, zone)
    born = day_in(zone, clinic.ledger.clock()).isoformat()
    said = {"name": IDA["name"]}
    path = write(
        tmp_path / "a.json", person("1", "1", said), person("2", "2", said | {"birthDate": born})
    )
    summary = clinic.bring(path)
    clinic.ledger.close()
    assert (summary.rejected, summary.patients) == (0, 2)


def table(tmp_path: Path, rows: str) -> tuple[Path, Mapping]:
    text = ('[tables.p]\nfiles = "p.csv"\nkind = "patients"\nkey = ["no", "at"]\nbirth_date = "born"\n'
            'death_date = "died"\nsex = "sex"\nname = ["name"]\n'
            'patient = { column = "no", as = "identifier", system = "urn:t" }\n')  # fmt: skip
    path = tmp_path / "p.csv"
    path.write_text("no,at,name,sex,born,died\n" + rows)
    return path, Mapping.parse(text, "test")


def test_death_is_a_date_that_reads_in_any_row(clinic: Clinic, tmp_path: Path) -> None:
    rows = ("1,a,Ida,f,1971,\n1,b,Ida,f,1971-06-09,2020-01-02\n2,a,Kai,m,1950-01-02,NULL\n"
            "3,a,Mia,f,1950-01-02,0000-00-00\n4,a,Jo,,1950-01-02,N\n5,a,Per,m,1950-01-02,9999-12-31\n")  # fmt: skip
    path, mapping = table(tmp_path, rows)
    summary = clinic.bring(path, mapping=mapping)
    assert (summary.rejected, summary.patients, summary.doubts) == (0, 5, 3)
    dead = [bool(row_of(clinic, f"urn:t|{n}").deceased) for n in range(1, 6)]
    assert dead == [True, False, False, False, False]
    assert not any(row_of(clinic, f"urn:t|{n}").adult_from for n in range(1, 6))


def test_a_row_of_somebody_else_is_set_aside(clinic: Clinic, tmp_path: Path) -> None:
    path, mapping = table(
        tmp_path, "1,a,Ida,f,1971-06-09,\n1,b,Otto,m,2001-01-02,\n1,c,Ida,f,1971,\n"
    )
    summary = clinic.bring(path, mapping=mapping)
    assert (summary.new, summary.rejected, summary.patients) == (2, 1, 1)
    assert "another name, birth date and sex" in reasons(summary)


def test_a_death_that_is_told_later_corrects_the_registration(
    clinic: Clinic, tmp_path: Path
) -> None:
    child = IDA | {"birthDate": "2019-05-06"}
    clinic.bring(write(tmp_path / "a.json", person("1", "1", child)))
    before = row_of(clinic, f"{SYSTEM}|1")
    path = write(tmp_path / "b.json", person("1", "1", child | {"deceasedDateTime": "2024-01-02"}))
    clinic.bring(path)
    after = row_of(clinic, f"{SYSTEM}|1")
    assert after.deceased and not before.deceased
    assert (after.teen_from, after.adult_from) == (before.teen_from, before.adult_from)
    size = clinic.ledger.head().size
    clinic.bring(path)
    assert clinic.ledger.head().size == size


def test_doubtful_dates_of_rows_and_resources_are_told(clinic: Clinic, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "r.csv").write_text("no,day\n1,02/03/2020\n1,NULL\n1,2020-01-02\n")
    text = ('[tables.r]\nfiles = "r.csv"\nkind = "rows"\nkey = "day"\ndate = "day"\ncategory = "laboratory"\n'
            f'patient = {{ column = "no", as = "identifier", system = "{SYSTEM}" }}\n')  # fmt: skip
    dated = result("x", "1") | {"effectiveDateTime": "03/04/2020"}
    write(folder / "a.json", person("1", "1", IDA), dated)
    summary = clinic.bring(folder, mapping=Mapping.parse(text, "test"))
    assert (summary.rejected, summary.new, summary.doubts) == (0, 5, 2)


# --- where it is kept --------------------------------------------------------------------------------


def test_both_engines_keep_witnesses_and_homes(settings: Settings) -> None:
    create_ledger(settings, "heartwood.example/whose")
    ledger = opened(settings)
    try:
        kept, homes = ledger.identifiers, ledger.identifiers.imported
        assert kept.witness("pt_1") is None
        kept.keep_witnesses({"pt_1": Witness(3, "a"), "pt_2": Witness(4, "b")})
        kept.keep_witnesses({"pt_1": Witness(2**40, "c")})
        assert (kept.witness("pt_1"), kept.witness("pt_2")) == (
            Witness(2**40, "c"),
            Witness(4, "b"),
        )
        assert kept.trait("pt_1", "sex", "f") != kept.trait("pt_2", "sex", "f")
        names = [f"Observation/{n}" for n in range(1_200)]
        homes.settle("hs_1", "pt_1", names)
        homes.settle("hs_1", "pt_2", names[-1:])
        homes.settle("hs_1", "pt_2", names[-1:])
        found = homes.homes("hs_1", [*names, "Observation/new"])
        assert len(found) == 1_200 and found[names[0]] == {"pt_1"}
        assert found[names[-1]] == {"pt_1", "pt_2"} and not homes.homes("hs_2", names)
        kept.forget("pt_1")
        homes.forget("pt_1")
        assert kept.witness("pt_1") is None and set(homes.homes("hs_1", names)) == {names[-1]}
    finally:
        ledger.close()
