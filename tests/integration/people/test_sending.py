"""Sending over SMTP, to a real server on loopback: at least once, one process at a time, and never in an act's way."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from people.mailing import BACKOFF_MS, GIVE_UP_MS, MailSender, Round
from storage.clock import wall_clock
from storage.mail.place import MailPlace
from storage.mail.smtp import MailServer as Client
from storage.outbox import KEEP_MS
from tests.support.child_processes import start
from tests.support.inbox import reach, rows, send
from tests.support.inside import opened
from tests.support.ledger_fixture import LedgerFixture
from tests.support.mail_server import PASSWORD, USER, MailServer, mail_serving
from tests.support.server import until

SENDER = "records@hospital.example"
WHOLE = 60.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    with mail_serving(tmp_path / "smtp") as serving:
        yield serving


def place_of(server: MailServer, tls: str = "starttls") -> MailPlace:
    return MailPlace("localhost", server.port, tls, USER, PASSWORD, str(server.certificate))


def mail_to(server: MailServer, wait: float = WHOLE, **how: str) -> Client:
    return Client(replace(place_of(server), **how), SENDER, wait, wait)  # type: ignore[arg-type]


def act(fixture: LedgerFixture, *names: str) -> str:
    """One message each for people of these names, in their order; gives the first one's id."""
    people = [fixture.person() for _ in names]
    for name, person in zip(names, people, strict=True):
        reach(fixture, person.actor, f"{name}@example.com")
    for person in people:
        fixture.record(person)
    first = people[0].actor.account
    return next(one.id for one in rows(fixture, "hospital_wrote") if one.account == first)


def waiting(fixture: LedgerFixture) -> int:
    return fixture.ledger.outbox.waiting()[0]


def test_a_message_goes_under_tls_by_a_user(fixture: LedgerFixture, server: MailServer) -> None:
    id_ = act(fixture, "pat")
    assert send(fixture, mail_to(server)).sent == 1
    (message,) = server.messages("pat@example.com")
    assert server.signed_in == [True]
    assert message["Message-ID"] == f"<{id_}@heartwood.example>"
    assert (message["From"], message["To"]) == (SENDER, "pat@example.com")
    assert message["Auto-Submitted"] == "auto-generated"
    assert fixture.north.hospital in message.get_content()
    (row,) = rows(fixture, "hospital_wrote")
    assert (row.outcome, row.tries) == ("sent", 1)
    assert send(fixture, mail_to(server), now=True) == Round()


def test_tls_from_the_first_byte(fixture: LedgerFixture, tmp_path: Path) -> None:
    act(fixture, "pat")
    with mail_serving(tmp_path / "smtps", "tls") as server:
        assert send(fixture, mail_to(server, tls="tls")).sent == 1
        assert server.signed_in == [True]


def test_umlauts_arrive(fixture: LedgerFixture, server: MailServer) -> None:
    pat = fixture.person()
    reach(fixture, pat.actor, "pat@example.com", "de")
    fixture.record(pat)
    send(fixture, mail_to(server))
    (message,) = server.messages("pat@example.com")
    assert "für jedes Krankenhaus" in message.get_content()
    assert server.taken[0][1].isascii()


def test_a_certificate_of_another_name_is_refused(fixture: LedgerFixture, tmp_path: Path) -> None:
    act(fixture, "pat")
    with mail_serving(tmp_path / "other", host="mail.example.com") as server:
        done = send(fixture, mail_to(server))
        assert "its certificate is not valid" in done.problem
        assert not server.taken
    assert waiting(fixture) == 1


def test_a_certificate_of_nobody_known_is_refused(
    fixture: LedgerFixture, server: MailServer
) -> None:
    act(fixture, "pat")
    done = send(fixture, Client(replace(place_of(server), authority=None), SENDER))
    assert "its certificate is not valid" in done.problem
    assert not server.taken


def test_without_starttls_no_password_goes(fixture: LedgerFixture, tmp_path: Path) -> None:
    """A server, or whoever stands in between, that offers none gets neither password nor mail."""
    act(fixture, "pat")
    said = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_plain, args=(listening, said))
        thread.start()
        done = send(
            fixture,
            Client(
                MailPlace("localhost", listening.getsockname()[1], "starttls", USER, PASSWORD),
                SENDER,
            ),
        )
        thread.join()
    assert "no STARTTLS" in done.problem
    assert b"AUTH" not in said and b"MAIL" not in said
    assert waiting(fixture) == 1


def _plain(listening: socket.socket, said: bytearray) -> None:
    line, _ = listening.accept()
    with line:
        line.sendall(b"220 here\r\n")
        while data := line.recv(4096):
            said += data
            last = data.startswith(b"QUIT")
            line.sendall(b"221 bye\r\n" if last else b"250-here\r\n250 AUTH PLAIN LOGIN\r\n")
            if last:
                return


def test_a_wrong_password_is_told_without_it(fixture: LedgerFixture, server: MailServer) -> None:
    act(fixture, "pat")
    done = send(fixture, mail_to(server, password="another-password"))
    assert "it refused the user or the password (535)" in done.problem
    assert "another-password" not in done.problem
    assert not server.taken
    assert send(fixture, mail_to(server)).sent == 1


def test_a_server_that_is_down_loses_nothing(fixture: LedgerFixture, server: MailServer) -> None:
    """And no try is counted: it isn't the message's fault."""
    act(fixture, "pat")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    down = Client(replace(place_of(server), port=port), SENDER)
    for _ in range(3):
        assert "the connection failed" in send(fixture, down).problem
    assert rows(fixture, "hospital_wrote")[0].tries == 0
    assert send(fixture, mail_to(server)).sent == 1


def test_a_server_that_hangs_delays_no_act(fixture: LedgerFixture, server: MailServer) -> None:
    """Acts are appended while it keeps a message waiting; the wait ends, and the message goes later."""
    id_ = act(fixture, "pat")
    server.hold.clear()
    sender = MailSender(fixture.ledger, mail_to(server, wait=2.0))
    done = list[Round | None]()
    thread = threading.Thread(target=lambda: done.append(sender.round()))
    thread.start()
    assert server.arrived.wait(WHOLE)
    for _ in range(5):
        fixture.record(fixture.person())
    assert thread.is_alive() or done
    thread.join()
    assert done[0] is not None
    assert "did not answer in time" in done[0].problem or "connection failed" in done[0].problem
    server.hold.set()
    assert send(fixture, mail_to(server), now=True).sent == 1
    assert {message["Message-ID"] for message in server.messages("pat@example.com")} == {
        f"<{id_}@heartwood.example>"
    }


def test_a_server_that_answers_byte_by_byte_is_left(fixture: LedgerFixture) -> None:
    """Each byte is in time; the conversation as a whole isn't."""
    act(fixture, "pat")
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            line, _ = listening.accept()
            with line:
                while not stop.wait(0.05):
                    try:
                        line.sendall(b"2")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        place = MailPlace("localhost", listening.getsockname()[1], "starttls")
        done = send(fixture, Client(place, SENDER, wait=WHOLE, whole=1.0))
        stop.set()
        thread.join()
    assert done.problem
    assert waiting(fixture) == 1


def test_one_refused_recipient_holds_up_no_other(
    fixture: LedgerFixture, server: MailServer
) -> None:
    act(fixture, "ann", "bob", "cat")
    server.refuses = {"ann@example.com": "550 no such user", "bob@example.com": "450 not now"}
    done = send(fixture, mail_to(server))
    assert (done.sent, done.refused, done.later, done.problem) == (1, 1, 1, "")
    server.refuses = {}
    assert send(fixture, mail_to(server)) == Round(), "the one that waits isn't due"
    assert send(fixture, mail_to(server), now=True).sent == 1
    assert [to for to, _ in server.taken] == ["cat@example.com", "bob@example.com"]


def test_a_message_is_given_up_after_days(
    fixture: LedgerFixture, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused for now again and again: where it was to go doesn't stay, and the operator sees that it ended."""
    act(fixture, "bob")
    server.refuses = {"bob@example.com": "450 not now"}
    for tries in range(1, 4):
        before = wall_clock()
        assert send(fixture, mail_to(server), now=True).later == 1
        (row,) = rows(fixture, "hospital_wrote")
        assert row.tries == tries
        assert row.next_try - before >= BACKOFF_MS * 2 ** (tries - 1)
    monkeypatch.setattr(fixture.ledger, "clock", lambda: wall_clock() + GIVE_UP_MS + 1)
    done = send(fixture, mail_to(server), now=True)
    assert (done.given_up, done.later) == (1, 0)
    assert rows(fixture, "hospital_wrote")[0].outcome == "given_up"
    assert fixture.ledger.outbox.ended()["given_up"] == 1
    assert sealed(fixture) == []


@pytest.mark.parametrize("why", ["down", "unreadable"])
def test_nothing_waits_for_ever(
    fixture: LedgerFixture, server: MailServer, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Neither for a server that stays down, nor for a root that opens what was sealed; tried once more before the end."""
    act(fixture, "bob")
    place = place_of(server)
    if why == "down":
        with socket.create_server(("127.0.0.1", 0)) as free:
            place = replace(place, port=free.getsockname()[1])
    else:
        with fixture.ledger.database.write() as connection:
            connection.exec_driver_sql("UPDATE outbox SET account = 'ac_other'")
    monkeypatch.setattr(fixture.ledger, "clock", lambda: wall_clock() + GIVE_UP_MS - 60_000)
    assert send(fixture, Client(place, SENDER), now=True).given_up == 0
    assert waiting(fixture) == 1
    monkeypatch.setattr(fixture.ledger, "clock", lambda: wall_clock() + GIVE_UP_MS + 60_000)
    assert send(fixture, Client(place, SENDER), now=True).given_up == 1
    assert waiting(fixture) == 0
    assert sealed(fixture) == []


def test_what_a_process_finds_after_days_is_tried_first(
    fixture: LedgerFixture, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(fixture, "bob")
    monkeypatch.setattr(fixture.ledger, "clock", lambda: wall_clock() + GIVE_UP_MS + 60_000)
    done = send(fixture, mail_to(server))
    assert (done.sent, done.given_up) == (1, 0)


def sealed(fixture: LedgerFixture) -> list[bytes]:
    """What the outbox still has of where messages go."""
    found = fixture.ledger.database.fetch("SELECT sealed FROM outbox", ())
    return [bytes(one) for (one,) in found if one]


def test_one_process_tidies_at_a_time(fixture: LedgerFixture, server: MailServer) -> None:
    """Two that removed the same rows would wait for each other."""
    act(fixture, "pat")
    send(fixture, mail_to(server))
    sender, other = MailSender(fixture.ledger, mail_to(server)), opened(fixture.settings)
    ahead = wall_clock() + KEEP_MS + 86_400_000
    sender._clock = lambda: ahead
    with other.outbox.alone() as alone:
        assert alone
        sender.tidy()
        assert rows(fixture)
    sender.tidy()
    assert rows(fixture) == []
    other.close()


def test_a_line_cut_after_the_message_sends_it_again(
    fixture: LedgerFixture, server: MailServer
) -> None:
    """It had arrived, which nobody knows: it goes once more, as the same message."""
    id_ = act(fixture, "pat")
    server.cuts = 2
    for _ in range(2):
        assert send(fixture, mail_to(server), now=True).problem
    assert send(fixture, mail_to(server), now=True).sent == 1
    messages = server.messages("pat@example.com")
    assert [one["Message-ID"] for one in messages] == [f"<{id_}@heartwood.example>"] * 3
    assert len({one.as_bytes() for one in messages}) == 1
    assert send(fixture, mail_to(server), now=True) == Round()


def test_a_code_that_is_sent_again_is_the_same(fixture: LedgerFixture, server: MailServer) -> None:
    from people.contacts import contact_of, give_contact, prove_contact

    pat = fixture.person()
    give_contact(fixture.ledger, pat.actor.caller, "pat@example.com", "en")
    server.cuts = 1
    for _ in range(2):
        send(fixture, mail_to(server), now=True)
    first, second = server.messages("pat@example.com")
    assert first.as_bytes() == second.as_bytes()
    lines = [line.strip() for line in first.get_content().splitlines()]
    prove_contact(fixture.ledger, next(line for line in lines if len(line) == 26))
    assert contact_of(fixture.ledger, pat.actor.caller).address == "pat@example.com"


def test_two_processes_send_once(fixture: LedgerFixture, server: MailServer) -> None:
    """All at once, again and again: each message arrives a single time, from this process or from two others."""
    act(fixture, *(f"p{number}" for number in range(12)))
    children = [start(_send_again_and_again, fixture.settings, place_of(server)) for _ in range(2)]
    sender = MailSender(fixture.ledger, mail_to(server))
    while any(child.is_alive() for child in children):
        sender.round(now=True)
        sender.tidy()
    for child in children:
        child.join(WHOLE)
        assert child.exitcode == 0
    assert sorted(to for to, _ in server.taken) == sorted(f"p{n}@example.com" for n in range(12))
    assert waiting(fixture) == 0


def _send_again_and_again(settings: object, place: MailPlace) -> None:
    """In a child: rounds until nothing waits."""
    ledger = opened(settings)  # type: ignore[arg-type]
    sender = MailSender(ledger, Client(place, SENDER))
    while ledger.outbox.waiting()[0]:
        sender.round(now=True)
        sender.tidy()
    ledger.close()


def test_a_claim_is_taken_once(fixture: LedgerFixture) -> None:
    """Where the lock of one process is lost, as with its connection, the row itself tells."""
    act(fixture, "pat")
    outbox = fixture.ledger.outbox
    (one,) = outbox.due(wall_clock(), 10)
    assert outbox.claim(one, wall_clock() + 1)
    assert not outbox.claim(one, wall_clock() + 1)
    outbox.end(one.id, "sent", wall_clock())
    outbox.end(one.id, "refused", wall_clock())
    assert rows(fixture, "hospital_wrote")[0].outcome == "sent"


def _send_and_die(settings: object, place: MailPlace, where: str) -> None:
    """In a child: die at a step of sending."""
    ledger = opened(settings)  # type: ignore[arg-type]

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    client = Client(place, SENDER)
    sender = MailSender(ledger, client)
    match where:
        case "before the try":
            ledger.outbox.claim = die  # type: ignore[assignment,method-assign]
        case "before the message":
            client.deliver = die  # type: ignore[method-assign]
        case "after the message":
            ledger.outbox.end = die  # type: ignore[method-assign]
    sender.round(now=True)


def _sent_by(fixture: LedgerFixture, server: MailServer, sent: list[Round]) -> bool:
    """Whether a round could be made; it is kept."""
    done = MailSender(fixture.ledger, mail_to(server)).round(now=True)
    sent += [] if done is None else [done]
    return done is not None


@pytest.mark.parametrize("where", ["before the try", "before the message", "after the message"])
def test_killed_while_sending(fixture: LedgerFixture, server: MailServer, where: str) -> None:
    """At each step: what wasn't known to be sent is sent by whoever comes next, at once, and is the same message."""
    id_ = act(fixture, "pat")
    child = start(_send_and_die, fixture.settings, place_of(server), where)
    child.join(WHOLE)
    assert child.exitcode == -signal.SIGKILL
    assert len(server.taken) == (where == "after the message")
    # PostgreSQL holds the turn of who was killed until it knows that they are gone.
    sent = list[Round]()
    until(lambda: _sent_by(fixture, server, sent), "the turn of who was killed is free")
    assert sent[0].sent == 1
    found = {message["Message-ID"] for message in server.messages("pat@example.com")}
    assert found == {f"<{id_}@heartwood.example>"}
    assert waiting(fixture) == 0
