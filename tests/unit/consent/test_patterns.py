"""What an audit asks about: each pattern planted once, once more just below its number, and once as honest work."""

import json
from pathlib import Path

import pytest

from consent.auditor import Audit, audit_export
from consent.auditor import main as audit_command
from consent.patterns import AGAIN, MANY_CHARTS, NIGHT_CHARTS, STRANGERS, Pattern
from consent.report import report_html
from tests.support.memory_log import HOUR_MS, SEALED, MemoryLog, Person, reading


class Hospital:
    """A hospital of Auckland with two doctors and so many patients in whose charts the first one wrote."""

    def __init__(self, patients: int) -> None:
        """The doctor whose habits are looked at wrote nowhere."""
        self.log = MemoryLog()
        self.id = self.log.hospital()
        self.admin = self.log.admin(self.id)
        self.writer, self.reader = self.log.doctor(self.admin), self.log.doctor(self.admin)
        self.patients = [self.log.patient(self.admin) for _ in range(patients)]
        self.records = [self.log.upload(self.writer, patient) for patient in self.patients]

    def look(self, reader: Person, count: int) -> None:
        """Into the first `count` charts, a record each."""
        for patient, record in list(zip(self.patients, self.records, strict=True))[:count]:
            self.log.do(reader, "record.opened", reading(record), patient)

    def hour(self, hour: int) -> None:
        """Wait until this hour of the hospital's day."""
        now = (self.log.now // HOUR_MS + OFFSET) % 24
        self.log.wait(hours=(hour - now) % 24)


OFFSET = 1
"""Hours by which Berlin, the zone of the log's hospitals, is ahead of UTC in winter."""


def audit(log: MemoryLog, place: Path, since: Path | None = None) -> Audit:
    """The audit of all that stands so far."""
    return audit_export(written(log, place), log.vkeys, since, now=log.now)


def written(log: MemoryLog, place: Path) -> Path:
    """The log's export as a folder."""
    for path, data in log.export().items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)
    return place


def kinds(found: Audit) -> list[tuple[str, str, int]]:
    """Kind, reader and number of each finding."""
    return [(one.kind, one.reader, one.times) for one in found.patterns]


@pytest.mark.parametrize(("count", "asked"), [(MANY_CHARTS, True), (MANY_CHARTS - 1, False)])
def test_many_charts_without_a_tie(tmp_path: Path, count: int, asked: bool) -> None:
    """By day, of one's own hospital: permitted, and asked about from MANY_CHARTS on."""
    place = Hospital(MANY_CHARTS)
    place.hour(10)
    place.look(place.reader, count)
    expected = [("many", place.reader.account, count)] if asked else []
    assert kinds(audit(place.log, tmp_path)) == expected


def test_whoever_wrote_in_a_chart_has_a_tie_to_it(tmp_path: Path) -> None:
    """A ward's doctor looks into all charts of the ward."""
    place = Hospital(MANY_CHARTS)
    place.look(place.writer, MANY_CHARTS)
    assert not audit(place.log, tmp_path).patterns


def test_whoever_was_granted_a_chart_has_a_tie_to_it(tmp_path: Path) -> None:
    """A specialist elsewhere whom many patients granted access."""
    place = Hospital(MANY_CHARTS)
    other = place.log.doctor(place.log.admin(place.log.hospital()))
    for patient in place.patients:
        place.log.grant(patient, other.account)
    place.look(other, MANY_CHARTS)
    assert not audit(place.log, tmp_path).patterns


@pytest.mark.parametrize(("hour", "count", "asked"), [
    (2, NIGHT_CHARTS, True), (2, NIGHT_CHARTS - 1, False), (0, NIGHT_CHARTS, True), (5, NIGHT_CHARTS, False),
    (23, NIGHT_CHARTS, False),
])  # fmt: skip
def test_nights_are_those_of_the_hospital(
    tmp_path: Path, hour: int, count: int, asked: bool
) -> None:
    """The hour is that of the hospital's time zone."""
    place = Hospital(NIGHT_CHARTS)
    place.hour(hour)
    place.look(place.reader, count)
    expected = [("night", place.reader.account, count)] if asked else []
    assert kinds(audit(place.log, tmp_path)) == expected


def test_the_chart_of_a_colleague(tmp_path: Path) -> None:
    """Staff who are patients of their own hospital; their own looks are theirs."""
    place = Hospital(1)
    place.hour(10)
    nurse = place.patients[0]
    place.log.do(place.admin, "doctor.approved", {"account": nurse.account}, place.id)
    place.look(place.reader, 1)
    place.look(nurse.acting("doctor", place.id), 1)
    assert kinds(audit(place.log, tmp_path)) == [("colleague", place.reader.account, 1)]


@pytest.mark.parametrize(("count", "asked"), [(STRANGERS, True), (STRANGERS - 1, False)])
def test_strangers_of_a_hospital(tmp_path: Path, count: int, asked: bool) -> None:
    """Refused, and yet: who looks for people that the hospital never saw?"""
    place = Hospital(STRANGERS)
    other = place.log.doctor(place.log.admin(place.log.hospital()))
    for patient in place.patients[:count]:
        place.log.outcome(other, "chart.opened", {"purpose": "TREAT"}, patient)
    expected = [("stranger", other.account, count)] if asked else []
    assert kinds(audit(place.log, tmp_path)) == expected


@pytest.mark.parametrize(("count", "asked"), [(AGAIN, True), (AGAIN - 1, False)])
def test_the_excluded_who_tries_again(tmp_path: Path, count: int, asked: bool) -> None:
    """The asker is not told that it is an exclusion; the auditor is."""
    place = Hospital(1)
    other = place.log.doctor(place.log.admin(place.log.hospital()))
    (patient,) = place.patients
    place.log.do(patient, "reader.excluded", {"purpose": "PATRQT", "reader": other.account})
    for _ in range(count):
        place.log.outcome(other, "chart.opened", {"purpose": "TREAT"}, patient)
    expected = [("again", other.account, count)] if asked else []
    assert kinds(audit(place.log, tmp_path)) == expected


def test_what_an_earlier_audit_covered_is_not_asked_about_again(tmp_path: Path) -> None:
    """Its writing counts still, its looks don't."""
    place = Hospital(MANY_CHARTS)
    place.hour(10)
    place.look(place.reader, MANY_CHARTS)
    older = written(place.log, tmp_path / "older")
    place.log.wait(days=1)
    place.look(place.writer, MANY_CHARTS)
    found = audit(place.log, tmp_path / "newer", older)
    assert found.good and not found.patterns


def test_the_report_as_a_page_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both hold every finding; a pattern is no wrong: the code is that of a good log."""
    place = Hospital(1)
    place.hour(10)
    place.log.do(place.admin, "doctor.approved", {"account": place.patients[0].account}, place.id)
    place.look(place.reader, 1)
    export, vkey = written(place.log, tmp_path / "export"), tmp_path / "vkey"
    vkey.write_text("".join(f"{key}\n" for key in place.log.vkeys))
    moment = "2027-01-01T00:00:00Z"
    for name in ("report.html", "report.json"):
        options = [
            "audit",
            str(export),
            "--vkey",
            str(vkey),
            "--now",
            moment,
            "--report",
            str(tmp_path / name),
        ]
        assert audit_command(options) == 0
    assert "LOOK INTO: " + place.reader.account in capsys.readouterr().out
    assert place.reader.account in (tmp_path / "report.html").read_text()
    (told,) = json.loads((tmp_path / "report.json").read_text())["patterns"]
    assert (told["kind"], told["reader"], told["times"]) == ("colleague", place.reader.account, 1)


@pytest.mark.parametrize("name", ["report.pdf", "report", "missing/report.html"])
def test_a_report_that_could_not_be_written_is_refused_first(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the audit, which may take an hour."""
    options = ["audit", str(tmp_path / "no-export"), "--report", str(tmp_path / name)]
    assert audit_command(options) == 2
    assert "got a report" in capsys.readouterr().err


def test_names_from_the_log_are_text_on_the_page(tmp_path: Path) -> None:
    """An origin is taken from the export, whoever made it."""
    log = MemoryLog(origin="x.example/<script>alert(1)</script>")
    assert "<script>" not in report_html(audit(log, tmp_path))


def test_a_long_list_of_entries_is_counted() -> None:
    """The first ones are named, and how many more there are."""
    pattern = Pattern("again", "ac_1", "", "pt_1", 12, tuple(range(10)))
    assert str(pattern).endswith("(entries 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more)")


@pytest.mark.parametrize(("days", "reviewed"), [(8, False), (6, False), (8, True)])
def test_emergencies_that_nobody_reviewed_in_time(
    tmp_path: Path, days: int, reviewed: bool
) -> None:
    """From seven days after the declaration on, as far as the log goes."""
    place = Hospital(1)
    log, patient = place.log, place.patients[0]
    said = {"purpose": "BTG", "reason": "other", "text": SEALED}
    declared = log.do(place.reader, "emergency.declared", said, patient).event.id
    if reviewed:
        body = {"emergency": declared, "finding": "justified", "purpose": "HOPERAT", "text": SEALED}
        log.do(place.admin, "emergency.reviewed", body, patient)
    log.wait(hours=24 * days)
    log.do(patient, "history.opened", {"purpose": "PATRQT"}, patient)
    expected = [("unreviewed", place.reader.account, 1)] if days > 7 and not reviewed else []
    assert kinds(audit(log, tmp_path)) == expected
