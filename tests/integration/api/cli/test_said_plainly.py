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
from tests.support.people import Town
from tests.support.scene import Scene
from tests.support.server import in_process

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def afar(town: Town, tmp_path: Path) -> Iterator[Afar]:
    scene = Scene.of(town)
    with in_process(town.ledger) as web:
        yield Afar(scene, web.url, tmp_path)


@pytest.mark.parametrize(
    "number", [("--days", "0"), ("--days", "-1"), ("--uses", "0"), ("--uses", "-3")]
)
def test_none_is_not_all(afar: Afar, number: tuple[str, str]) -> None:
    size = afar.scene.town.size()
    ran = afar.run("grant", afar.scene.doctor.account, *number, actor=afar.scene.pat.actor, code=2)
    assert number[0] in ran.err and afar.scene.town.size() == size
    client, pat = LocalClient(afar.scene.town.ledger), afar.scene.pat
    nothing: list[dict[str, Any]] = [{"days": 0}, {"uses": 0}]
    for given in nothing:
        with pytest.raises(RecordsError, match="at least 1"):
            grants.grant(client, pat.actor, pat.patient, afar.scene.doctor.account, **given)
    afar.run("open", afar.scene.record, "--version", "0", actor=pat.actor, code=2)


def test_an_empty_option_is_not_a_missing_one(afar: Afar) -> None:
    """As of an unset shell variable: it names nobody, and not oneself."""
    pat, size = afar.scene.pat.actor, afar.scene.town.size()
    afar.run("grant", afar.scene.doctor.account, "--patient", "", actor=pat, code=2)
    afar.run("key", "revoke", pat.key.id, "--account", "", actor=pat, code=2)
    assert afar.scene.town.size() == size


def test_a_grant_is_confirmed_by_name_scope_purpose_and_end(afar: Afar) -> None:
    scene, pat, doctor = afar.scene, afar.scene.pat.actor, afar.scene.doctor
    said = afar.run(
        "grant", doctor.account, "--days", 3, "--uses", 1, "--purpose", "TREAT", "--purpose", "HPAYMT",
        "--category", "imaging", actor=pat,
    ).out  # fmt: skip
    for words in (
        f"Granted Dr. Ö ({doctor.account}, Südklinik)", "categories imaging", "HPAYMT, TREAT",
        "at most 1 reading,", "(Europe/Berlin)",
    ):  # fmt: skip
        assert words in said, said
    house = afar.run("grant", scene.town.south.hospital, actor=pat).out
    assert "Granted Südklinik (hs_" in house and "the whole chart" in house
    gone = afar.run("revoke", "--grantee", doctor.account, actor=pat).out
    assert "Revoked Dr. Ö (" in gone and "ended: gr_" in gone and "still in force: hs_" in gone


def test_who_could_not_use_a_grant_gets_none(afar: Afar) -> None:
    scene, town, pat = afar.scene, afar.scene.town, afar.scene.pat.actor
    auditor = afar.json("auditor", "add", "Aud", actor=town.operator)["account"]
    gone = town.doctor()
    staff.suspend_doctor(LocalClient(town.ledger), town.south.admin, gone.account)
    group, _ = groups.form(LocalClient(town.ledger), town.south.admin, "Radiologie")
    said = afar.run("grant", group, actor=pat).out
    assert "Radiologie of Südklinik" in said
    size = town.size()
    for who in (
        auditor,
        gone.account,
        pat.account,
        scene.kim.actor.account,
        town.north.system.account,
    ):
        ran = afar.run("grant", who, actor=pat, code=2)
        assert "nothing was granted" in ran.err
    assert town.size() == size
    staff.suspend_hospital(LocalClient(town.ledger), town.operator, town.south.hospital)
    for who in (scene.doctor.account, town.south.hospital, group):
        assert "nothing was granted" in afar.run("grant", who, actor=pat, code=2).err
    afar.run("grant", "Dr. Ö", actor=pat, code=2)


def test_whether_an_account_is_a_patient_is_told_to_few(afar: Afar) -> None:
    town, kim = afar.scene.town, afar.scene.kim.actor
    client = LocalClient(town.ledger)
    asked = {
        who.account: [role.role for role in client.holder(who, kim.account).roles]
        for who in (kim, town.north.system, town.south.system, afar.scene.pat.actor)
    }
    assert list(asked.values()) == [["patient"], ["patient"], [], []]


def test_an_exclusion_says_what_still_holds(afar: Afar) -> None:
    scene, pat = afar.scene, afar.scene.pat.actor
    own = scene.town.doctor(scene.town.north)
    said = afar.run("exclude", own.account, actor=pat).out
    assert "Excluded Dr. Ö" in said and "Nordklinik wrote itself stays open" in said
    assert "S6 (own records)" in said and "S8" not in said
    assert afar.run("open", scene.record, "--out", afar.folder / "x", actor=own).code == 0
    assert "S8 (emergency)" in afar.run("exclude", scene.town.south.hospital, actor=pat).out


def test_a_revoked_grant_is_not_named_by_its_revocation(afar: Afar) -> None:
    scene, pat = afar.scene, afar.scene.pat.actor
    given = afar.json("grant", scene.doctor.account, actor=pat)["grant"]
    gone = afar.json("revoke", "--grantee", scene.doctor.account, actor=pat)["seq"]
    asked = ("why", "read", "--record", scene.record)
    about = (
        "--actor",
        scene.doctor.account,
        "--role",
        "doctor",
        "--hospital",
        scene.doctor.hospital,
    )
    why = afar.run(*asked, *about, actor=pat).out
    assert f"grant of entry {gone}" not in why and given in why
    assert "deny by S12 (default)" in afar.run(*asked, actor=scene.doctor).out


def test_a_history_names_the_record_and_the_rule(afar: Afar) -> None:
    scene = afar.scene
    afar.run("open", scene.record, "--out", afar.folder / "x", actor=scene.doctor, code=1)
    (line,) = [
        line for line in afar.run("history", actor=scene.pat.actor).out.splitlines() if "REFUSED" in line
    ]  # fmt: skip
    assert scene.record in line and "S12 (default)" in line


def test_no_label_and_no_time_zone_that_is_none(afar: Afar) -> None:
    scene, town, client = afar.scene, afar.scene.town, LocalClient(afar.scene.town.ledger)
    size, letter = town.size(), afar.folder / "letter"
    letter.write_text("x")
    chart = ("--patient", scene.pat.patient)
    for words in (("--category", "lab"), ("--category", "document", "--label", "PSYCH")):
        ran = afar.run("upload", letter, *chart, *words, actor=town.north.system, code=2)
        assert "choose one of" in ran.err
    afar.run("grant", scene.doctor.account, "--label", "PSYCH", actor=scene.pat.actor, code=2)
    with pytest.raises(RecordsError, match="unknown label"):
        client.seal(town.north.system, scene.pat.patient, scene.record, "ev_x", {}, ["PSYCH"])
    for zone in ("Nowhere/Land", "Europe", "europe/berlin"):
        afar.run("hospital", "add", "West", "--time-zone", zone, actor=town.operator, code=2)
        body = {"hospital": scene.id("hs"), "name": "West", "time_zone": zone}
        event = town.operator.event("hospital.approved", "ledger", body, client.now())
        with pytest.raises(Refused, match="time zone"):
            append(town.ledger, town.operator, [event])
        web = in_process(town.ledger)
        with web as served:
            answer = served.post("/v1/events", served.signed(event, town.operator))
        assert answer.status_code == 400 and "time zone" in answer.json()["detail"]
    assert town.size() == size
    registering.add_hospital(client, town.operator, "West", "Pacific/Kiritimati")


def test_an_id_that_is_none_is_named_as_it_was_given(afar: Afar) -> None:
    pat, scene, size = afar.scene.pat.actor, afar.scene, afar.scene.town.size()
    for command in (("chart",), ("history",), ("grant", scene.doctor.account), ("why", "read")):
        ran = afar.run(*command, "--patient", "pt_foo", actor=pat, code=2)
        assert "'pt_foo' is not a patient id" in ran.err and "[0-9" not in ran.err
    afar.run("group", "add", "X", actor=scene.town.operator, code=2)
    afar.run("doctor", "suspend", scene.doctor.account, actor=scene.town.operator, code=2)
    assert scene.town.size() == size
