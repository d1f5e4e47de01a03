"""The commands about emergencies and disclosures, over a server and beside the data, as people type them."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.times import format_time
from tests.integration.api.cli.test_commands_from_afar import Afar
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def afar(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Afar]:
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        yield Afar(people, web.url, tmp_path)


def test_an_emergency_from_its_ceiling_to_its_review(afar: Afar) -> None:
    people, pat, doctor = afar.people, afar.people.pat, afar.people.doctor
    admin = people.fixture.south.admin
    said = afar.run("emergency", "configure", "restricted", actor=pat.actor).out
    assert "all but what the patient hid" in said
    assert "all but what the patient hid" in afar.run("grants", actor=pat.actor).out
    afar.run("emergency", "configure", "everything", actor=pat.actor, code=2)
    refused = afar.run(
        "open",
        people.record,
        "--purpose",
        "ETREAT",
        "--out",
        afar.folder / "no",
        actor=doctor,
        code=1,
    )
    assert "S8 (emergency)" in refused.err and "declare one first" in refused.err
    told = ("--reason", "life_at_risk", "--text", "Fell from a ladder")
    declared = afar.json("emergency", "declare", pat.patient, *told, actor=doctor)
    emergency, seq = declared["emergency"], declared["seq"]
    out = ("--purpose", "ETREAT", "--out", afar.folder / "x")
    assert afar.run("open", people.record, *out, actor=doctor).code == 0
    explained = afar.run(
        "why", "read", "--record", people.record, "--purpose", "BTG", actor=doctor
    ).out
    assert f"permit by S8 (emergency), based on entry {seq}" in explained
    listed = afar.run("emergency", "list", actor=admin).out
    assert emergency in listed and "1 reading; to be reviewed by" in listed
    shown = afar.run("emergency", "show", emergency, actor=admin).out
    assert "life_at_risk: Fell from a ladder" in shown and people.record in shown
    found = ("--finding", "justified", "--text", "As it should be")
    assert "reviewed" in afar.run("emergency", "review", emergency, *found, actor=admin).out
    assert (
        "reviewed by entry" in afar.run("emergency", "list", "--state", "reviewed", actor=admin).out
    )
    history = afar.run("history", actor=pat.actor).out
    assert f"IN THE EMERGENCY of entry {seq}" in history
    assert "Fell from a ladder" in history and "As it should be" in history


def test_status_counts_what_is_owed(afar: Afar) -> None:
    people = afar.people
    told = ("--reason", "other", "--text", "Fell")
    afar.run("emergency", "declare", people.pat.patient, *told, actor=people.doctor)
    assert "emergencies: 1 review to come" in heartwood(people.fixture.settings, "status").out


def test_an_accounting_in_words_and_as_csv(afar: Afar) -> None:
    """Text that a spreadsheet could take for a formula is none there."""
    people, pat, system = afar.people, afar.people.pat.actor, afar.people.fixture.north.system
    said = (
        "--recipient", '=cmd|"Court"', "--address", "Street 1, Town", "--description", "Blood, \"all\" of it",
        "--statement", "A subpoena",
    )  # fmt: skip
    assert "the patient is told" in afar.run("disclose", people.record, *said, actor=system).out
    later = ("--suspend-until", format_time(people.fixture.ledger.clock() + 86_400_000))
    afar.run("disclose", people.record, *said, *later, actor=system, code=2)
    withheld = afar.run(
        "disclose", people.record, *said, *later, "--order", "No. 1", actor=system
    ).out
    assert "told from" in withheld
    words = afar.run("disclosures", actor=pat).out
    assert "Nordklinik gave 1 record to =cmd" in words and "1 disclosure in 6 years" in words
    (head, row) = csv.reader(io.StringIO(afar.run("disclosures", "--csv", actor=pat).out))
    found = dict(zip(head, row, strict=True))
    assert found["recipient"] == '\'=cmd|"Court"' and found["address"] == "Street 1, Town"
    assert (found["description"], found["purpose"]) == ('Blood, "all" of it', "HLEGAL")
    assert found["records"] == f"{people.record}/1"
    assert afar.json("disclosures", actor=pat)["disclosures"][0]["whole"] is True
    assert heartwood(people.fixture.settings, "tell-disclosures").out.strip() == "0 patients told"
