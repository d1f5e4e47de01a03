"""Findings on pages: typed, corrected, shown over time and on one page; each look stands in the log, and nothing of theirs runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from api.app.settings import Settings
from api.portal import terms
from api.portal.offering import OPENED
from client import authoring, grants
from client.local import LocalClient
from identity.actors import Actor
from ledger.facts import Record
from records.uploads import Upload
from tests.support.portal import Pages, Portal, Read, served_portal
from tests.unit.people.test_clinical import LEAST, WHOLE

EVIL = "<script>alert(1)</script>"
VITALS = {
    "date": "2026-11-20", "systolic": "128", "diastolic": "82", "pulse": "64", "temperature": "36,60",
}  # fmt: skip


@dataclass
class Ward:
    """A patient, who let a doctor read and write, and another doctor, who may nothing."""

    portal: Portal
    pat: Pages
    chart: str
    doctor: Pages
    actor: Actor
    """The doctor's."""
    stranger: Pages

    @property
    def size(self) -> int:
        """Entries of the log."""
        return self.portal.fixture.ledger.head().size

    def newest(self) -> str:
        """The record that was written last."""
        rows = self.portal.fixture.ledger.rows(Record, "patient", self.chart)
        return max(rows, key=lambda one: one.seq).record

    def write(self, who: Pages, form: str, **fields: str) -> Read:
        """Fill a form by its page."""
        path = f"/patients/{self.chart}/write/{form}"
        who.open(path)
        assert who.status() == 200, who.at
        return who.send(path, fields)

    def opens(self, who: Pages, name: str, records: str, looks: str = "") -> Read:
        """Open many by the form, as a chart's page sends it."""
        sent = {"csrf": who.cookies["__Host-heartwood-csrf"], "records": records, "looks": looks}
        who.at = who.ask("POST", f"/patients/{self.chart}/{name}", data=sent)
        return Read(who.at.text)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Signed in."""
    with served_portal(Settings(data=tmp_path_factory.mktemp("findings") / "data")) as portal:
        fixture, client = portal.fixture, LocalClient(portal.fixture.ledger)
        person, actor = fixture.person("Ida"), fixture.doctor()
        grants.grant(
            client, person.actor, person.patient, actor.account, actions=("append", "list", "read")
        )
        who = [portal.with_key(one) for one in (person.actor, actor, fixture.doctor())]
        for one in who:
            one.signs_in()
        pat, doctor, stranger = who
        yield Ward(portal, pat, person.patient, doctor, actor, stranger)


def form_of(page: Read, action: str) -> dict[str, str]:
    """The fields of a page's first form with that action, as they stand."""
    return next(fields for attributes, fields in page.forms if attributes["action"] == action)


def test_a_patient_writes_down_measurements(ward: Ward) -> None:
    """One record, one resource, as they typed it; marked as theirs."""
    page = ward.write(ward.pat, "vitals", **VITALS)
    assert ward.pat.status() == 200 and "Its entry stands in the log." in page.text
    record = f"/records/{ward.newest()}"
    shown = ward.pat.open(record)
    assert "Blood pressure, upper value (systolic) 128 mmHg" in shown.text
    assert "Temperature 36.60 °C" in shown.text and "by the patient or family" in shown.text
    assert "Correct it" not in shown.text
    file = ward.pat.ask("GET", f"{record}/file")
    made = json.loads(file.content)
    assert b'"value":36.60' in file.content
    assert made["resourceType"] == "Observation" and len(made["contained"]) == 3
    assert made["performer"] == [made["subject"]]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"pulse": "6400"}, "Expected here: > 10, ≤ 400 /min"), ({"pulse": "fast"}, "Expected here: > 10, ≤ 400 /min"),
        ({"diastolic": ""}, "two values"), ({"date": "2031-01-01"}, "This is what isn’t as expected."),
        ({"glucose": "999", "glucose_unit": "mmol/L"}, "Expected here: > 0, ≤ 170 mmol/L"),
    ],
)  # fmt: skip
def test_nothing_typed_is_lost(ward: Ward, wrong: dict[str, str], told: str) -> None:
    """What can't be is told at its field, the rest stays typed, and nothing is written."""
    before = ward.size
    typed = VITALS | {"note": f"After\r\n{EVIL}"} | wrong
    page = ward.write(ward.pat, "vitals", **typed)
    assert ward.pat.status() == 400 and told in page.text, page.text
    kept = form_of(page, f"/patients/{ward.chart}/write/vitals")
    assert {n: kept[n] for n in typed if n != "note"} == {n: v for n, v in typed.items() if n != "note"}  # fmt: skip
    assert EVIL in page.text and ward.size == before


def test_who_writes_what(ward: Ward) -> None:
    """Diagnoses are written by doctors; a form that isn't there is nobody's; the gate decides the rest."""
    sent = {"csrf": ward.pat.cookies["__Host-heartwood-csrf"]}
    for name, status in (("condition", 403), ("prescription", 403), ("insurance", 404)):
        path = f"/patients/{ward.chart}/write/{name}"
        assert ward.pat.ask("GET", path).status_code == status
        assert ward.pat.ask("POST", path, data=sent | LEAST.get(name, {})).status_code == status
    path = f"/patients/{ward.portal.fixture.person('Otto').patient}/write/vitals"
    ward.pat.open(path)
    page = ward.pat.send(path, VITALS)
    assert ward.pat.status() == 403 and "(S12)" not in page.text
    assert "Your role may not do this." in page.text, page.text


@pytest.mark.parametrize("form", terms.FORMS)
def test_a_doctor_writes_and_corrects(ward: Ward, form: str) -> None:
    """Each kind, whole; the page of the reading offers its correction and the next one, without another look."""
    line = next(n for n in WHOLE[form] if n in ("note", "diagnosis", "medicine", "substance"))
    typed = WHOLE[form] | {line: EVIL, "date": "2026-11-19"}
    if form == "laboratory":
        typed["unit"] = "g/dl"  # as our import's table knows it
    page = ward.write(ward.doctor, form, **typed)
    assert ward.doctor.status() == 200, page.text
    record, path = ward.newest(), f"/patients/{ward.chart}/write/{form}"
    shown = ward.doctor.open(f"/records/{record}")
    assert EVIL in shown.text and ward.doctor.at is not None and EVIL not in ward.doctor.at.text
    before = ward.size
    correct, following = (fields for attributes, fields in shown.forms if attributes["action"] == path)  # fmt: skip
    sheet = Read(ward.doctor.ask("POST", path, data=following).text)
    fresh = form_of(sheet, path)
    assert fresh["date"] != typed["date"] and fresh["amends"] == ""
    for measured in ("value", "pulse", "weight", "systolic"):
        assert not fresh.get(measured)
    ward.doctor.at = ward.doctor.ask("POST", path, data=correct)
    again = form_of(Read(ward.doctor.at.text), path)
    assert again["amends"] == record and again["date"] == typed["date"]
    assert ward.size == before  # no look, nothing written
    for name in ("medicine", "pulse", "value", "status"):
        assert again.get(name) == typed.get(name), name
    ward.doctor.send(path, {"date": "2026-11-18"})
    assert ward.doctor.status() == 200 and ward.size == before + 2
    row = ward.portal.fixture.ledger.row(Record, record)
    assert row is not None and len(row.versions) == 2 and row.clinical_date == "2026-11-18"


def test_a_correction_stays_in_its_chart_and_its_hospital(ward: Ward) -> None:
    """A record of somebody else, or of another hospital, is corrected by nobody here."""
    fixture = ward.portal.fixture
    note = Upload(fixture.person("Otto").patient, "document", "text/plain", [b"Otto's"])
    other = authoring.upload(LocalClient(fixture.ledger), ward.actor, note).record
    ward.doctor.open(f"/patients/{ward.chart}/write/vitals")
    ward.doctor.send(f"/patients/{ward.chart}/write/vitals", VITALS | {"amends": other})
    assert ward.doctor.status() == 404
    row = fixture.ledger.row(Record, other)
    assert row is not None and len(row.versions) == 1
    ward.write(ward.pat, "vitals", **VITALS)
    ward.doctor.open(f"/patients/{ward.chart}/write/vitals")
    ward.doctor.send(f"/patients/{ward.chart}/write/vitals", VITALS | {"amends": ward.newest()})
    assert ward.doctor.status() == 404
    row = ward.portal.fixture.ledger.row(Record, ward.newest())
    assert row is not None and len(row.versions) == 1


def test_what_is_wrong_is_retracted_by_who_wrote_it(ward: Ward) -> None:
    """It stays, marked, and no page of many offers it; nobody else may, and no page offers it to them."""
    ward.write(ward.pat, "vitals", **VITALS)
    record = ward.newest()
    path = f"/records/{record}/retract"
    assert "Retract it" not in ward.doctor.open(f"/records/{record}").text
    sent = {"csrf": ward.doctor.cookies["__Host-heartwood-csrf"]}
    assert ward.doctor.ask("POST", path, data=sent).status_code in (403, 404)
    ward.pat.open(f"/records/{record}")
    page = ward.pat.send(path)
    assert ward.pat.status() == 200 and "Retracted." in page.text
    row = ward.portal.fixture.ledger.row(Record, record)
    assert row is not None and row.state == "retracted"
    offered = [f.get("records", "") for _, f in page.forms]
    assert any(offered) and not any(record in one for one in offered)
    assert "Retract it" not in ward.pat.open(f"/records/{record}").text


def test_many_are_opened_by_a_form_alone(ward: Ward) -> None:
    """As many entries as it says; values, ranges and who wrote them; whatever a name holds is text."""
    client = LocalClient(ward.portal.fixture.ledger)
    system = ward.portal.fixture.north.system
    observations = [
        {"resourceType": "Observation", "status": "final", "code": {"text": f"Hb {EVIL}"}, "effectiveDateTime": f"202{year}-03-01",
         "valueQuantity": {"value": value, "unit": "g/dL"}, "referenceRange": [{"low": {"value": 12}, "high": {"value": 15.5}}]}
        for year, value in ((3, 11.1), (4, 13.9), (5, 16.2))
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in observations]}  # fmt: skip
    for content in (json.dumps(bundle).encode(), b'{"resourceType":"Observation"}', b"not json"):
        one = Upload(ward.chart, "laboratory", "application/fhir+json", [content], title=EVIL)
        authoring.upload(client, system, one)
    before = ward.size
    chart = ward.pat.open(f"/patients/{ward.chart}/chart")
    assert ward.size == before + 1
    assert ward.pat.at is not None and '<svg width="100%"' in ward.pat.at.text
    assert "Records of 2026 by category" in ward.pat.at.text
    offered = [fields for attributes, fields in chart.forms if attributes["action"].endswith("/trends")]  # fmt: skip
    records = offered[0]["records"].split()
    assert f"This opens {len(records)} records; each stands in the history." in chart.text
    page = ward.opens(ward.pat, "trends", offered[0]["records"])
    assert ward.pat.status() == 200 and ward.size == before + 1 + len(records)
    assert f"This page opened {len(records)} records." in page.text and "2 of them hold nothing" in page.text  # fmt: skip
    assert f"Hb {EVIL}" in page.text and EVIL not in ward.pat.at.text
    assert "11.1 g/dL ↓ below 12 – 15.5" in page.text and "16.2 g/dL ↑ above" in page.text
    history = ward.pat.open(f"/patients/{ward.chart}/history")
    assert history.text.count("opened a record") >= len(records)
    assert ward.pat.ask("GET", f"/patients/{ward.chart}/trends").status_code == 303


def test_what_matters_is_one_page(ward: Ward) -> None:
    """Allergies, problems, medication and last values, by the doctor's looks; in the words of those who wrote them."""
    chart = ward.doctor.open(f"/patients/{ward.chart}/chart")
    offered = form_of(chart, f"/patients/{ward.chart}/overview")
    count = len(offered["records"].split())
    assert f"opens the list once more and {count} records" in chart.text
    letter = Upload(ward.chart, "document", "text/plain", [b"A letter"], clinical_date="2026-02-01")
    written = authoring.upload(LocalClient(ward.portal.fixture.ledger), ward.actor, letter)
    before = ward.size
    page = ward.opens(ward.doctor, "overview", offered["records"])
    assert ward.doctor.status() == 200 and ward.size == before + count + 1
    assert f"/records/{written.record}" in page.links
    for text in (f"{EVIL} · Hives", "Allergies and intolerances", "1–0–0", "Blood glucose", "by the patient or family"):  # fmt: skip
        assert text in page.text, text
    assert ward.doctor.at is not None and EVIL not in ward.doctor.at.text


def test_what_is_refused_ends_it(ward: Ward) -> None:
    """Of a chart without rights nothing; after a refusal in the middle the rest isn't tried, and the page says so."""
    rows = ward.portal.fixture.ledger.rows(Record, "patient", ward.chart)
    names = [one.record for one in rows if one.hospital == ward.portal.fixture.north.hospital][:3]
    before = ward.size
    page = ward.opens(ward.stranger, "trends", " ".join(names))
    assert ward.stranger.status() == 403 and "The patient has given no consent" in page.text
    assert ward.size == before + 1  # one refusal, not three
    ward.pat.open(f"/records/{names[1]}")
    ward.pat.send(f"/records/{names[1]}/hide")
    before = ward.size
    page = ward.opens(ward.doctor, "trends", " ".join(names))
    assert ward.doctor.status() == 200 and ward.size == before + 2
    assert "2 records were not opened" in page.text and "This page opened 1 record." in page.text


@pytest.mark.parametrize(
    ("records", "status"),
    [("", 400), ("x", 404), ("rc_" + "0" * 26, 404), (" ".join(f"rc_{n:026}" for n in range(OPENED + 1)), 400)],
)  # fmt: skip
def test_a_list_that_is_none_opens_nothing(ward: Ward, records: str, status: int) -> None:
    """Too few, too many, and what isn't of this chart."""
    before = ward.size
    for name in ("trends", "overview"):
        ward.opens(ward.pat, name, records)
        assert ward.pat.status() == status
    fixture = ward.portal.fixture
    foreign = fixture.record(fixture.person("Otto")).record
    before = ward.size
    ward.opens(ward.pat, "trends", foreign)
    assert ward.pat.status() == 404 and ward.size == before
