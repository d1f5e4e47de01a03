"""Intake forms on a terminal and over HTTP: what is filled in is a record of the chart, and stands nowhere else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.actors import Actor, write_keyfile
from people.intake import FORMS
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import Web, in_process, kind_of

SECRET = "Zwetschgenkasse 7731"
INSURANCE = ("--set", f"insurer={SECRET}", "--set", "number=A123456789")


@pytest.fixture
def web(fixture: LedgerFixture) -> Iterator[Web]:
    with in_process(fixture.ledger) as served:
        yield served


def _run(fixture: LedgerFixture, *arguments: object, code: int = 0) -> Ran:
    ran = heartwood(fixture.settings, *arguments)
    assert ran.code == code, ran
    return ran


def _key(folder: Path, who: Actor) -> Path:
    path = folder / who.role
    return path if path.exists() else write_keyfile(path, who)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_form_is_a_record(fixture: LedgerFixture, tmp_path: Path, web: Web) -> None:
    """Filled in by the patient, beside the data and over HTTP, and by a hospital, which amends it."""
    pat, out = fixture.person(), tmp_path / "out.json"
    me, clinic = _key(tmp_path, pat.actor), _key(tmp_path, fixture.north.system)
    fill = ("intake", "fill", "insurance", "--patient", pat.patient, *INSURANCE)
    own = _run(fixture, *fill, "--as", me, "--json").json["record"]
    afar = _run(fixture, *fill, "--as", me, "--url", web.url, "--json").json["record"]
    theirs = _run(fixture, *fill, "--as", clinic, "--json").json["record"]
    for record in (own, afar, theirs):
        _run(fixture, "open", record, "--as", me, "--purpose", "PATRQT", "--out", out)
        assert json.loads(out.read_text())["payor"] == [{"display": SECRET}]
        out.unlink()
    file = tmp_path / "coverage.json"
    file.write_text(json.dumps({"resourceType": "Coverage", "status": "cancelled"}))
    again = ("intake", "fill", "insurance", "--patient", pat.patient, "--file", file, "--amends")
    _run(fixture, *again, theirs, "--as", clinic)
    _run(fixture, *again, own, "--as", me, code=1)
    _run(fixture, "open", theirs, "--as", me, "--purpose", "PATRQT", "--out", out)
    assert out.read_text() == file.read_text()
    signs = ("--set", "date=2026-11-20", "--set", "temperature=36,60")
    taken = ("intake", "fill", "vitals", "--patient", pat.patient, *signs, "--as", me)
    found = _run(fixture, *taken, "--url", web.url, "--json").json["record"]
    out.unlink()
    _run(fixture, "open", found, "--as", me, "--purpose", "PATRQT", "--out", out)
    assert b'"value":36.60' in out.read_bytes() and b'"performer"' in out.read_bytes()
    for path in fixture.settings.data.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    lines = _run(
        fixture, "chart", "--patient", pat.patient, "--as", me, "--purpose", "PATRQT", "--json"
    ).json
    assert [one["category"] for one in lines["records"]] == ["billing"] * 3 + ["encounter"]
    assert lines["records"][-1]["clinical_date"] == "2026-11-20"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_is_no_answer_is_refused_and_nothing_is_written(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    pat, before = fixture.person(), fixture.ledger.head().size
    fill = (
        "intake",
        "fill",
        "insurance",
        "--patient",
        pat.patient,
        "--as",
        _key(tmp_path, pat.actor),
    )
    for given, told in (
        ((), "give the answers"),
        (("--set", "insurer"), "without ="),
        (("--set", "insurer=A", "--set", "insurer=B"), "twice"),
        (("--set", "insurer=A"), "needs number"),
        (("--file", tmp_path / "none.json"), "no such file"),
    ):
        assert told in _run(fixture, *fill, *given, code=2).err
    assert fixture.ledger.head().size == before
    assert "insurer: who insures (needed)" in _run(fixture, "intake", "forms").out


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_server_fills_a_form_and_keeps_nothing(fixture: LedgerFixture, web: Web) -> None:
    pat, before = fixture.person(), fixture.ledger.head().size
    sent = {"patient": pat.patient, "values": {"insurer": SECRET, "number": "A1"}}
    made = web.post("/v1/intake/insurance", sent, pat.actor)
    assert made.status_code == 200 and made.json()["payor"] == [{"display": SECRET}]
    assert [one["name"] for one in web.get("/v1/intake", pat.actor).json()] == list(FORMS)
    for form, bad in (
        ("tax", sent),
        ("insurance", {"patient": "pt_1", "values": {}}),
        ("history", sent),
    ):
        answer = web.post(f"/v1/intake/{form}", bad, pat.actor)
        assert answer.status_code == 400 and SECRET not in answer.text
    assert kind_of(web.post("/v1/intake/insurance", sent)) == "not_signed_in"
    assert fixture.ledger.head().size == before
    signs = {"date": "2026-11-20", "temperature": "36,60"}
    answer = web.post("/v1/intake/vitals", {"patient": pat.patient, "values": signs}, pat.actor)
    assert b'"value":36.60' in answer.content  # digits and all
    for path in fixture.settings.data.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
