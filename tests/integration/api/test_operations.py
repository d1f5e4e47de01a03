"""What operators and admins do: policies that wait or don't, people who come and go, how a ledger stands."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.app.settings import Settings
from api.operator import policies
from api.operator.policies import altered
from client import groups
from client.beside import append
from client.local import LocalClient
from crypto.encoding import b64encode
from crypto.notes import LogSigner
from identity.actors import Actor, write_keyfile
from journeys.questions import Question
from ledger.auditor import check_against, check_receipt
from ledger.directory import Group, Hospital, Member
from ledger.errors import Refused, Tampered
from ledger.files import read_file
from ledger.policies import POLICY_WAIT_MS, widened
from ledger.registry import EDITION
from ledger.times import DAY_MS, parse_time
from records.explaining import why
from storage.clock import wall_clock
from storage.sql.upgrade import REVISIONS
from storage.status import status
from tests.integration.storage.test_rebuild import sql
from tests.support import exports
from tests.support.commands import heartwood
from tests.support.exports import Export, Forger, signed, write_files
from tests.support.histories import History, reading
from tests.support.ledger_fixture import LedgerFixture, denied
from tests.support.memory_log import with_manifest
from tests.support.server import good, in_process


@pytest.fixture
def operator(fixture: LedgerFixture) -> Path:
    """The operator's key file."""
    return keyfile(fixture, fixture.operator)


def keyfile(fixture: LedgerFixture, actor: Actor) -> Path:
    """A key file of somebody who has none in the ledger's folder."""
    path = fixture.settings.data.with_name(f"{actor.role}-{actor.key.id}.key")
    return path if path.exists() else write_keyfile(path, actor)


# Policies


def test_what_narrows_is_in_force_at_once(fixture: LedgerFixture, operator: Path) -> None:
    first = heartwood(fixture.settings, "policy", "show", "--json").json
    assert (first["seq"], first["pending"]) == (0, [])
    told = heartwood(
        fixture.settings, "policy", "set", "grant_days_max=90", "assurance.amend=2", "--as", operator, "--json"
    )  # fmt: skip
    changed = told.json
    assert (told.code, changed["widens"]) == (0, [])
    now = heartwood(fixture.settings, "policy", "show", "--json").json
    assert {name: now[name] for name in ("seq", "since", "policy")} == {
        name: changed[name] for name in ("seq", "since", "policy")
    }
    expected = first["policy"] | {"grant_days_max": 90}
    expected["assurance"] = first["policy"]["assurance"] | {"amend": 2}
    assert now["policy"] == expected
    assert fixture.ledger.policy.grant_days_max == 90
    shown = heartwood(fixture.settings, "policy", "show").out
    assert "assurance.amend = 2\n" in shown and "grant_days_max = 90\n" in shown


def test_what_widens_waits(fixture: LedgerFixture, operator: Path) -> None:
    ran = heartwood(fixture.settings, "policy", "set", "grant_days_max=400", "--as", operator)
    assert ran.code == 0 and "takes effect at" in ran.out and "waits 7 days" in ran.out
    assert "(grant_days_max)" in ran.out and fixture.ledger.policy.grant_days_max == 365
    shown = heartwood(fixture.settings, "policy", "show").out
    assert "grant_days_max = 365\n" in shown
    assert "pending until" in shown and "  grant_days_max = 400 (before: 365)" in shown
    (pending,) = heartwood(fixture.settings, "policy", "show", "--json").json["pending"]
    entry = fixture.ledger.entry(pending["seq"])
    assert parse_time(pending["since"]) == entry.time + POLICY_WAIT_MS
    # A further change builds on what is pending, and doesn't hold it up.
    more = policies.change(fixture.ledger, fixture.operator, ["refusals_per_hour=50"])
    assert more.widens == ("grant_days_max", "refusals_per_hour")
    both = policies.standing(fixture.ledger).pending
    assert [row.seq for row in both] == [pending["seq"], more.row.seq]
    assert both[1].policy["grant_days_max"] == 400


def test_more_assurance_on_the_own_chart_waits_and_says_so(
    fixture: LedgerFixture, operator: Path
) -> None:
    """It could lock patients out of their own charts, so they are given the time to get a better key."""
    ran = heartwood(fixture.settings, "policy", "set", "assurance.read=3", "--as", operator)
    assert "or ask more of patients on their own charts (assurance)" in " ".join(ran.out.split())
    assert "takes effect at" in ran.out and "waits 7 days" in ran.out


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_professions_may_is_shown_and_changed(fixture: LedgerFixture, operator: Path) -> None:
    """By the table at first, which no entry holds; less counts at once, more waits, and both are told over HTTP, too."""
    shown = heartwood(fixture.settings, "policy", "show").out
    assert "professions.trainee = append,list,read\n" in shown
    assert "professions.physician = amend,append,declare_emergency,hold," in shown
    ran = heartwood(
        fixture.settings,
        "policy",
        "set",
        "professions.trainee=read,list",
        "--as",
        operator,
        "--json",
    )
    assert (ran.code, ran.json["widens"]) == (0, [])
    entry = fixture.ledger.entry(ran.json["seq"])
    assert entry.event.value["v"] == 2
    assert entry.event.body["policy"]["professions"]["trainee"] == ["list", "read"]
    ran = heartwood(
        fixture.settings, "policy", "set", "professions.nurse=register", "--as", operator, "--json"
    )
    assert ran.json["widens"] == ["professions"]
    assert (
        "  professions.nurse = register (before: "
        in heartwood(fixture.settings, "policy", "show").out
    )
    with in_process(fixture.ledger) as web:
        told = good(web.get("/v1/log"))["policy"]["professions"]
    assert (told["trainee"], len(told["nurse"])) == (["list", "read"], 7)
    for change in ("professions.surgeon=read", "professions.nurse=export", "professions=read"):
        ran = heartwood(fixture.settings, "policy", "set", change, "--as", operator)
        assert ran.code == 2 and "professions" in ran.err, ran


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_trainee_is_refused_and_told_why(fixture: LedgerFixture) -> None:
    """What the approval names counts from its entry on, on record and in words."""
    history, doctor = History(fixture, fixture.person()), fixture.doctor(fixture.north)
    lab = history.upload(fixture.north.system)
    changed = {"record": lab["record"], "purpose": "TREAT"}
    north, admin = f"hospital/{fixture.north.hospital}", fixture.north.admin
    history.do(admin, "doctor.ended", {"account": doctor.account}, north)
    approved = {"account": doctor.account, "profession": "trainee"}
    history.do(admin, "doctor.approved", approved, north, v=2)
    assert history.do(doctor, "record.opened", reading(lab)).decision
    assert history.refused(doctor, "record.retracted", changed)[1] == "role"
    asked = Question(
        history.pat.patient, doctor.account, "doctor", fixture.north.hospital, "retract", "TREAT", lab["record"]
    )  # fmt: skip
    told = why(fixture.ledger, doctor.caller, asked).explanation
    assert "profession trainee" in told.why
    assert told.changes == ("only these professions may retract: laboratory, nurse, physician",)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_after_the_wait_it_is_in_force(fixture: LedgerFixture) -> None:
    """To the millisecond; decisions are judged by the policy of their time."""
    waiting = policies.change(
        fixture.ledger, fixture.operator, ["custodian_reads=false", "care_link=basic"]
    )
    assert waiting.widens == ("care_link",)
    history, late = History(fixture, fixture.person()), waiting.row.since - wall_clock()
    lab = history.upload(fixture.north.system)
    author = fixture.doctor(fixture.north)
    assert history.do(author, "record.opened", reading(lab)).decision
    fixture.reopen(lambda: wall_clock() + late + 60_000)
    assert policies.standing(fixture.ledger).in_force == waiting.row
    assert history.refused(author, "record.opened", reading(lab))[1] == "no_consent"


def test_what_is_pending_can_be_dropped(fixture: LedgerFixture, operator: Path) -> None:
    policies.change(fixture.ledger, fixture.operator, ["grant_days_max=400"])
    ran = heartwood(
        fixture.settings, "policy", "set", "--drop-pending", "emergency_hours=2", "--as", operator
    )
    assert ran.code == 0 and "in force since" in ran.out
    now = policies.standing(fixture.ledger)
    assert now.pending == () and now.in_force.policy["grant_days_max"] == 365
    assert now.in_force.policy["emergency_hours"] == 2
    policies.change(fixture.ledger, fixture.operator, ["grant_days_max=400"])
    policies.change(fixture.ledger, fixture.operator, [], drop_pending=True)
    assert policies.standing(fixture.ledger).pending == ()


WRONG: Mapping[str, str] = {
    "grant_days_max": "expected NAME=VALUE with NAME one of assurance.ACTION, care_link",
    "unheard=1": "expected NAME=VALUE",
    "assurance=2": "expected NAME=VALUE",
    "grant_days_max.read=1": "expected NAME=VALUE",
    "grant_days_max=many": "expected a whole number",
    "grant_days_max=-1": "expected a whole number",
    "grant_days_max=٣": "expected a whole number",
    "grant_days_max=0": "grant_days_max",
    "grant_days_max=99999": "grant_days_max",
    "custodian_reads=yes": "expected true or false",
    "care_link=all": "care_link",
    "assurance.read=4": "assurance",
    "assurance.sing=1": "assurance",
    "private_labels=XXX": "private_labels",
    "grant_days_max=365": "already says so; nothing was appended",
}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_wrong_change_is_refused(fixture: LedgerFixture, operator: Path) -> None:
    size = fixture.size()
    for change, said in WRONG.items():
        ran = heartwood(fixture.settings, "policy", "set", change, "--as", operator)
        assert ran.code == 2 and said in ran.err, (change, ran)
    admin = keyfile(fixture, fixture.north.admin)
    ran = heartwood(fixture.settings, "policy", "set", "grant_days_max=1", "--as", admin)
    assert ran.code == 1 and "got the role hospital_admin" in ran.err
    assert fixture.size() == size


def test_values_are_taken_in_the_types_of_their_fields() -> None:
    old: dict[str, Any] = {
        "assurance": {"read": 1}, "care_link": "off", "custodian_reads": True, "grant_days_max": 365,
        "private_labels": ["PSY"],
    }  # fmt: skip
    changes = [
        "private_labels=STD,PSY,STD",
        "care_link=basic",
        "custodian_reads=false",
        "assurance.grant=2",
    ]
    new = altered(old, changes)
    assert new == old | {
        "assurance": {"read": 1, "grant": 2}, "care_link": "basic", "custodian_reads": False,
        "private_labels": ["PSY", "STD"],
    }  # fmt: skip
    assert old["assurance"] == {"read": 1}
    assert widened(old, new, EDITION) == ["assurance", "care_link"]
    assert altered(old, ["private_labels="])["private_labels"] == []
    assert policies.fields(old)["assurance.read"] == 1


# Auditors, groups, suspensions


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_an_auditor_is_appointed_for_a_term(fixture: LedgerFixture, operator: Path) -> None:
    told = heartwood(
        fixture.settings, "auditor", "add", "Revision AG", "--days", 3, "--as", operator, "--json"
    )
    assert told.code == 0 and told.json.keys() == {"account", "key", "keyfile", "seq"}
    row = fixture.ledger.row(Member, told.json["account"], "auditor", "")
    assert row is not None and row.end - row.start == 3 * DAY_MS and row.seq == told.json["seq"]
    person = fixture.person()
    up = fixture.record(person)
    ran = heartwood(
        fixture.settings, "history", "--patient", person.patient, "--as", told.json["keyfile"], "--purpose", "HLEGAL"
    )  # fmt: skip
    assert ran.code == 0, ran
    out = fixture.settings.data.with_name("out")
    ran = heartwood(fixture.settings, "open", up.record, "--as", told.json["keyfile"], "--out", out)
    assert ran.code == 1 and not out.exists()
    assert (
        heartwood(fixture.settings, "auditor", "add", "X", "--days", 0, "--as", operator).code == 2
    )


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_groups_are_formed_joined_and_left(fixture: LedgerFixture) -> None:
    admin, doctor = keyfile(fixture, fixture.south.admin), fixture.doctor()
    told = heartwood(fixture.settings, "group", "add", "Kardiologie", "--as", admin, "--json").json
    group = told["group"]
    formed = fixture.ledger.entry(told["seq"]).event
    assert formed.body.keys() == {"group", "name"} and b"Kardiologie" not in formed.raw
    ran = heartwood(fixture.settings, "group", "join", group, doctor.account, "--as", admin)
    assert ran.code == 0 and f"{doctor.account} is in {group}" in ran.out
    ran = heartwood(fixture.settings, "group", "join", group, doctor.account, "--as", admin)
    assert ran.code == 1 and "already" in ran.err
    listed = heartwood(fixture.settings, "group", "list", fixture.south.hospital, "--json").json
    department = {"group": group, "seq": told["seq"], "accounts": [doctor.account]}
    assert listed["groups"] == [department | {"name": "Kardiologie"}]
    assert (
        heartwood(fixture.settings, "group", "leave", group, doctor.account, "--as", admin).code
        == 0
    )
    assert (
        f"{group} Kardiologie (entry {told['seq']}): nobody"
        in heartwood(fixture.settings, "group", "list", fixture.south.hospital).out
    )
    stranger = keyfile(fixture, fixture.north.admin)
    ran = heartwood(fixture.settings, "group", "join", group, doctor.account, "--as", stranger)
    assert ran.code == 1 and "not one of" in ran.err
    assert heartwood(fixture.settings, "group", "list", "hs_none").code == 2


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_groups_name_needs_its_reserved_key(fixture: LedgerFixture) -> None:
    """Without the key nobody could ever read the name; nor with a key that somebody else reserved."""
    admin, client = fixture.south.admin, LocalClient(fixture.ledger)
    group, _ = groups.form(client, admin, "Kardiologie")
    named = fixture.ledger.row(Group, group)
    assert named is not None
    body = dict(fixture.ledger.entry(named.seq).event.body)
    other = group[:-1] + ("0" if group[-1] != "0" else "1")
    stream = f"hospital/{admin.hospital}"
    with pytest.raises(Refused, match=f"no key was reserved for {other}"):
        append(
            fixture.ledger,
            admin,
            [admin.event("group.formed", stream, body | {"group": other}, client.now())],
        )
    without = {"group": other}
    append(fixture.ledger, admin, [admin.event("group.formed", stream, without, client.now())])


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_suspended_means_acting_no_more(fixture: LedgerFixture, operator: Path) -> None:
    history, doctor, other = History(fixture, fixture.person()), fixture.doctor(), fixture.doctor()
    lab = history.upload(fixture.north.system)
    history.grant(fixture.south.hospital)
    for one in (doctor, other):
        history.do(one, "record.opened", reading(lab))
    admin = keyfile(fixture, fixture.south.admin)
    assert heartwood(fixture.settings, "doctor", "suspend", doctor.account, "--as", admin).code == 0
    ran = heartwood(fixture.settings, "doctor", "suspend", doctor.account, "--as", admin)
    assert ran.code == 1 and "not an active doctor" in ran.err
    history.do(other, "record.opened", reading(lab))
    ran = heartwood(
        fixture.settings, "hospital", "suspend", fixture.south.hospital, "--as", operator
    )
    assert ran.code == 0
    hospital = fixture.ledger.row(Hospital, fixture.south.hospital)
    assert hospital is not None and not hospital.active
    for one in (doctor, other):
        event = one.event("record.opened", history.pat.stream, reading(lab), history.now)
        assert denied(fixture.answer(event, one.key)).decision["rule"] == "S0"


# Status


def test_how_a_ledger_stands(fixture: LedgerFixture) -> None:
    last = fixture.ledger.head().time
    least = wall_clock() - last
    told = heartwood(fixture.settings, "status", "--json")
    found = told.json
    assert told.code == 0 and found["refused"] is None
    assert (found["size"], found["schema"], found["edition"]) == (
        fixture.size(),
        REVISIONS[-1],
        EDITION,
    )
    assert found["lag"] == found["size"] - found["published"] and found["free"] > 0
    assert 0 <= least <= found["last_age"] <= wall_clock() - last
    assert (found["database_clock"] is None) == (not fixture.settings.database_url)
    ran = heartwood(fixture.settings, "status")
    assert (
        ran.code == 0
        and f"schema {REVISIONS[-1]}, registry {EDITION}" in ran.out
        and ran.out.endswith("opens: ready\n")
    )
    earlier = fixture.ledger.head().time - 9_000
    late = status(fixture.ledger.store, fixture.settings.data, lambda: earlier)
    assert late.last_age == -9_000


def test_what_would_not_open_is_said(settings: Settings) -> None:
    fixture = LedgerFixture.found(settings)
    fixture.close()
    with sql(settings) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    told = heartwood(settings, "status", "--json")
    assert told.code == 4 and "run `heartwood upgrade`" in told.json["refused"]
    assert told.json["schema"] == "0001" and told.json["size"] == town_size(settings)
    ran = heartwood(settings, "status")
    assert ran.code == 4 and "cannot start: the database has schema 0001" in ran.out


def town_size(settings: Settings) -> int:
    """Entries in a ledger that doesn't open."""
    with sql(settings) as connection:
        return int(connection.execute(text("SELECT count(*) FROM entries")).scalar_one())


def test_no_ledger_stands_nowhere(tmp_path: Path) -> None:
    ran = heartwood(Settings(data=tmp_path / "none"), "status")
    assert ran.code == 4 and "there is no ledger in" in ran.err
    assert not (tmp_path / "none").exists()


# Proofs against today's log


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return exports.large(tmp_path_factory.mktemp("large"))


def test_every_receipt_still_stands_in_a_later_export(large: Export, tmp_path: Path) -> None:
    place = write_files(large.files, tmp_path / "export")
    for data in (large.older, *large.receipts[:: len(large.receipts) // 20]):
        receipt = check_receipt(data, large.vkeys)
        assert check_against(receipt, partial(read_file, place), large.vkeys).size == large.size
        assert check_against(receipt, partial(read_file, place), None).size == large.size


def rewrite(forger: Forger, number: int) -> None:
    """Another entry in its place."""
    forger.rows[number]["sig"]["value"] = b64encode(bytes(64))


def test_a_receipt_of_another_history_is_found(large: Export, tmp_path: Path) -> None:
    """The log's operator rewrote it: an entry before the receipt's checkpoint, in whichever tile."""
    older = check_receipt(large.older, large.vkeys)
    for number in (1, older.index, 300, 520):
        forger = Forger(large)
        rewrite(forger, number)
        place = write_files(forger.publish(), tmp_path / str(number))
        with pytest.raises(Tampered, match="does not extend the older receipt's checkpoint"):
            check_against(older, partial(read_file, place), large.vkeys)


def test_tiles_of_the_old_history_beside_the_new_root_do_not_help(
    large: Export, tmp_path: Path
) -> None:
    """An export whose checkpoint is of a rewritten log and whose tiles are those that the receipt knows."""
    older = check_receipt(large.older, large.vkeys)
    forger = Forger(large)
    rewrite(forger, 520)
    forged = forger.publish()
    files = with_manifest(dict(large.files) | {"checkpoint": forged["checkpoint"]})
    for mixed in (
        files,
        forged | {p: d for p, d in large.files.items() if p.startswith("tile/0/")},
    ):
        place = write_files(mixed, tmp_path / "mixed")
        with pytest.raises(Tampered, match="does not extend"):
            check_against(older, partial(read_file, place), large.vkeys)


def test_a_log_that_was_cut_short_or_is_anothers_is_found(large: Export, tmp_path: Path) -> None:
    older = check_receipt(large.older, large.vkeys)
    forger = Forger(large)
    del forger.rows[40:]
    with pytest.raises(Tampered, match="cut short: the older receipt knows"):
        check_against(
            older, partial(read_file, write_files(forger.publish(), tmp_path / "cut")), large.vkeys
        )
    other = LogSigner(exports.ORIGIN, bytes(32), bytes(range(32)))
    anothers = write_files(signed(large, large.entries, other), tmp_path / "other")
    with pytest.raises(Tampered):
        check_against(older, partial(read_file, anothers), large.vkeys)


def test_check_and_verify_by_command(large: Export, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "no ledger is needed")
    place, keys = write_files(large.files, tmp_path / "now"), ("--vkey", large.data / "log.vkey")
    receipt = tmp_path / "receipt"
    receipt.write_bytes(large.older)
    told = heartwood(settings, "check", receipt, *keys, "--against", place, "--json")
    assert (told.code, told.json["size"], told.json["proven"]) == (0, large.size, True)
    ran = heartwood(settings, "check", receipt, *keys, "--against", place)
    assert f"is in the log of {large.size} entries" in ran.out
    assert heartwood(settings, "check", receipt, "--against", place).code == 3
    forger = Forger(large)
    del forger.rows[400:]
    cut = write_files(forger.publish(), tmp_path / "cut")
    ran = heartwood(settings, "check", receipt, *keys, "--against", cut)
    assert ran.code == 1 and "cut short" in ran.err
    assert heartwood(settings, "verify", place, *keys, "--since", cut).code == 0
    ran = heartwood(settings, "verify", cut, *keys, "--since", place)
    assert ran.code == 1 and "cut short: the older export" in ran.err
    rewrite(forger, 3)
    bent = write_files(forger.publish(), tmp_path / "bent")
    ran = heartwood(settings, "verify", place, *keys, "--since", bent)
    assert ran.code == 1 and "does not extend the older export's checkpoint" in ran.err
