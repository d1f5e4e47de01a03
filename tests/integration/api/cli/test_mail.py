"""Mail by command and over HTTP: addresses given and proved, what waits and what was sent; and a process that is killed."""

import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from api.app.settings import Settings
from identity.actors import write_keyfile
from tests.support.child_processes import run_command
from tests.support.commands import Ran, heartwood
from tests.support.ledger_fixture import LedgerFixture
from tests.support.mail_server import PASSWORD, USER, MailServer, mail_serving
from tests.support.server import serving, until

PLANTED = "planted.address.4711@example.com"


@dataclass
class Closed:
    """A ledger that nobody has open, a patient of it, and the patient's key file."""

    settings: Settings
    key: Path
    account: str
    patient: str
    writer: Path

    def run(self, *words: object) -> Ran:
        ran = heartwood(self.settings, *words)
        assert ran.code == 0, ran.err
        return ran


@pytest.fixture
def closed(engine: str, template: Callable[[str], LedgerFixture], tmp_path: Path) -> Closed:
    fixture = template(engine).copied(tmp_path / "data")
    pat = fixture.person()
    key = write_keyfile(tmp_path / "pat.key", pat.actor)
    writer = write_keyfile(tmp_path / "system.key", fixture.north.system)
    fixture.close()
    return Closed(fixture.settings, key, pat.actor.account, pat.patient, writer)


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.txt"
    path.write_text("a letter")
    return path


@pytest.fixture
def mailing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server that the settings name."""
    password = tmp_path / "mail.password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    with mail_serving(tmp_path / "smtp") as server:
        url = f"smtp://{USER}@localhost:{server.port}?ca={server.certificate}"
        monkeypatch.setenv("HEARTWOOD_MAIL", url)
        monkeypatch.setenv("HEARTWOOD_MAIL_FROM", "records@hospital.example")
        monkeypatch.setenv("HEARTWOOD_MAIL_PASSWORD_FILE", str(password))
        yield server


def code_in(text: str) -> str:
    found = re.search(r"\b[A-Z2-7]{26}\b", text)
    assert found is not None, text
    return found[0]


def test_by_command(closed: Closed, letter: Path) -> None:
    """From giving an address to the first mail about the chart, beside the data."""
    who = ("account", "contact", "--as", closed.key)
    assert "there is no address" in closed.run(*who).out
    assert "a code goes to pat@example.com" in closed.run(*who, "--give", "pat@example.com").out
    sent = closed.run("mail", "send", "--json").json
    assert (sent["sent"], sent["problem"]) == (1, "")
    mail = closed.run("mail", "show").out
    assert "To: pat@example.com" in mail
    assert "mail goes to pat@example.com (en)" in closed.run(*who, "--prove", code_in(mail)).out
    assert heartwood(closed.settings, *who, "--prove", code_in(mail)).code == 2
    assert "mail goes to pat@example.com (de)" in closed.run(*who, "--language", "de").out
    closed.run(*who, "--language", "en")
    closed.run(
        "upload",
        letter,
        "--patient",
        closed.patient,
        "--category",
        "document",
        "--as",
        closed.writer,
    )
    listed = closed.run("mail", "list", "--json").json
    (waits,) = [one for one in listed["messages"] if not one["outcome"]]
    assert (waits["kind"], waits["account"], listed["waiting"]) == (
        "hospital_wrote",
        closed.account,
        1,
    )
    assert "1 waiting, 1 sent" in closed.run("mail", "list").out
    closed.run("mail", "send")
    assert "wrote to your record" in closed.run("mail", "show", waits["id"]).out
    assert "example.com" not in closed.run("mail", "list").out
    assert "there is no address" in closed.run(*who, "--remove").out
    assert heartwood(closed.settings, *who, "--language", "de").code == 2
    for wrong in ("--give", "x@y"), ("--prove", "A"), ("--remove", "--prove", "A"):
        assert heartwood(closed.settings, *who, *wrong).code == 2
    assert heartwood(closed.settings, "mail", "show", "../heartwood").code == 2


def test_served(closed: Closed, letter: Path, mailing: MailServer, tmp_path: Path) -> None:
    """The server sends by itself; neither its log nor its metrics have an address, a code or a password."""
    log = tmp_path / "serve.log"
    with serving(closed.settings, workers=2, log=log) as served:
        who = ("account", "contact", "--as", closed.key, "--url", served.url)
        closed.run(*who, "--give", PLANTED, "--language", "de")
        until(lambda: len(mailing.messages(PLANTED)) == 1, "no code came")
        code = code_in(mailing.messages(PLANTED)[0].get_content())
        wrong = httpx2.post(f"{served.url}/v1/contact/proofs", json={"code": "B" * 26})
        assert wrong.status_code == 404
        shown = json.loads(closed.run(*who, "--prove", code, "--json").out)
        assert (shown["address"], shown["language"], shown["pending"]) == (PLANTED, "de", "")
        closed.run(
            "upload",
            letter,
            "--patient",
            closed.patient,
            "--category",
            "document",
            "--as",
            closed.writer,
            "--url",
            served.url,
        )
        until(lambda: len(mailing.messages(PLANTED)) == 2, "no message came")
        until(
            lambda: 'heartwood_mail_total{outcome="sent"} 2.0' in metrics(served.url), "not counted"
        )
        assert "heartwood_mail_waiting 0.0" in metrics(served.url)
        sent = served.lines("message sent")
        assert [line["actor"] for line in sent] == [closed.account] * 2
        text = log.read_text() + metrics(served.url)
        for secret in (PLANTED, code, PASSWORD):
            assert secret.lower() not in text.lower()
        closed.run(*who, "--remove")
        until(lambda: len(mailing.messages(PLANTED)) == 3, "the removal wasn't told")


def metrics(url: str) -> str:
    return httpx2.get(f"{url}/metrics").text


def test_killed_between_the_act_and_the_sending(
    closed: Closed, letter: Path, mailing: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail server is down; the process dies; the next one sends what was to be told, once."""
    reached(closed, mailing)
    working = os.environ["HEARTWOOD_MAIL"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HEARTWOOD_MAIL", working.replace(f":{mailing.port}?", f":{port}?"))
    with serving(closed.settings) as served:
        closed.run(
            "upload",
            letter,
            "--patient",
            closed.patient,
            "--category",
            "document",
            "--as",
            closed.writer,
            "--url",
            served.url,
        )
        until(lambda: bool(served.lines("mail server can't be used")), "nothing was tried")
        served.stop(signal.SIGKILL)
    monkeypatch.setenv("HEARTWOOD_MAIL", working)
    assert len(mailing.messages(PLANTED)) == 1
    with serving(closed.settings) as served:
        until(lambda: len(mailing.messages(PLANTED)) == 2, "it was lost")
        served.stop(signal.SIGTERM)
    assert len(mailing.messages(PLANTED)) == 2


def reached(closed: Closed, mailing: MailServer) -> None:
    who = ("account", "contact", "--as", closed.key)
    closed.run(*who, "--give", PLANTED)
    closed.run("mail", "send")
    closed.run(*who, "--prove", code_in(mailing.messages(PLANTED)[-1].get_content()))


def test_killed_while_the_mail_server_thinks(
    closed: Closed, letter: Path, mailing: MailServer
) -> None:
    """It took the message and said nothing yet: the next process sends it again, as the same one."""
    reached(closed, mailing)
    mailing.arrived.clear()
    mailing.hold.clear()
    with serving(closed.settings) as served:
        closed.run(
            "upload",
            letter,
            "--patient",
            closed.patient,
            "--category",
            "document",
            "--as",
            closed.writer,
            "--url",
            served.url,
        )
        assert mailing.arrived.wait(60)
        served.stop(signal.SIGKILL)
    mailing.hold.set()
    closed.run("mail", "send")
    until(lambda: len(mailing.messages(PLANTED)) >= 2, "it was lost")
    told = mailing.messages(PLANTED)[1:]
    assert len({one["Message-ID"] for one in told}) == 1
    assert closed.run("mail", "list", "--json").json["waiting"] == 0


def test_stopping_waits_for_no_mail_server(
    closed: Closed, letter: Path, mailing: MailServer
) -> None:
    """It hangs for as long as it may; the process ends in good order all the same, and the message is kept."""
    reached(closed, mailing)
    mailing.arrived.clear()
    mailing.hold.clear()
    with serving(closed.settings) as served:
        closed.run(
            "upload",
            letter,
            "--patient",
            closed.patient,
            "--category",
            "document",
            "--as",
            closed.writer,
            "--url",
            served.url,
        )
        assert mailing.arrived.wait(60)
        assert served.stop(signal.SIGTERM) == 0
    mailing.hold.set()
    assert closed.run("mail", "list", "--json").json["waiting"] == 1


def test_a_setting_that_is_none_is_told_at_the_start(
    closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTWOOD_MAIL", "mail.example.com")
    for words in ("serve", "--port", "0"), ("mail", "send"):
        ran = heartwood(closed.settings, *words)
        assert ran.code == 4
        assert "HEARTWOOD_MAIL names no mail server" in ran.err


def finding(closed: Closed, about: str) -> tuple[str, str]:
    said = heartwood(closed.settings, "check-setup", "--json").json["findings"]
    (found,) = [one for one in said if one["about"] == about]
    return found["level"], found["words"]


def test_check_setup(closed: Closed, mailing: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    level, words = finding(closed, "mail")
    assert (level, "answers, and takes the user heartwood" in words) == ("ok", True)
    Path(os.environ["HEARTWOOD_MAIL_PASSWORD_FILE"]).write_text("another")
    level, words = finding(closed, "mail")
    assert (level, "refused the user or the password" in words) == ("unsafe", True)
    monkeypatch.setenv("HEARTWOOD_MAIL", "nonsense")
    assert finding(closed, "mail")[0] == "unsafe"
    monkeypatch.setenv("HEARTWOOD_MAIL", "")
    assert finding(closed, "mail")[0] == "warning"
    assert not mailing.taken


def test_two_commands_at_once(closed: Closed, mailing: MailServer) -> None:
    """A second one says that another is at it."""
    closed.run("account", "contact", "--as", closed.key, "--give", PLANTED)
    mailing.hold.clear()
    with ThreadPoolExecutor() as pool:
        environment = {
            **os.environ,
            "HEARTWOOD_DATA": str(closed.settings.data),
            "HEARTWOOD_DATABASE_URL": closed.settings.database_url,
        }
        first = pool.submit(run_command, environment, "mail", "send")
        assert mailing.arrived.wait(60)
        ran = heartwood(closed.settings, "mail", "send")
        assert (ran.code, "another process is sending" in ran.out) == (4, True)
        mailing.hold.set()
        assert first.result().returncode == 0
    assert len(mailing.messages(PLANTED)) == 1
