"""Doctors by invitation, changed and shown by commands; next to the data and from afar."""

import re
import stat
from pathlib import Path

import pytest

from client import applying
from client.local import LocalClient
from tests.integration.api.cli.test_relatives import Desk, desk
from tests.support.inbox import mails_to, send

__all__ = ["desk"]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def somebody(desk: Desk, name: str = "Ida Ost") -> tuple[str, Path]:
    """Who registered alone: account and key file."""
    person, _ = applying.register(LocalClient(desk.fixture.ledger), name)
    return person.account, desk.key(name, person)


def test_by_a_letter(desk: Desk) -> None:
    """Written for the owner alone, scanned, taken up; used once, and listed with the name."""
    admin = desk.key("admin", desk.fixture.north.admin)
    group = desk.json("group", "add", "Radiology", "--as", admin)["group"]
    letter, (account, kin) = desk.folder / "letter.txt", somebody(desk)
    terms = ("--profession", "nurse", "--group", group, "--days", "90", "--valid", "7")
    made = desk.json("account", "invite", *terms, "--out", letter, "--as", admin)
    assert stat.S_IMODE(letter.stat().st_mode) == 0o600
    text = letter.read_text()
    assert "You are invited" in text and "eingeladen" in text and made["until"][:10] in text
    code = next(one for one in text.splitlines() if one.startswith("Code:")).split()[1]
    assert (
        made["invitation"]
        in desk.run("account", "invitations", "--state", "open", "--as", admin).out
    )
    named = (made["hospital"], "--invitation", made["invitation"], "--code")
    slip = code[:-2] + ("0" if code[-2] != "0" else "1") + code[-1]
    assert "typing error" in desk.run("account", "join", *named, slip, "--as", kin, code=2).err
    doctor = desk.folder / "doctor.key"
    done = desk.json("account", "join", *named, code, "--out", doctor, "--as", kin)
    assert (done["account"], stat.S_IMODE(doctor.stat().st_mode)) == (account, 0o600)
    again = desk.json("account", "join", *named, code, "--as", somebody(desk, "Kim")[1], code=1)
    assert again["problem"] == "invitation"
    (found,) = desk.json("account", "invitations", "--as", admin)["invitations"]
    assert (found["state"], found["account"], found["name"]) == ("joined", account, "Ida Ost")
    assert "taken up by" in desk.run("account", "invitations", "--as", admin).out
    (own,) = desk.json("account", "list", "--as", kin)["doctors"]
    assert (own["state"], own["profession"], own["groups"]) == ("approved", "nurse", [])
    page = desk.folder / "page.txt"
    page.write_text("hello")
    pat = desk.fixture.person()
    desk.json("upload", page, "--patient", pat.patient, "--category", "document", "--as", doctor)


def test_by_mail_and_withdrawn(desk: Desk) -> None:
    admin, address = desk.key("admin", desk.fixture.north.admin), "ida@klinik.example"
    made = desk.json("account", "invite", "--mail", address, "--language", "de", "--as", admin)
    send(desk.fixture)
    (mail,) = mails_to(desk.fixture, address)
    found = re.search(r"(?:[0-9A-Z]{4}-){6}[0-9A-Z]{2}[0-9A-Z*~$=]", mail)
    assert found is not None
    named = (made["hospital"], "--invitation", made["invitation"], "--code", found[0])
    desk.json("account", "join", *named, "--as", somebody(desk)[1])
    other = desk.json("account", "invite", "--mail", address, "--as", admin)
    assert "is withdrawn" in desk.run("account", "withdraw", other["invitation"], "--as", admin).out
    again = desk.json("account", "withdraw", other["invitation"], "--as", admin, code=1)
    assert again["problem"] == "conflict"
    states = [
        one["state"] for one in desk.json("account", "invitations", "--as", admin)["invitations"]
    ]
    assert states == ["joined", "withdrawn"]


def test_what_is_wrong_is_said(desk: Desk) -> None:
    admin, out = desk.key("admin", desk.fixture.north.admin), desk.folder / "letter.pdf"
    for arguments in (
        ("invite",), ("invite", "--out", out, "--mail", "ida@klinik.example"), ("invite", "--mail", "nobody"),
        ("invite", "--mail", "ida@klinik.example", "--language", "fr"), ("invitations", "--state", "used"),
        ("join", "hs_nobody", "--invitation", "ev_x", "--code", "x"), ("join", "heartwood:doctor-invitation?x=1"),
        ("withdraw", "ev_nobody"), ("change", "ac_01jd3q8m5c0000000000000001"), ("profile", "ac_nobody"),
    ):  # fmt: skip
        ran = desk.run("account", *arguments, "--as", admin, code=2)
        assert ran.err and "Traceback" not in ran.err
    assert not out.exists()
    desk.run("account", "invite", "--out", out, "--as", admin)
    assert out.read_bytes().startswith(b"%PDF")


def test_an_admin_changes_a_doctor(desk: Desk) -> None:
    """What isn't named stays; and ends what they are."""
    admin = desk.key("admin", desk.fixture.north.admin)
    doctor = desk.fixture.doctor(desk.fixture.north)
    group = desk.json("group", "add", "Radiology", "--as", admin)["group"]
    named = ("account", "change", doctor.account, "--as", admin)
    done = desk.json(*named, "--group", group, "--days", "30")
    assert (done["profession"], done["groups"]) == ("physician", [group]) and done["end"]
    done = desk.json(*named, "--profession", "trainee", "--no-end")
    assert (done["profession"], done["groups"], done["end"]) == ("trainee", [group], "")
    desk.json("account", "end", doctor.account, "--as", admin)
    assert desk.json(*named, "--profession", "nurse", code=2)["problem"] == "not_there"


def test_a_profile(desk: Desk) -> None:
    """Written by the doctor and by the admin, part by part; seen by a patient; removed."""
    fixture = desk.fixture
    doctor = fixture.doctor(fixture.north)
    key, admin = desk.key("doctor", doctor), desk.key("admin", fixture.north.admin)
    patient = desk.key("pat", fixture.person().actor)
    assert "no profile yet" in desk.run("account", "profile", "--as", key).out
    told = desk.run(
        "account", "profile", "--specialty", "Cardiology", "--language", "de", "--language", "tr", "--place",
        "Ward 3 | Mon 9–12", "--as", key,
    ).out  # fmt: skip
    assert "Cardiology" in told and "speaks de, tr" in told and "Ward 3: Mon 9–12" in told
    desk.run("account", "profile", doctor.account, "--specialty", "Surgery", "--as", admin)
    shown = desk.json("account", "profile", doctor.account, "--as", patient)
    assert (shown["specialty"], shown["languages"]) == ("Surgery", ["de", "tr"])
    assert shown["places"] == [{"hours": "Mon 9–12", "name": "Ward 3"}]
    assert shown["author"] == fixture.north.admin.account
    desk.run("account", "profile", doctor.account, "--specialty", "x", "--as", patient, code=1)
    desk.run("account", "profile", "--specialty", "Dr\u202etset", "--as", key, code=2)
    assert "no profile yet" in desk.run("account", "profile", "--remove", "--as", key).out
