"""What a hostile or a careless source sends: nobody's chart, mark or time is lost to it."""

import bz2
import gzip
import json
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from client.local import LocalClient
from client.registering import NewPatient, register_patients
from identity.actors import new_id
from imports.contents import MEMBERS_READ
from imports.fhir import FhirError, Unreadable, scan_entries
from imports.labels import Labels
from imports.mapping import Mapping
from imports.media import sniff
from imports.report import CORRECTIONS, REJECTS
from ledger.directory import Patient
from records.opening import find_records
from tests.integration.imports.test_whose import (
    IDA,
    OTTO,
    SYSTEM,
    UUID,
    count,
    hl7,
    image,
    person,
    reasons,
    result,
    who,
    write,
)
from tests.support.clinic import Clinic

IDA_77 = f"{SYSTEM}|77"


def rejected(path: Path, file: str, original: str | None = None, **members: str) -> Path:
    """A list of rejects with one line."""
    line = {"file": file, "position": "", "reason": "", "original": original, **members}
    path.write_text(json.dumps(line) + "\n")
    return path


# --- lists of rejects ----------------------------------------------------------------------------


def test_a_list_that_lies_in_a_folder_leads_to_no_file(clinic: Clinic, tmp_path: Path) -> None:
    """Whoever delivers a folder could otherwise have any file of the machine put into a chart."""
    folder, secret = tmp_path / "in", tmp_path / "secret.txt"
    folder.mkdir()
    secret.write_text("nothing of the folder")
    write(folder / "a.json", person("1", "77", IDA))
    for number, name in enumerate((str(secret), "../secret.txt")):
        rejected(folder / f"{number}.jsonl", name, patient=IDA_77)
    summary = clinic.bring(folder)
    assert (summary.new, summary.rejected) == (1, 2)
    assert "name it itself" in reasons(summary)
    assert count(clinic, IDA_77) == [1]
    summary = clinic.bring(folder / "0.jsonl")
    assert (summary.new, count(clinic, IDA_77)) == (1, [2])


def test_a_report_beside_the_data_decides_nothing(clinic: Clinic, tmp_path: Path) -> None:
    """What was set aside stays so, and lists that hold many patients are filed under none."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate("ab"):
        write(folder / f"{name}.json", person(UUID, "77", IDA), result("x", UUID, number))
    odd = {**result("y", UUID), "effectiveDateTime": "01/31/2020"}
    write(folder / "c.json", odd)
    first = clinic.bring(folder, report=folder / "report")
    assert {path.name for path in (folder / "report").iterdir()} == {REJECTS, CORRECTIONS}
    summary = clinic.bring(folder, patient=IDA_77)
    assert (summary.new, summary.amended) == (0, 0)
    assert summary.rejected == first.rejected + 2


def charted(clinic: Clinic, *names: str) -> list[Any]:
    """The records of the one patient who bears the names."""
    (patient,) = who(clinic, *names)
    return find_records(clinic.ledger, patient)


# --- whose a resource is -------------------------------------------------------------------------

OTTO_2 = {"reference": "Patient/2"}


def of_nobody_here() -> list[dict[str, Any]]:
    """Resources beside one Patient, each of which is, or may be, somebody else's."""
    observation = {"resourceType": "Observation", "id": "o", "valueInteger": 1}
    ida = {"reference": "Patient/1"}
    inner = {"resourceType": "Observation", "id": "i"}
    named = {"type": "Patient", "identifier": {"system": SYSTEM, "value": "78"}}
    return [
        observation | {"subject": "Patient/2"},
        observation | {"subject": {"display": "Otto Brandt"}},
        observation | {"subject": {"reference": {"value": "Patient/2"}}},
        observation | {"subject": {}},
        observation | {"subject": ida | {"identifier": {"system": SYSTEM, "value": "78"}}},
        observation | {"subject": [ida, "Patient/2"]},
        observation | {"subject": ida, "contained": [inner | {"subject": OTTO_2}]},
        observation | {"subject": ida, "contained": [inner | {"subject": "Patient/2"}]},
        observation | {"subject": ida, "contained": [{"resourceType": "Patient", **OTTO}]},
        observation | {"encounter": {"reference": "Encounter/of-otto"}},
        {"resourceType": "Provenance", "id": "p", "target": [{"reference": "Observation/of-otto"}]},
        {"resourceType": "Group", "id": "g", "member": [{"entity": ida}, {"entity": OTTO_2}]},
        {"resourceType": "Group", "id": "g", "member": [{"entity": named}]},
        {"resourceType": "ResearchSubject", "id": "r", "individual": OTTO_2},
        {"resourceType": "Person", "id": "p", "link": [{"target": OTTO_2}]},
        {"resourceType": "Appointment", "id": "a", "participant": [{"actor": OTTO_2}]},
    ]


@pytest.mark.parametrize("resource", of_nobody_here(), ids=range(len(of_nobody_here())))
def test_what_may_be_anothers_is_not_the_only_patients(
    clinic: Clinic, tmp_path: Path, resource: dict[str, Any]
) -> None:
    summary = clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA), resource))
    assert (summary.new, summary.rejected) == (1, 1)


def test_what_a_resource_contains_may_be_its_own_patients(clinic: Clinic, tmp_path: Path) -> None:
    ida = {"resourceType": "Patient", "id": "p", "name": IDA["name"], "birthDate": "1971"}
    inner = {"resourceType": "Observation", "id": "i", "subject": {"reference": "#p"}}
    outer = {
        **result("x", "1"),
        "contained": [ida, inner, {**inner, "subject": {"reference": "Patient/1"}}],
    }
    outer["subject"] |= {"identifier": {"system": SYSTEM, "value": "77"}}
    device = {"resourceType": "Device", "id": "d", "owner": {"reference": "Organization/1"}}
    performed = {"resourceType": "Basic", "id": "b", "author": {"reference": "Patient/1"}}
    summary = clinic.bring(
        write(tmp_path / "a.json", person("1", "77", IDA), outer, device, performed)
    )
    assert (summary.new, summary.rejected) == (4, 0)


# --- numbers that families share -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SN", "MB", "GI", "SS"])
def test_a_number_of_a_family_alone_finds_nobody(clinic: Clinic, tmp_path: Path, kind: str) -> None:
    """Of a child who has no name yet least of all; who gives name and birth date again is found."""
    shared = {"type": {"coding": [{"code": kind}]}, "system": "urn:fund", "value": "77A"}

    def member(own: str, said: dict[str, Any]) -> dict[str, Any]:
        return {"resourceType": "Patient", "id": own, "identifier": [shared], **said}

    clinic.bring(write(tmp_path / "a.json", member("1", IDA), result("x", "1")))
    newborn = {"name": [{"given": ["Baby"], "family": "Lindqvist"}], "gender": "female"}
    summary = clinic.bring(write(tmp_path / "b.json", member("2", newborn), result("y", "2")))
    assert (summary.new, summary.rejected) == (0, 2)
    summary = clinic.bring(write(tmp_path / "c.json", member("3", IDA), result("z", "3")))
    assert (summary.new, summary.patients, len(clinic.charts())) == (2, 0, 1)


def test_a_number_of_a_family_in_a_message_names_nobody(clinic: Clinic, tmp_path: Path) -> None:
    for name, given, born in (("a", "Ida", "19710609"), ("b", "Baby", "")):
        path = tmp_path / f"{name}.hl7"
        summary = clinic.bring(
            hl7(path, "ADT^A01", "77A^^^FUND^SN", f"Lindqvist^{given}", born, "F")
        )
        assert (summary.new, summary.rejected) == (0, 1)
    assert not clinic.charts()


# --- marks that stand elsewhere ------------------------------------------------------------------

V = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
HIV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}
DS4P = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


@pytest.mark.parametrize("link", ["attachment", "securityContext"])
def test_content_is_as_guarded_as_what_it_belongs_to(
    clinic: Clinic, tmp_path: Path, link: str
) -> None:
    """A letter marked as very restricted: its text is a resource of its own, which says nothing."""
    ida = {"reference": "Patient/1"}
    visit = {"resourceType": "Encounter", "id": "e", "subject": ida}
    letter: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": "d",
        "subject": ida,
        "context": {"encounter": [{"reference": "Encounter/e"}]},
        "securityLabel": [{"coding": [V, HIV]}],
    }
    text: dict[str, Any] = {"resourceType": "Binary", "id": "b", "data": "bGV0dGVy"}
    if link == "attachment":
        letter["content"] = [{"attachment": {"url": "Binary/b"}}]
    else:
        text["securityContext"] = {"reference": "DocumentReference/d"}
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA), visit, letter, text))
    found = {row.category: row for row in charted(clinic, IDA_77)}
    assert found["encounter"].confidentiality == "normal"
    for category in ("document", "summary"):
        assert (found[category].confidentiality, len(found[category].labels)) == ("restricted", 1)


@pytest.mark.parametrize(
    "members",
    [
        {"note": [{"text": "x", "extension": [{"url": DS4P, "valueCoding": V}]}]},
        {"component": [{"securityLabel": [V]}]},
    ],
)
def test_a_mark_of_a_part_guards_the_whole(
    clinic: Clinic, tmp_path: Path, members: dict[str, Any]
) -> None:
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA), result("x", "1") | members))
    levels = {row.category: row.confidentiality for row in charted(clinic, IDA_77)}
    assert levels == {"demographics": "normal", "summary": "restricted"}


# --- births and deaths ---------------------------------------------------------------------------


def registered(clinic: Clinic, *names: str) -> Patient:
    """Who bears the names, as the log has it."""
    (patient,) = who(clinic, *names)
    row = clinic.ledger.row(Patient, patient)
    assert row is not None
    return row


def test_of_two_birth_dates_the_later_gives_the_rights(clinic: Clinic, tmp_path: Path) -> None:
    """Day and month exchanged in one of two resources, or rows: whichever comes first."""
    year = datetime.now(UTC).year - 17
    days = (f"{year}-01-12", f"{year}-12-01")
    for own, order in (("1", days), ("2", days[::-1])):
        said = [{**IDA, "birthDate": day} for day in order]
        twice = [person(f"{own}{n}", f"7{own}", one) for n, one in enumerate(said)]
        assert clinic.bring(write(tmp_path / f"{own}.json", *twice)).doubts == 1
        rows = "".join(f"8{own},Ida Lindqvist,{day}\n" for day in (*order, order[0]))
        (tmp_path / f"p{own}.csv").write_text("nr,name,born\n" + rows)
        assert clinic.bring(tmp_path / f"p{own}.csv", mapping=Mapping.parse(PEOPLE, "")).doubts == 1
    numbers = [f"{SYSTEM}|{number}" for number in ("71", "72", "81", "82")]
    of_age = {registered(clinic, number).adult_from for number in numbers}
    assert {datetime.fromtimestamp(at / 1000, UTC).month for at in of_age} == {12}


PEOPLE = f"""
[tables.p]
files = "p*.csv"
kind = "patients"
patient = {{ column = "nr", as = "identifier", system = "{SYSTEM}" }}
key = "nr"
name = "name"
birth_date = "born"
"""


@pytest.mark.parametrize("born", ["2019-05-06", "2019", "2019-05"])
def test_a_child_is_not_who_was_registered_as_of_age(
    clinic: Clinic, tmp_path: Path, born: str
) -> None:
    """By hand, or by a program that kept no witness: a father of the same number, or a wrong registration."""
    now = clinic.ledger.clock()
    row = NewPatient(new_id("pt", now), new_id("ac", now), "", None, False, None, IDA_77)
    register_patients(LocalClient(clinic.ledger), clinic.hospital.admin, [row])
    child = person("1", "77", {**IDA, "birthDate": born})
    summary = clinic.bring(write(tmp_path / "a.json", child, result("x", "1")))
    assert (summary.new, summary.rejected) == (0, 2) and "another birth date" in reasons(summary)
    grown = person("1", "77", {**IDA, "birthDate": "1971"})
    assert clinic.bring(write(tmp_path / "b.json", grown, result("x", "1"))).new == 2


def test_a_flag_of_death_that_is_not_understood_is_told(clinic: Clinic, tmp_path: Path) -> None:
    odd = person("1", "77", IDA) | {"deceasedBoolean": "true"}
    assert clinic.bring(write(tmp_path / "a.json", odd)).doubts == 1
    path = hl7(tmp_path / "a.hl7", "ADT^A01", "5^^^N", "Holm^Eva", "19710203", "F" + "|" * 22 + "1")
    assert clinic.bring(path).doubts == 1
    assert [registered(clinic, name).deceased for name in (IDA_77, "N|5")] == [0, 0]


# --- time ----------------------------------------------------------------------------------------


def test_comments_before_no_html_take_no_time() -> None:
    """Each more doubled the time; 40 took hours."""
    assert sniff(b"<!---->" * 500 + b"x", "letter.html") == "text/html"
    assert sniff(b"<!---->" * 500 + b"x", "letter") == "text/plain"
    assert sniff(b"<!-- <b> -->\n<!---->\n<HTML>", "letter") == "text/html"


def test_a_key_that_stands_twice_among_many_is_found_at_once() -> None:
    keys = ",".join(f'"k{number}":1' for number in range(200_000))
    text = f'{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{{{keys},"k7":2}}}}]}}'
    (entry,) = scan_entries(text.encode())[1]
    assert isinstance(entry, Unreadable) and "'k7' twice" in entry.reason


def test_the_byte_of_each_entry_is_counted_from_the_one_before() -> None:
    start, one = (
        '{"resourceType":"Bundle","type":"batch","entry":["ä",',
        '{"request": {"method": "GET"}}  ,',
    )
    found = scan_entries(f"{start}{one * 100_000}1]}}".encode())[1]
    last = len(start.encode()) + len(one) * 100_000
    assert isinstance(found[-1], Unreadable) and f"byte {last}:" in found[-1].reason


def test_entries_that_hold_nothing_take_no_memory() -> None:
    """Each took two hundred times its length."""
    for nothing in ("1", "{}", "null"):
        text = f'{{"resourceType":"Bundle","type":"batch","entry":[{nothing}{f",{nothing}" * 50_000}]}}'
        with pytest.raises(FhirError, match="expected resources"):
            scan_entries(text.encode())


# --- what is packed ------------------------------------------------------------------------------


def packed(folder: Path) -> Iterator[Path]:
    """Archives of all kinds with what another patient is named in."""
    folder.mkdir()
    lines = "".join(json.dumps(one) + "\n" for one in (person("2", "78", OTTO), result("x", "2")))
    scan = image(folder / "i.dcm", "78", "Brandt^Otto", "20010102", "M")
    inner = folder / "lines"
    inner.write_text(lines)
    (folder / "i.dcm.gz").write_bytes(gzip.compress(scan.read_bytes()))
    (folder / "lines.bz2").write_bytes(bz2.compress(lines.encode()))
    (folder / "lines.xz").write_bytes(lzma.compress(lines.encode()))
    with tarfile.open(folder / "lines.tar", "w") as files:
        files.add(inner, "lines")
    tar = (folder / "lines.tar").read_bytes()
    (folder / "lines.tgz").write_bytes(gzip.compress(tar))
    (folder / "lines.tar.bz2").write_bytes(bz2.compress(tar))
    for name, members in (
        ("study.zip", {"i.dcm": scan.read_bytes()}),
        ("many.zip", {str(n): b"text" for n in range(MEMBERS_READ)} | {"lines": lines.encode()}),
    ):
        with zipfile.ZipFile(folder / name, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
    with zipfile.ZipFile(folder / "twice.zip", "w") as archive:
        archive.write(folder / "study.zip", "study.zip")
    (folder / "late.txt").write_text(
        json.dumps({"text": {"div": "x" * 9_000}, "resourceType": "Patient"})
    )
    scan.unlink()
    inner.unlink()
    yield from sorted(folder.iterdir())


def test_what_is_packed_and_names_another_is_filed_under_nobody(
    clinic: Clinic, tmp_path: Path
) -> None:
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA)))
    paths = list(packed(tmp_path / "in"))
    summary = clinic.bring(*paths, patient=IDA_77)
    assert (summary.new, summary.rejected) == (0, len(paths))


def test_what_is_packed_and_names_nobody_is_filed(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA)))
    letter, folder = b"Dear colleague", tmp_path / "in"
    folder.mkdir()
    (folder / "letter.gz").write_bytes(gzip.compress(letter))
    (folder / "broken.bz2").write_bytes(b"BZh9 is no archive")
    (folder / "letter.json.txt").write_text("[" + " " * 9_000 + "]")
    with zipfile.ZipFile(folder / "letter.docx", "w") as archive:
        for name in ("[Content_Types].xml", *map(str, range(MEMBERS_READ))):
            archive.writestr(name, letter)
    with zipfile.ZipFile(folder / "letters.zip", "w") as archive:
        archive.write(folder / "letter.docx", "letter.docx")
    with tarfile.open(folder / "letter.tar", "w") as files:
        files.add(folder / "letter.docx", "letter.docx")
    summary = clinic.bring(folder, patient=IDA_77)
    assert (summary.new, summary.rejected) == (6, 0), reasons(summary)


# --- messages ------------------------------------------------------------------------------------


def message(path: Path, kind: str, *segments: str) -> Path:
    """A message about Ida, of the sender KIS."""
    head = f"MSH|^~\\&|KIS|North|||20200102||{kind}|{path.stem}|P|2.5"
    ida = "PID|1||77^^^LAB||Lindqvist^Ida||19710609|F"
    path.write_text("\r".join((head, ida, *segments)) + "\r", newline="")
    return path


@pytest.mark.parametrize(
    "segment",
    ["PV2|1||F20.0^x^I10", "AL1|1||F20.0^x^I10", "IAM|1||F20.0^x^I10", "DRG|F20.0^x^I10",
     f"OBR|1||1|718-7^Hb^LN|||20200102{'|' * 24}F20.0^x^I10"],
)  # fmt: skip
def test_the_reason_of_a_visit_or_an_order_is_as_sensitive_as_a_diagnosis(
    clinic: Clinic, tmp_path: Path, segment: str
) -> None:
    clinic.bring(message(tmp_path / "a.hl7", "ADT^A01", segment))
    (row,) = charted(clinic, "LAB|77")
    assert len(row.labels) == 1 and row.sensitive


@pytest.mark.parametrize("segment", ["MRG|78", "MRG||78", "MRG||||78"])
def test_a_prior_patient_is_one_in_whichever_field(
    clinic: Clinic, tmp_path: Path, segment: str
) -> None:
    summary = clinic.bring(message(tmp_path / "a.hl7", "ADT^A08", segment))
    assert (summary.new, summary.rejected) == (0, 1) and not clinic.charts()


def test_a_new_table_of_labels_reaches_results_that_are_known(
    clinic: Clinic, tmp_path: Path
) -> None:
    order = ("OBR|1||1|XX^x^KIS|||20200102", "OBX|1|NM|718-7^Hb^LN||14")
    clinic.bring(message(tmp_path / "a.hl7", "ADT^A28"))
    results = message(tmp_path / "o.hl7", "ORU^R01", *order)
    clinic.bring(results)
    labels = Labels.parse("system,code,label,comment\nKIS,XX,HIV,our own\n", "labels")
    summary = clinic.bring(results, labels=labels)
    assert (summary.amended, summary.amendments) == (1, 1)
    (row,) = [one for one in charted(clinic, "LAB|77") if one.category == "laboratory"]
    assert (len(row.versions), len(row.labels)) == (2, 1)
    assert clinic.bring(results, labels=labels).known == 1


# --- what is told --------------------------------------------------------------------------------


def test_what_a_manifest_names_and_nobody_gives_is_told(clinic: Clinic, tmp_path: Path) -> None:
    """A manifest that is named alone brings none of its files; nor does it bring a hidden one."""
    clinic.bring(write(tmp_path / "a.json", person("1", "77", IDA)))
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("letter.txt", ".letter.txt"):
        (folder / name).write_text("Dear colleague")
    manifest = folder / "manifest.csv"
    manifest.write_text(
        "file,patient,category,clinical_date,title\n"
        f"letter.txt,{IDA_77},,,\n.letter.txt,{IDA_77},,,\n"
    )
    summary = clinic.bring(manifest)
    assert (summary.new, summary.references, summary.rejected) == (0, 1, 2)
    assert "not among what is imported" in reasons(summary)
    summary = clinic.bring(folder)
    assert (summary.new, summary.references, summary.rejected) == (1, 1, 1)


def test_a_reject_that_utf_8_cannot_write_is_one_reject(clinic: Clinic, tmp_path: Path) -> None:
    odd = [
        rejected(tmp_path / "a.jsonl", "a.json", '{"resourceType": "\ud800"}'),
        rejected(tmp_path / "b.jsonl", "a\0b", None, patient=IDA_77),
        rejected(tmp_path / "c.jsonl", "patients.csv", "row", header="\ud800"),
        rejected(tmp_path / "d.jsonl", "a\udcfc", None, patient="\ud800"),
    ]
    summary = clinic.bring(*odd, write(tmp_path / "z.json", person("1", "77", IDA)))
    assert (summary.found, summary.new, summary.rejected) == (5, 1, 4)


def test_what_a_transaction_calls_its_patient_is_no_number(clinic: Clinic, tmp_path: Path) -> None:
    """Two people without names, in two bundles made of one template: their record numbers tell them apart."""
    url = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    for number in ("77", "78"):
        one = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": number}]}
        two = {"resourceType": "Observation", "id": f"o{number}", "subject": {"reference": url}}
        entries = [{"fullUrl": url, "resource": one}, {"resource": two}]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        (tmp_path / f"{number}.json").write_text(json.dumps(bundle))
    summary = clinic.bring(tmp_path / "77.json", tmp_path / "78.json")
    assert (summary.new, summary.patients, summary.rejected) == (4, 2, 0)
    assert count(clinic, IDA_77, f"{SYSTEM}|78") == [2, 2]


def test_patients_that_the_source_joined_stay_two_and_are_told(
    clinic: Clinic, tmp_path: Path
) -> None:
    old = person("2", "78", IDA) | {
        "link": [{"type": "replaced-by", "other": {"reference": "Patient/1"}}]
    }
    path = write(tmp_path / "a.json", person("1", "77", IDA), old, result("x", "2"))
    summary = clinic.bring(path, report=tmp_path / "report")
    assert (summary.patients, summary.rejected, summary.doubts) == (2, 0, 1)
    (line,) = (tmp_path / "report" / CORRECTIONS).read_text().splitlines()
    assert "joins two charts" in json.loads(line)["what"]


def test_white_space_around_a_number_makes_nobody_another(clinic: Clinic, tmp_path: Path) -> None:
    for place, value in enumerate(("77", " 77", "77\t", " ")):
        write(tmp_path / f"{place}.json", person(f"p{place}", value, IDA))
    summary = clinic.bring(*(tmp_path / f"{place}.json" for place in range(3)))
    assert (summary.patients, count(clinic, IDA_77)) == (1, [3])
