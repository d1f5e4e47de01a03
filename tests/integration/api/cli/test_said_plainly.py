"""What commands about consent take and say: no grant by mistake, everybody by name, and what still holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import grants, groups, registering, staff
from client.beside import append
from client.local import LocalClient
from journeys.errors import RecordsError
from ledger.errors import Refused
from tests.integration.api.cli.test_commands_from_afar import Afar
from tests.support.ledger_fixture import LedgerFixture
from tests.support.people import People
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def afar(fixture: LedgerFixture, tmp_path: Path) -> Iterator[Afar]:
    people = People.of(fixture)
    with in_process(fixture.ledger) as web:
        yield Afar(people, web.url, tmp_path)


@pytest.mark.parametrize(
    "number", [("--days", "0"), ("--days", "-1"), ("--uses", "0"), ("--uses", "-3")]
)
def test_none_is_not_all(afar: Afar, number: tuple[str, str]) -> None:
    size = afar.people.fixture.size()
    ran = afar.run(
        "grant", afar.people.doctor.account, *number, actor=afar.people.pat.actor, code=2
    )
    assert number[0] in ran.err and afar.people.fixture.size() == size
    client, pat = LocalClient(afar.people.fixture.ledger), afar.people.pat
    nothing: list[dict[str, Any]] = [{"days": 0}, {"uses": 0}]
    for given in nothing:
        with pytest.raises(RecordsError, match="at least 1"):
            grants.grant(client, pat.actor, pat.patient, afar.people.doctor.account, **given)
    afar.run("open", afar.people.record, "--version", "0", actor=pat.actor, code=2)


def test_an_empty_option_is_not_a_missing_one(afar: Afar) -> None:
    """As of an unset shell variable: it names nobody, and not oneself."""
    pat, size = afar.people.pat.actor, afar.people.fixture.size()
    afar.run("grant", afar.people.doctor.account, "--patient", "", actor=pat, code=2)
    afar.run("key", "revoke", pat.key.id, "--account", "", actor=pat, code=2)
    assert afar.people.fixture.size() == size


def test_a_grant_is_confirmed_by_name_scope_purpose_and_end(afar: Afar) -> None:
    people, pat, doctor = afar.people, afar.people.pat.actor, afar.people.doctor
    said = afar.run(
        "grant", doctor.account, "--days", 3, "--uses", 1, "--purpose", "TREAT", "--purpose", "HPAYMT",
        "--category", "imaging", actor=pat,
    ).out  # fmt: skip
    for words in (
        f"Granted Dr. Ö ({doctor.account}, Südklinik)", "categories imaging", "HPAYMT, TREAT",
        "at most 1 reading,", "(Europe/Berlin)",
    ):  # fmt: skip
        assert words in said, said
    house = afar.run("grant", people.fixture.south.hospital, actor=pat).out
    assert "Granted Südklinik (hs_" in house and "the whole chart" in house
    gone = afar.run("revoke", "--grantee", doctor.account, actor=pat).out
    assert "Revoked Dr. Ö (" in gone and "ended: gr_" in gone and "still in force: hs_" in gone


def test_who_could_not_use_a_grant_gets_none(afar: Afar) -> None:
    people, fixture, pat = afar.people, afar.people.fixture, afar.people.pat.actor
    auditor = afar.json("auditor", "add", "Aud", actor=fixture.operator)["account"]
    gone = fixture.doctor()
    staff.suspend_doctor(LocalClient(fixture.ledger), fixture.south.admin, gone.account)
    group, _ = groups.form(LocalClient(fixture.ledger), fixture.south.admin, "Radiologie")
    said = afar.run("grant", group, actor=pat).out
    assert "Radiologie of Südklinik" in said
    size = fixture.size()
    for who in (
        auditor,
        gone.account,
        pat.account,
        people.kim.actor.account,
        fixture.north.system.account,
    ):
        ran = afar.run("grant", who, actor=pat, code=2)
        assert "nothing was granted" in ran.err
    assert fixture.size() == size
    staff.suspend_hospital(LocalClient(fixture.ledger), fixture.operator, fixture.south.hospital)
    for who in (people.doctor.account, fixture.south.hospital, group):
        assert "nothing was granted" in afar.run("grant", who, actor=pat, code=2).err
    afar.run("grant", "Dr. Ö", actor=pat, code=2)


def test_whether_an_account_is_a_patient_is_told_to_few(afar: Afar) -> None:
    fixture, kim = afar.people.fixture, afar.people.kim.actor
    client = LocalClient(fixture.ledger)
    asked = {
        who.account: [role.role for role in client.holder(who, kim.account).roles]
        for who in (kim, fixture.north.system, fixture.south.system, afar.people.pat.actor)
    }
    assert list(asked.values()) == [["patient"], ["patient"], [], []]


def test_an_exclusion_says_what_still_holds(afar: Afar) -> None:
    people, pat = afar.people, afar.people.pat.actor
    own = people.fixture.doctor(people.fixture.north)
    said = afar.run("exclude", own.account, actor=pat).out
    assert "Excluded Dr. Ö" in said and "Nordklinik wrote itself stays open" in said
    assert "S6 (own records)" in said and "S8" not in said
    assert afar.run("open", people.record, "--out", afar.folder / "x", actor=own).code == 0
    assert "S8 (emergency)" in afar.run("exclude", people.fixture.south.hospital, actor=pat).out


def test_a_revoked_grant_is_not_named_by_its_revocation(afar: Afar) -> None:
    people, pat = afar.people, afar.people.pat.actor
    given = afar.json("grant", people.doctor.account, actor=pat)["grant"]
    gone = afar.json("revoke", "--grantee", people.doctor.account, actor=pat)["seq"]
    asked = ("why", "read", "--record", people.record)
    about = (
        "--actor",
        people.doctor.account,
        "--role",
        "doctor",
        "--hospital",
        people.doctor.hospital,
    )
    why = afar.run(*asked, *about, actor=pat).out
    assert f"grant of entry {gone}" not in why and given in why
    assert "deny by S12 (default)" in afar.run(*asked, actor=people.doctor).out


def test_a_history_names_the_record_and_the_rule(afar: Afar) -> None:
    people = afar.people
    afar.run("open", people.record, "--out", afar.folder / "x", actor=people.doctor, code=1)
    (line,) = [
        line for line in afar.run("history", actor=people.pat.actor).out.splitlines() if "REFUSED" in line
    ]  # fmt: skip
    assert people.record in line and "S12 (default)" in line


def test_a_rule_is_never_a_number_alone(afar: Afar) -> None:
    """Whoever reads, by whichever rule; the other commands are held to it by `heartwood` and `Shell` in the tests."""
    people, pat, out = afar.people, afar.people.pat.actor, afar.folder
    own, north = ("--purpose", "PATRQT"), people.fixture.north
    said = afar.run("open", people.record, *own, "--out", out / "mine", actor=pat).out
    assert "permitted by S5 (own chart)" in said
    colleague = people.fixture.doctor(north)
    said = afar.run("open", people.record, "--out", out / "own", actor=colleague).out
    assert "permitted by S6 (own records)" in said
    refused = ("open", people.record, "--out", out / "refused")
    assert "S12 (default)" in afar.run(*refused, actor=people.doctor, code=1).err
    afar.run("grant", people.doctor.account, actor=pat)
    said = afar.run("open", people.record, "--out", out / "granted", actor=people.doctor).out
    assert "permitted by S9 (" in said
    said = afar.run("history", actor=pat).out
    assert all(rule in said for rule in ("S5 (own chart)", "S6 (own records)", "S9 (", "S12 ("))


def test_no_label_and_no_time_zone_that_is_none(afar: Afar) -> None:
    people, fixture, client = (
        afar.people,
        afar.people.fixture,
        LocalClient(afar.people.fixture.ledger),
    )
    size, letter = fixture.size(), afar.folder / "letter"
    letter.write_text("x")
    chart = ("--patient", people.pat.patient)
    for words in (("--category", "lab"), ("--category", "document", "--label", "PSYCH")):
        ran = afar.run("upload", letter, *chart, *words, actor=fixture.north.system, code=2)
        assert "choose one of" in ran.err
    afar.run("grant", people.doctor.account, "--label", "PSYCH", actor=people.pat.actor, code=2)
    with pytest.raises(RecordsError, match="unknown label"):
        client.seal(fixture.north.system, people.pat.patient, people.record, "ev_x", {}, ["PSYCH"])
    for zone in ("Nowhere/Land", "Europe", "europe/berlin"):
        afar.run("hospital", "add", "West", "--time-zone", zone, actor=fixture.operator, code=2)
        body = {"hospital": people.id("hs"), "name": "West", "time_zone": zone}
        event = fixture.operator.event("hospital.approved", "ledger", body, client.now())
        with pytest.raises(Refused, match="time zone"):
            append(fixture.ledger, fixture.operator, [event])
        web = in_process(fixture.ledger)
        with web as served:
            answer = served.post("/v1/events", served.signed(event, fixture.operator))
        assert answer.status_code == 400 and "time zone" in answer.json()["detail"]
    assert fixture.size() == size
    registering.add_hospital(client, fixture.operator, "West", "Pacific/Kiritimati")


def test_an_id_that_is_none_is_named_as_it_was_given(afar: Afar) -> None:
    pat, people, size = afar.people.pat.actor, afar.people, afar.people.fixture.size()
    for command in (("chart",), ("history",), ("grant", people.doctor.account), ("why", "read")):
        ran = afar.run(*command, "--patient", "pt_foo", actor=pat, code=2)
        assert "'pt_foo' is not a patient id" in ran.err and "[0-9" not in ran.err
    afar.run("group", "add", "X", actor=people.fixture.operator, code=2)
    afar.run("doctor", "suspend", people.doctor.account, actor=people.fixture.operator, code=2)
    assert people.fixture.size() == size
