"""Sessions by password at the command line, beside the data and from afar: register, sign in, act, step up, change the role, sign out."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import applying
from client.local import LocalClient
from client.relatives import LINK
from identity.actors import write_keyfile
from ledger.entry import Entry
from storage.sql.passkeys import Passkey
from tests.support.ledger_fixture import LedgerFixture
from tests.support.server import in_process
from tests.support.sign_ins import PASSWORD
from tests.support.signed_in import Commands, Typist, printed_code

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(params=["beside", "afar"])
def commands(request: pytest.FixtureRequest, fixture: LedgerFixture) -> Iterator[Commands]:
    if request.param == "beside":
        yield Commands.of(fixture)
        return
    with in_process(fixture.ledger) as web:
        yield Commands.of(fixture, web.url)


@pytest.fixture
def ada(commands: Commands, tmp_path: Path) -> Typist:
    return Typist.registers(commands, tmp_path / "config" / "ada", "Ada Lind")


def entry(fixture: LedgerFixture, seq: int) -> Entry:
    return fixture.ledger.entry(seq)


def test_somebody_registers_alone_and_acts_as_a_patient(
    ada: Typist, fixture: LedgerFixture
) -> None:
    """Each act is signed by the kept key, and its entry names the sign-in; what needs a fresh code asks for one."""
    assert stat.S_IMODE(ada.session.stat().st_mode) == 0o600
    chart = ada.json("account", "chart", "Ada Lind", "--born", "1958-03-14")["patient"]
    assert "keyfile" not in ada.json("account", "role")
    assert ada.json("account", "role", "patient")["role"] == "patient"
    listed = ada.json("chart", "--patient", chart)
    assert listed["records"] == []
    opened = entry(fixture, listed["seq"])
    assert opened.event.actor == ada.account
    session = (opened.decision or {})["session"]
    assert entry(fixture, session).event.type.name == "session.opened"
    doctor = fixture.doctor().account
    granted = ada.json("grant", doctor, "--patient", chart, "--days", 1, typed=(ada.second(),))
    stepped = (entry(fixture, granted["seq"]).decision or {})["session"]
    assert entry(fixture, stepped).event.type.name == "session.stepped_up"
    # Within five minutes no other code is asked for.
    assert ada.json("revoke", "--grantee", doctor, "--patient", chart)["seq"]
    fixture.verify()


def test_a_wrong_code_steps_nobody_up_and_nothing_is_appended(
    ada: Typist, fixture: LedgerFixture
) -> None:
    before = fixture.ledger.head().size
    hospital = fixture.north.hospital
    refused = ada.run("account", "apply", hospital, typed=("000000",), code=1)
    assert "wrong" in refused.err
    assert "expected it as a line" in ada.run("account", "apply", hospital, code=2).err
    assert fixture.ledger.head().size == before
    ada.run("account", "apply", hospital, typed=(ada.second(),))


def test_the_role_is_chosen_and_changed_without_signing_in_anew(
    ada: Typist, fixture: LedgerFixture, tmp_path: Path
) -> None:
    """A doctor who applied and was approved; from a patient's session the role of staff takes a fresh code."""
    hospital = fixture.north.hospital
    ada.run("account", "apply", hospital, typed=(ada.second(),))
    client = LocalClient(fixture.ledger)
    applying.approve_doctor(client, fixture.north.admin, ada.account, "physician")
    ada.json("account", "chart", "Ada Lind", "--born", "1958-03-14")
    roles = ada.json("account", "role")["roles"]
    assert [(one["role"], one["hospital"]) for one in roles] == [
        ("person", ""), ("patient", ""), ("doctor", hospital),
    ]  # fmt: skip
    before = json.loads(ada.session.read_text())["given"]
    assert ada.json("account", "role", "patient")["role"] == "patient"
    taken = ada.json("account", "role", "doctor")
    assert (taken["role"], taken["hospital"]) == ("doctor", hospital)
    assert "don't hold the role auditor" in ada.run("account", "role", "auditor", code=2).err
    wrong = ada.run("account", "apply", fixture.south.hospital, code=2).err
    assert "`heartwood account role person` first" in wrong
    (one,) = ada.json("account", "sessions")["sessions"]
    assert one["current"] and one["session"] != before["session"]
    ada.run("account", "sign-out")
    several = ada.signs_in()
    assert f"doctor at {hospital}" in several.out and "signed in as person" in several.out
    assert "as doctor at" in ada.signs_in("--role", "doctor", "--hospital", hospital).out


def test_a_relative_acts_in_a_session(ada: Typist, fixture: LedgerFixture, tmp_path: Path) -> None:
    """Linked as oneself, then in a role that takes codes; it ends with the relation."""
    chart = ada.json("account", "chart", "Ada Lind", "--born", "1958-03-14")["patient"]
    ada.json("account", "role", "patient")
    note = tmp_path / "note.txt"
    note.write_text("Haemoglobin 13.9 g/dl")
    ada.run("upload", note, "--category", "laboratory", "--patient", chart, "--purpose", "PATRQT")
    tom = Typist.registers(ada.commands, tmp_path / "config" / "tom", "Tom Lind")
    out = tmp_path / "invitation.txt"
    ada.run(
        "relative",
        "invite",
        "--may",
        "look",
        "--out",
        out,
        "--patient",
        chart,
        typed=(ada.second(),),
    )
    line = next(one for one in out.read_text().split() if one.startswith(LINK))
    assert "don't hold the role relative" in tom.run("account", "role", "relative", code=2).err
    tom.run("relative", "link", line)
    asked = ("chart", "--for", chart, "--purpose", "FAMRQT")
    assert "`heartwood account role relative` first" in tom.run(*asked, code=2).err
    assert tom.json("account", "role", "relative")["role"] == "relative"
    opened = entry(fixture, tom.json(*asked)["seq"])
    assert opened.event.role == "relative" and opened.event.value["on_behalf_of"] == ada.account
    ada.run("relative", "unlink", tom.account, "--patient", chart)
    assert "not an active relative" in tom.run(*asked, code=2).err
    fixture.verify()


def test_signing_out_ends_the_session_and_leaves_no_token(
    ada: Typist, fixture: LedgerFixture, tmp_path: Path
) -> None:
    stolen = tmp_path / "stolen"
    stolen.write_bytes(ada.session.read_bytes())
    stolen.chmod(0o600)
    ada.run("account", "sign-out")
    assert not ada.session.exists()
    assert "nobody is signed in" in ada.run("account", "sessions", code=2).err
    for words in (("account", "sessions"), ("account", "chart", "Ada", "--born", "1958-03-14")):
        assert ada.run(*words, "--as", stolen, code=2).err
    ada.run("account", "sign-out", "--as", stolen)  # what has ended stays ended
    assert not stolen.exists()
    ada.signs_in("--session", tmp_path / "other")
    ada.signs_in()
    assert len(ada.json("account", "sessions")["sessions"]) == 2
    ada.run("account", "sign-out", "--all")
    assert ada.run("account", "sessions", "--as", tmp_path / "other", code=2).err


def test_a_session_is_sent_to_its_own_server_alone(
    ada: Typist, fixture: LedgerFixture, tmp_path: Path
) -> None:
    """Another place, another log, a file open to others, one of another form: refused before the token leaves."""
    held = json.loads(ada.session.read_text())
    for changed in ({"url": "http://127.0.0.1:9"}, {"origin": "elsewhere.example/log"}):
        ada.session.write_text(json.dumps(held | changed))
        refused = ada.run("account", "sessions", code=2).err
        assert "sign in" in refused and held["given"]["token"] not in refused
    ada.session.write_text(json.dumps(held | {"more": 1}))
    assert "does not hold a session" in ada.run("account", "sessions", code=2).err
    ada.session.write_text(json.dumps(held))
    ada.session.chmod(0o644)
    assert "readable by others" in ada.run("account", "sessions", code=2).err
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    assert "keeps no session" in ada.signs_in("--session", other, code=2).err
    assert other.read_text() == "mine"


def test_passwords_come_from_a_file_that_its_owner_alone_reads(ada: Typist, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o644)
    words = ("account", "sign-in", ada.account, "--password-file", file)
    assert "readable by others" in ada.run(*words, code=2).err
    file.chmod(0o600)
    done = ada.run(*words, typed=(ada.second(),))
    assert PASSWORD not in done.out + done.err
    wrong = ada.run("account", "sign-in", ada.account, typed=("wrong horse battery", ada.second()), code=2)  # fmt: skip
    unknown = ada.run("account", "sign-in", "ac_01jd3q8m5c0000000000000001", typed=("wrong horse battery", "0123-4567-89ab-cdef"), code=2)  # fmt: skip
    assert wrong.err == unknown.err


def test_kept_keys_are_rotated_replaced_and_brought_back(
    ada: Typist, fixture: LedgerFixture, tmp_path: Path
) -> None:
    (first,) = ada.json("account", "key", "list")["keys"]
    second = ada.json("account", "key", "rotate", typed=(ada.second(),))["key"]
    assert second != first["key"]
    own = tmp_path / "own.key"
    made = ada.json("account", "key", "replace", "--out", own, typed=(ada.second(),))
    assert [one["key"] for one in ada.json("account", "key", "list")["keys"] if one["active"]] == [
        made["key"]
    ]
    hospital = fixture.north.hospital
    assert (
        "keeps no key" in ada.run("account", "apply", hospital, typed=(ada.second(),), code=2).err
    )
    ada.run("account", "apply", hospital, "--as", own)
    kept = ada.json("account", "key", "keep", "--as", own)
    ada.run("account", "key", "revoke", kept["key"], typed=(ada.second(),))


def test_a_registration_that_stops_says_how_to_go_on(
    commands: Commands, fixture: LedgerFixture, tmp_path: Path
) -> None:
    """The account stands; codes and key are made afterwards, by what the message says."""
    who = Typist(commands, tmp_path / "session")
    stopped = who.run("account", "register", "Bo", typed=(PASSWORD, "000000"), code=1)
    who.account = stopped.out.split(" is ")[1].strip()
    assert f"heartwood account sign-in {who.account}" in stopped.err
    who.run("account", "sign-in", who.account, typed=(PASSWORD, ""))
    made = who.json("account", "code", typed=(PASSWORD, printed_code))
    who.recovery = made["recovery"]
    assert "second factor" in who.run("account", "key", "keep", code=1).err
    who.run("account", "step-up", typed=(who.second(),))
    who.run("account", "key", "keep")
    again = who.json("account", "code", typed=(PASSWORD, who.second(), printed_code))
    assert len(again["recovery"]) == 10


def test_an_operators_acts_beside_the_data_are_done_in_a_session_too(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """The operator lets the service keep a key, and approves a hospital without the key file."""
    commands, operator = Commands.of(fixture), fixture.operator
    key = write_keyfile(tmp_path / "operator.key", operator)
    who = Typist(commands, tmp_path / "session", operator.account)
    who.run("account", "password", "--as", key, typed=(PASSWORD,))
    who.recovery = who.json("account", "code", "--as", key, typed=(PASSWORD, printed_code))[
        "recovery"
    ]
    who.run("account", "key", "keep", "--as", key)
    who.signs_in()
    bo = Typist.registers(commands, tmp_path / "bo", "Bo")
    words = ("--hospital-name", "Lakeside", "--contact", "Bo", "--time-zone", "Europe/Berlin")
    applied = bo.json("account", "apply", *words, typed=(bo.second(),))
    approved = who.json("account", "approve", applied["hospital"], typed=(who.second(),))
    assert entry(fixture, approved["seq"]).event.actor == operator.account
    assert "hospital_admin at" in bo.signs_in().out
    fixture.verify()


def test_passkeys_are_listed_and_removed_by_a_fresh_code(
    ada: Typist, fixture: LedgerFixture
) -> None:
    """A browser makes them (`test_passkeys`); here one stands in the database already."""
    row = Passkey(
        b"\x01" * 16, ada.account, b"\x02" * 77, 0, 1_700_000_000_000, 1_700_000_000_000, 0
    )
    with fixture.ledger.credentials._database.write() as connection:
        assert fixture.ledger.credentials.add_passkey(connection, row)
    (shown,) = ada.json("account", "passkeys", "list")["passkeys"]
    assert shown["passkey"] == row.name and row.name in ada.run("account", "passkeys", "list").out
    remove = ("account", "passkeys", "remove")
    assert "expected it as a line" in ada.run(*remove, row.name, code=2).err
    assert ada.json("account", "passkeys", "list")["passkeys"]
    ada.run(*remove, row.name, typed=(ada.second(),))
    assert ada.run("account", "passkeys", "list").out.strip() == "0 passkeys"
    assert "not a passkey" in ada.run(*remove, "x", code=2).err
    assert "no such passkey" in ada.run(*remove, row.name, code=1).err
