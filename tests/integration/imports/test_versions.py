"""Which statement is the newer: by its version, status and time, never by a file's name or a message's number."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from client.beside import upload
from imports.carrying import current_content
from imports.labels import Labels
from imports.report import CORRECTIONS, REJECTS, Summary
from journeys.errors import RecordsError
from ledger.facts import Record
from records.uploads import Upload
from storage.sql.identifiers import HASH_BYTES, Kept
from tests.integration.imports.test_again import chart, ids, lab, numbers, of, patient, visit, write
from tests.support.clinic import Clinic

SECURITY = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]


def meta(version: int | str = "", updated: str = "", **members: Any) -> dict[str, Any]:
    said = {"versionId": str(version), "lastUpdated": updated}
    return {"meta": {key: value for key, value in said.items() if value} | members}


def values(clinic: Clinic, number: int = 1) -> list[dict[str, Any]]:
    """Each Observation as it is read now: id, value and status."""
    names = [f"urn:hospital|{number}"]
    found = clinic.ledger.identifiers.find(clinic.hospital.hospital, names)[names[0]]
    entries = [e["resource"] for c in clinic.contents(found) for e in json.loads(c)["entry"]]
    return [
        {key: one.get(key) for key in ("id", "valueInteger", "status")}
        for one in entries
        if one["resourceType"] == "Observation"
    ]


def again(clinic: Clinic, *paths: Path) -> Summary:
    """The same once more: it must add nothing."""
    size = clinic.ledger.head().size
    summary = clinic.bring(*paths)
    assert clinic.ledger.head().size == size
    assert (summary.new, summary.amended) == (0, 0)
    return summary


# --- the newer wins ------------------------------------------------------------------------------

PAIRS = {
    "version": (meta(9), meta(10)),
    "time of change": (meta(updated="2024-01-09T10:00:00Z"), meta(updated="2024-01-09T10:00:00-01:00")),
    "version and time": (meta(1, "2024-01-01T00:00:00Z"), meta(2, "2024-01-02T00:00:00.5Z")),
    "status": ({"status": "preliminary"}, {"status": "final"}),
    "corrected": ({"status": "final"}, {"status": "corrected"}),
    "issued": ({"issued": "2024-01-01T10:00:00+01:00"}, {"issued": "2024-01-01T09:30:00Z"}),
}  # fmt: skip


@pytest.mark.parametrize("newer_first", [False, True])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_newer_stands_whatever_the_files_are_called(
    clinic: Clinic, tmp_path: Path, pair: tuple[dict[str, Any], dict[str, Any]], newer_first: bool
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    names = ("z.json", "a.json") if newer_first else ("a.json", "z.json")
    for name, members, value in zip(names, pair, (1, 2), strict=True):
        write(folder / name, patient(1), lab(1, "x", value, **members))
    summary = clinic.bring(folder, report=tmp_path / "report")
    assert [one["valueInteger"] for one in values(clinic)] == [2]
    if newer_first:
        (line,) = (tmp_path / "report" / REJECTS).read_text().splitlines()
        assert "older than what was imported" in json.loads(line)["reason"]
    else:
        assert (summary.amended, summary.amendments) == (1, 1)
    assert again(clinic, folder).rejected == newer_first
    assert [one["valueInteger"] for one in values(clinic)] == [2]


UNCLEAR = {
    "nothing said": ({}, {}),
    "the same version": (meta(3), meta(3)),
    "two that disagree": (meta(1, "2024-02-01T00:00:00Z"), meta(2, "2024-01-01T00:00:00Z")),
    "a version that counts nothing": (meta("abc"), meta("abd")),
}


@pytest.mark.parametrize("pair", UNCLEAR.values(), ids=UNCLEAR)
def test_of_two_that_contradict_one_is_set_aside_in_every_run(
    clinic: Clinic, tmp_path: Path, pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, members, value in zip("ab", pair, (1, 2), strict=True):
        write(folder / f"{name}.json", patient(1), lab(1, "x", value, **members))
    summary = clinic.bring(folder, report=tmp_path / "report")
    assert numbers(summary) == (4, 2, 0, 1, 1)
    assert again(clinic, folder).rejected == 1
    assert again(clinic, folder / "b.json").rejected == 1
    assert [one["valueInteger"] for one in values(clinic)] == [1]
    # Who looked at the rejects and imports them has decided.
    assert clinic.bring(tmp_path / "report" / REJECTS).amended == 1
    assert [one["valueInteger"] for one in values(clinic)] == [2]
    again(clinic, folder)
    again(clinic, tmp_path / "report" / REJECTS)
    assert [one["valueInteger"] for one in values(clinic)] == [2]


def test_a_dry_run_says_the_same_of_files_that_meet(clinic: Clinic, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.json", patient(1), visit(1), lab(1, "x", 1), lab(1, "w", 1, **meta(1)))
    write(folder / "b.json", patient(1), lab(1, "x", 2), lab(1, "w", 2, **meta(2)), visit(1))
    write(folder / "c.json", patient(1), lab(1, "w", 1, **meta(1)), patient(2), lab(2, "y", 1))
    dry = clinic.bring(folder, dry=True)
    assert numbers(dry) == numbers(clinic.bring(folder))
    assert dry.known and dry.amended and dry.rejected
    dry, second = clinic.bring(folder, dry=True), again(clinic, folder)
    assert numbers(dry) == numbers(second)


def test_an_earlier_statement_that_comes_again_is_known(clinic: Clinic, tmp_path: Path) -> None:
    old = write(tmp_path / "a.json", patient(1), lab(1, "x", 1))
    new = write(tmp_path / "b.json", patient(1), lab(1, "x", 2))
    clinic.bring(old)
    assert clinic.bring(new).amended == 1
    again(clinic, old)
    again(clinic, new, old)
    assert [one["valueInteger"] for one in values(clinic)] == [2]


# --- one name, one thing -------------------------------------------------------------------------


def test_the_same_content_in_another_form_is_known(clinic: Clinic, tmp_path: Path) -> None:
    body = lab(1, "x", 1, note=[{"text": "ü"}])
    clinic.bring(write(tmp_path / "a.json", patient(1), body))
    turned = dict(reversed(body.items()))
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": turned}]}
    (tmp_path / "b.json").write_text(json.dumps(bundle, indent=3, ensure_ascii=False))
    assert again(clinic, tmp_path / "b.json").known == 1
    # The digits of a number are part of the value.
    for number, digits in enumerate(("1.0", "1.00", "1e0")):
        text = json.dumps(lab(1, "d", 77)).replace("77", digits)
        (tmp_path / "c.json").write_text(text)
        assert numbers(clinic.bring(tmp_path / "c.json"))[1:3] == ((1, 0), (0, 1))[number > 0]


def test_what_an_older_program_kept_is_known(clinic: Clinic, tmp_path: Path) -> None:
    """It kept the hash of the bytes, and nothing of version, status and time."""
    path = write(tmp_path / "a.json", patient(1), visit(1), lab(1, "x", 1))
    clinic.bring(path)
    (found,) = {record.patient for record in chart(clinic, 1)}
    imported, hospital = clinic.ledger.identifiers.imported, clinic.hospital.hospital
    raw = {e["resource"]["id"]: e["resource"] for e in json.loads(path.read_text())["entry"]}
    rows = {}
    for name, body in (("Observation/x", raw["x"]), ("Encounter/e1", raw["e1"])):
        key = imported.name(hospital, found, name)
        kept = imported.of(found)[key]
        digest = imported.digest(found, sha256(json.dumps(body).encode()).digest())
        assert len(digest) == HASH_BYTES
        rows[key] = Kept(kept.object, kept.version, digest)
    imported.keep(found, rows)
    assert again(clinic, path).known == 3
    assert clinic.bring(write(path, patient(1), visit(1), lab(1, "x", 2))).amended == 1


def _coded(name: str, value: int, code: str, **members: Any) -> dict[str, Any]:
    coding = [{"system": "http://loinc.org", "code": code}]
    return lab(1, name, value, code={"coding": coding}, **members)


def test_two_systems_may_count_alike(clinic: Clinic, tmp_path: Path) -> None:
    sent = {
        "a": _coded("1", 10, "2345-7"),
        "b": _coded("1", 20, "718-7"),
        "c": _coded("1", 30, "2345-7", **meta(5, source="urn:ris#77")),
        "d": _coded("1", 40, "2345-7", **meta(6, source="urn:his#78")),
    }
    for name, body in sent.items():
        write(tmp_path / f"{name}.json", patient(1), visit(1), body)
    paths = [tmp_path / f"{name}.json" for name in sent]
    clinic.bring(*paths[:2])
    assert sorted(one["valueInteger"] for one in values(clinic)) == [10, 20]
    again(clinic, *paths[:2])
    again(clinic, *reversed(paths[:2]))
    clinic.bring(*paths[2:])
    assert sorted(one["valueInteger"] for one in values(clinic)) == [10, 20, 30, 40]
    again(clinic, *paths)
    # The same system says that the code was wrong: the same result.
    write(paths[3], patient(1), visit(1), _coded("1", 41, "1558-6", **meta(7, source="urn:his#79")))
    clinic.bring(paths[3])
    assert sorted(one["valueInteger"] for one in values(clinic)) == [10, 20, 30, 41]


# --- corrections and withdrawals in a delta --------------------------------------------------------


def test_a_correction_reaches_the_record_that_holds_the_old_value(
    clinic: Clinic, tmp_path: Path
) -> None:
    labs = [lab(1, name, number) for number, name in enumerate("abcd")]
    clinic.bring(write(tmp_path / "a.json", patient(1), visit(1), *labs))
    before = chart(clinic, 1)[2]
    delta = write(tmp_path / "b.json", patient(1), lab(1, "c", 22, status="corrected"))
    summary = clinic.bring(delta)
    assert (summary.amended, summary.amendments, sum(summary.records.values())) == (1, 1, 0)
    assert [one["valueInteger"] for one in values(clinic)] == [0, 1, 22, 3]
    record = chart(clinic, 1)[2]
    assert (record.record, len(record.versions)) == (before.record, 2)
    assert (record.clinical_date, record.episode) == (before.clinical_date, before.episode)
    again(clinic, delta)
    # The whole as it was first exported is older than that, and puts nothing back.
    again(clinic, tmp_path / "a.json")
    withdrawn = write(tmp_path / "c.json", lab(1, "a", 0, status="entered-in-error"))
    clinic.bring(withdrawn)
    assert values(clinic)[0]["status"] == "entered-in-error"
    assert [one["valueInteger"] for one in values(clinic)] == [0, 1, 22, 3]
    assert chart(clinic, 1)[2].state == "live"


def test_what_was_never_right_is_retracted_with_its_record(clinic: Clinic, tmp_path: Path) -> None:
    clinic.bring(write(tmp_path / "a.json", patient(1), visit(1), lab(1, "x", 1)))
    wrong = write(tmp_path / "b.json", lab(1, "x", 1, status="entered-in-error"))
    clinic.bring(wrong)
    record = chart(clinic, 1)[2]
    assert (record.state, len(record.versions)) == ("retracted", 2)
    again(clinic, wrong)
    again(clinic, tmp_path / "a.json")
    # What is right again is in sight again.
    back = write(tmp_path / "c.json", lab(1, "x", 3, **meta(9), status="final"))
    clinic.bring(write(tmp_path / "b.json", lab(1, "x", 1, **meta(8), status="entered-in-error")))
    clinic.bring(back)
    states = [(r.category, r.state) for r in chart(clinic, 1)[2:]]
    assert states == [("laboratory", "retracted"), ("laboratory", "live")]
    again(clinic, back)


def test_a_version_that_a_person_wrote_is_never_carried_over(
    clinic: Clinic, tmp_path: Path
) -> None:
    clinic.bring(write(tmp_path / "a.json", patient(1), visit(1), lab(1, "x", 1), lab(1, "y", 1)))
    record = chart(clinic, 1)[2]
    amend(clinic, record)
    clinic.bring(
        write(tmp_path / "b.json", lab(1, "x", 2, status="corrected")), report=tmp_path / "report"
    )
    assert len(chart(clinic, 1)[2].versions) == 2 and ids(clinic, 1)[3] == ["x"]
    (line,) = (tmp_path / "report" / CORRECTIONS).read_text().splitlines()
    assert json.loads(line)["before"] == record.record


def amend(clinic: Clinic, record: Record) -> None:
    """A doctor writes the next version; the keeper then refuses what only a system's may."""
    content = [b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Basic","id":"doc"}}]}']  # fmt: skip
    one = Upload(record.patient, "laboratory", "application/fhir+json", content, record=record.record, version=2)  # fmt: skip
    upload(clinic.ledger, clinic.doctor, [one])
    row = clinic.ledger.row(Record, record.record)
    assert row is not None
    size = clinic.ledger.head().size
    with pytest.raises(RecordsError, match="by a doctor, expected a version that a system wrote"):
        current_content(clinic.ledger, clinic.hospital.system, row)
    assert clinic.ledger.head().size == size


# --- marks that come later -----------------------------------------------------------------------


@pytest.mark.parametrize("around", [False, True])
def test_a_mark_reaches_what_is_known_already(clinic: Clinic, tmp_path: Path, around: bool) -> None:
    """In the resource, or in the bundle around it, of which no byte of the resource tells."""
    path = tmp_path / "a.json"
    clinic.bring(write(path, patient(1), visit(1), lab(1, "x", 1), lab(1, "y", 1)))
    delta = write(path, lab(1, "x", 1, **({} if around else meta(security=SECURITY))))
    if around:
        body = json.loads(delta.read_text()) | {"meta": {"security": SECURITY}}
        delta.write_text(json.dumps(body))
    clinic.bring(delta)
    record = chart(clinic, 1)[2]
    assert (record.confidentiality, len(record.versions)) == ("restricted", 2)
    assert ids(clinic, 1)[2] == ["x", "y"]
    again(clinic, delta)


def test_a_code_of_a_new_table_reaches_what_is_known(clinic: Clinic, tmp_path: Path) -> None:
    coding = {"coding": [{"system": "urn:ours", "code": "7"}]}
    path = write(tmp_path / "a.json", patient(1), of(1, "Condition", "c", code=coding))
    clinic.bring(path)
    labels = Labels.parse("system,code,label,comment\nurn:ours,7,HIV,ours\n", "test")
    clinic.bring(path, labels=labels)
    assert chart(clinic, 1)[1].sensitive
    size = clinic.ledger.head().size
    clinic.bring(path, labels=labels)
    assert clinic.ledger.head().size == size


# --- messages ------------------------------------------------------------------------------------


def oru(
    number: int, time: str, order: str, *results: str, obr: str = "F", control: str = "1"
) -> bytes:
    """Results `code value status` of one order."""
    lines = [
        f"MSH|^~\\&|LAB|Z|||{time}||ORU^R01|{control}|P|2.5",
        f"PID|1||{number}^^^urn:hospital^MR||Alder{number}||19800203",
        f"OBR|1||{order}|CHEM^Chemistry^L|||20240101" + "|" * 18 + obr,
    ]
    for at, one in enumerate(results, 1):
        code, value, status = one.split()
        lines.append(f"OBX|{at}|NM|{code}^{code}^LN||{value}|mmol/L|||||{status}")
    return "\r".join(lines).encode() + b"\r"


@pytest.fixture
def lis(clinic: Clinic, tmp_path: Path) -> "Lis":
    clinic.bring(write(tmp_path / "p.json", patient(1), patient(2)))
    return Lis(clinic, tmp_path)


class Lis:
    """A laboratory that sends messages."""

    def __init__(self, clinic: Clinic, place: Path) -> None:
        self.clinic = clinic
        self._place = place
        self._count = 0

    def send(self, *messages: bytes) -> Summary:
        """Import messages, as one file."""
        self._count += 1
        path = self._place / f"{self._count}.hl7"
        path.write_bytes(b"".join(messages))
        return self.clinic.bring(path)

    def results(self) -> list[tuple[str, str, list[str]]]:
        """Of each record but the first: state, confidentiality, and the values of its newest version."""
        records = chart(self.clinic, 1)[1:]
        contents = self.clinic.contents(records[0].patient)[1:] if records else []
        return [
            (r.state, r.confidentiality, [line.split("|")[5] for line in content.decode().split("\r") if line.startswith("OBX")])
            for r, content in zip(records, contents, strict=True)
        ]  # fmt: skip


def test_the_number_of_a_message_is_not_its_result(lis: Lis) -> None:
    lis.send(oru(1, "20240101080000", "A1", "2823-3 6.1 F"))
    lis.send(oru(1, "20240102080000", "A2", "2951-2 139 F"))
    assert [values for _, _, values in lis.results()] == [["6.1"], ["139"]]


def test_a_corrected_result_is_the_next_version(lis: Lis) -> None:
    first = oru(1, "20240101080000", "A1", "2823-3 6.1 F")
    later = oru(1, "20240101090000", "A1", "2823-3 4.1 C", control="77")
    lis.send(first)
    assert lis.send(later).amended == 1
    assert lis.results() == [("live", "normal", ["4.1"])]
    for sent in ([first], [later], [first, later], [later, first]):
        size = lis.clinic.ledger.head().size
        assert lis.send(*sent).known == len(sent)
        assert lis.clinic.ledger.head().size == size


def test_an_older_message_replaces_nothing(lis: Lis) -> None:
    lis.send(oru(1, "20240101090000", "A1", "2823-3 4.1 F"))
    summary = lis.send(oru(1, "20240101080000", "A1", "2823-3 6.1 P"))
    assert (summary.rejected, summary.amended) == (1, 0)
    assert lis.results() == [("live", "normal", ["4.1"])]


def test_a_correction_of_a_part_stands_with_the_rest(lis: Lis) -> None:
    lis.send(oru(1, "20240101080000", "A1", "2823-3 6.1 F", "2951-2 139 F"))
    lis.send(oru(1, "20240101090000", "A1", "2823-3 4.1 C", control="2"))
    assert lis.results() == [("live", "normal", ["6.1", "139", "4.1"])]
    lis.send(oru(1, "20240101093000", "A1", "2823-3 4.2 C", "2951-2 139 F", control="3"))
    assert lis.results() == [("live", "normal", ["4.2", "139"])]


def test_further_results_of_an_order_hide_none(lis: Lis) -> None:
    lis.send(oru(1, "20240101080000", "A1", "2823-3 6.1 F"))
    assert lis.send(oru(1, "20240101090000", "A1", "2951-2 139 F", control="2")).new == 1
    assert [values for _, _, values in lis.results()] == [["6.1"], ["139"]]
    both = oru(1, "20240101100000", "A1", "2823-3 4.1 C", "2951-2 140 C", control="3")
    assert lis.send(both).amended == 1
    assert [values for _, _, values in lis.results()] == [["4.1", "140"]] * 2
    size = lis.clinic.ledger.head().size
    assert lis.send(both).known == 1 and lis.clinic.ledger.head().size == size


@pytest.mark.parametrize(
    ("obr", "obx"), [("F", "W"), ("F", "D"), ("W", "F")], ids=["wrong", "deleted", "the order"]
)
def test_a_withdrawn_result_is_retracted(lis: Lis, obr: str, obx: str) -> None:
    lis.send(oru(1, "20240101080000", "A1", "2823-3 6.1 F"))
    lis.send(oru(1, "20240101090000", "A1", f"2823-3 6.1 {obx}", obr=obr, control="2"))
    assert [state for state, _, _ in lis.results()] == ["retracted"]
    lis.send(oru(1, "20240101100000", "A1", "2823-3 4.1 C", control="3"))
    assert [(state, found) for state, _, found in lis.results()] == [
        ("retracted", ["6.1"]),
        ("live", ["4.1"]),
    ]


def test_an_admission_of_another_day_is_another(lis: Lis) -> None:
    def admitted(day: str, way: str) -> bytes:
        lines = [f"MSH|^~\\&|KIS|Z|||{day}||ADT^A01|1|P|2.5", "PID|1||1^^^urn:hospital^MR||Alder1||19800203", f"PV1|1|{way}"]  # fmt: skip
        return "\r".join(lines).encode()

    lis.send(admitted("20240101", "I"))
    lis.send(admitted("20240301", "E"))
    assert [len(record.versions) for record in chart(lis.clinic, 1)[1:]] == [1, 1]
