"""What callers may count on, at a Unix socket as over TLS: the same answers, the same refusals, and others go on."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.app.layout import keeper_place, pinned_keys
from api.app.opening import open_ledger
from client import readings
from client.local import LocalClient
from crypto.errors import CryptoError
from journeys.sealing import object_key
from keeper import limits, messages, remote
from keeper.errors import KeeperRefused, KeeperUnavailable
from keeper.protocol import KeyRequest, Wrapped
from keeper.remote import RemoteKeeper
from keeper.server import CALLER_CONNECTIONS
from records.uploads import Upload
from storage.evidence import ask_keeper
from storage.ledger import Ledger
from tests.integration.keeper.test_keeper import Ask, ask
from tests.integration.records.test_written_badly import applied, staffed, upload
from tests.support.inside import opened
from tests.support.keepers import Served, at_socket, certified, over_tls
from tests.support.ledger_fixture import CONTENT, LedgerFixture, entry_of
from tests.support.memory_log import SEALED
from tests.support.people import People

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(params=["unix", "tls"])
def served(
    fixture: LedgerFixture, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Served]:
    """The ledger's keeper as a process of its own, which the ledger asks from now on."""
    fixture.ledger.close()
    plain = fixture.settings
    with ExitStack() as stack:
        if request.param == "unix":
            found = stack.enter_context(at_socket(fixture.settings, tmp_path / "keeper.sock"))
        else:
            certificates = certified(tmp_path / "certificates")
            found = stack.enter_context(over_tls(fixture.settings, certificates))
        fixture.settings = found.settings
        fixture.ledger = open_ledger(found.settings)
        stack.callback(lambda: fixture.ledger.close())
        yield found
    fixture.settings = plain
    fixture.ledger = opened(plain)  # to be verified


@pytest.fixture
def people(fixture: LedgerFixture, served: Served) -> People:
    """A patient who granted, and a doctor who may read."""
    made = People.of(fixture)
    entry_of(fixture.answer(made.grant(), made.pat.actor.key))
    return made


def keeper_of(people: People) -> RemoteKeeper:
    """The ledger's keeper, as it is called."""
    keeper = people.fixture.ledger.keeper
    assert isinstance(keeper, RemoteKeeper)
    return keeper


def read(people: People) -> bytes:
    """The record's content, as its reader gets it."""
    where = LocalClient(people.fixture.ledger)
    return b"".join(readings.read(where, people.doctor, people.record, "TREAT")[1].content)


def put(asked: Ask) -> bytes:
    """What the keeper gives for a reading."""
    keeper = asked.ledger.keeper
    return ask_keeper(
        asked.ledger,
        asked.shown,
        lambda shown: keeper.release(shown, asked.wrapped, asked.record, asked.sha256),
    )


def opened_keeper(people: People):  # type: ignore[no-untyped-def]
    """The same keeper as an object in this process."""
    from keeper.process import open_keeper

    settings = people.fixture.settings
    return open_keeper(keeper_place(settings, pinned_keys(settings)))


def test_a_record_is_read(people: People) -> None:
    """By the key that comes over the connection."""
    assert read(people) == CONTENT


def test_what_can_not_be_opened_comes_as_such(people: People) -> None:
    """The mark of a single field, of a name and of an application crosses the connection; the others come beside it."""
    client, fixture = LocalClient(people.fixture.ledger), people.fixture
    who = staffed(client, fixture.south.admin)
    one = Upload(people.pat.patient, "document", "text/plain", [b"x"])
    record = upload(client, who, one, SEALED)
    seen = readings.chart(client, people.pat.actor, people.pat.patient, "PATRQT")
    titles = {line.record.record: (line.title, line.unopened) for line in seen.lines}
    assert titles == {record: ("", True), people.record: ("Blood count", False)}
    found = readings.history(client, people.pat.actor, people.pat.patient, "PATRQT")
    assert who.account not in found.names
    bad = applied(client)
    listed = client.hospitals(fixture.operator, "pending").hospitals
    assert [(one.hospital, one.name, one.contact) for one in listed] == [(bad, "", "")]


def test_one_release_for_two_callers_that_ask_at_once(people: People) -> None:
    """A reading's key goes to one of them."""
    asked, other = ask(people), open_ledger(people.fixture.settings)
    given: list[bytes | KeeperRefused] = []

    def take(ledger: Ledger) -> None:
        try:
            given.append(put(replace(asked, ledger=ledger)))
        except KeeperRefused as refused:
            given.append(refused)

    threads = [threading.Thread(target=take, args=(one,)) for one in (asked.ledger, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(type(one).__name__ for one in given) == ["KeeperRefused", "bytes"]


def test_errors_come_as_what_they_are(people: People) -> None:
    """A wrap that was altered is refused by the keeper's process as by an object here."""
    ledger = people.fixture.ledger
    key = object_key(ledger.keys, people.pat.patient, people.record)
    bad = Wrapped(key.subject, key.name, key.version, bytes(60))
    with pytest.raises(CryptoError) as met:
        ledger.keeper.seal(bad, people.pat.stream, "ev_x", {"title": "x"})
    with (
        closing(opened_keeper(people)) as here,
        pytest.raises(type(met.value), match=str(met.value)),
    ):
        here.seal(bad, people.pat.stream, "ev_x", {"title": "x"})


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff" + bytes(100),
        b"\0\0\0\4\xc1\xc1\xc1\xc1",
        b"\0\0\0\1\xc0",
        os.urandom(200),
    ],
    ids=["nothing", "a byte", "an empty message", "a huge one", "no MessagePack", "null", "noise"],
)
@pytest.mark.parametrize("greeted", [False, True], ids=["at once", "after the greeting"])
def test_what_is_no_message(people: People, sent: bytes, greeted: bool) -> None:
    """The connection ends, and the others go on."""
    keeper = keeper_of(people)
    line = keeper._connect() if greeted else keeper._where.connect(10)
    line.settimeout(10)
    if sent:
        line.sendall(sent)
    socket.socket.shutdown(line, socket.SHUT_WR)
    with suppress(ConnectionResetError):
        while line.recv(65_536):
            pass
    line.close()
    assert read(people) == CONTENT


@pytest.mark.parametrize(
    "call",
    [("unwrap", ()), ("__init__", ()), ("release", ()), ("seal", (1, 2, 3, 4)), ("new_key", "x"), (7, ())],
    ids=str,
)  # fmt: skip
def test_what_is_no_call(people: People, call: tuple[object, object]) -> None:
    """No name but those of the calls, and no value of another type."""
    line = keeper_of(people)._connect()
    messages.send(line, msgspec.msgpack.encode(call))
    with suppress(ConnectionResetError):
        assert line.recv(1) == b""
    line.close()
    assert read(people) == CONTENT


def test_a_caller_for_another_log_is_told(people: People) -> None:
    """Each end names the log that it means."""
    other = RemoteKeeper(keeper_of(people)._where, "heartwood.example/other", None)
    with pytest.raises(KeeperUnavailable, match=r"about 'heartwood\.example"):
        other.standing()


def test_more_callers_than_it_takes(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is told; those that are there are served."""
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 1)
    keeper = keeper_of(people)
    lines = [keeper._connect() for _ in range(CALLER_CONNECTIONS - len(keeper._idle))]
    words = f"the key keeper has {CALLER_CONNECTIONS} connections of .* and takes no more"
    with pytest.raises(KeeperUnavailable, match=words):
        keeper._connected()
    assert keeper.standing().read >= 0
    for line in lines:
        line.close()
    assert read(people) == CONTENT


def test_a_keeper_that_does_not_answer(
    people: People, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading stands in the log, no content comes, and the reader is told."""
    monkeypatch.setattr(remote, "CALL_SECONDS", 1)
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 1)
    people.fixture.ledger.close()
    people.fixture.ledger = open_ledger(people.fixture.settings)
    size = people.fixture.size()
    served.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(KeeperUnavailable):
        read(people)
    assert time.monotonic() - began < 60
    served.process.send_signal(signal.SIGCONT)
    assert people.fixture.size() == size + 1
    assert read(people) == CONTENT


TOO_MUCH: dict[str, tuple[Any, str]] = {
    "new_key": (
        lambda k: ([KeyRequest("pt_x", tuple(f"rc_{n}" for n in range(limits.KEYS + 1)))],),
        "keys",
    ),
    "seal": (lambda k: (k, "s", "e", {f"f{n}": "" for n in range(limits.FIELDS + 1)}), "fields"),
    "label_codes": (lambda k: (k, [f"L{n}" for n in range(limits.LABELS + 1)]), "labels"),
    "versions": (lambda k: ([f"pt_{n}" for n in range(limits.SUBJECTS + 1)],), "subjects"),
    "advance": (lambda k: ({f"pt_{n}": 1 for n in range(limits.SUBJECTS + 1)},), "subjects"),
    "renew": (lambda k: ([k] * (limits.KEYS + 1), []), "keys"),
    "destroy": (lambda k: ([(f"pt_{n}", 1) for n in range(limits.SUBJECTS + 1)],), "versions"),
}
"""Arguments one over the limit, made with a wrapped key, and what there is too much of."""


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_call_that_asks_too_much_is_refused_in_words(people: People, name: str) -> None:
    """With the limit; nothing of it is done, and the connection goes on."""
    ledger = people.fixture.ledger
    key = object_key(ledger.keys, people.pat.patient, people.record)
    arguments, what = TOO_MUCH[name]
    with pytest.raises(KeeperRefused, match=rf"{name} got \d+ {what}, expected at most \d+"):
        getattr(ledger.keeper, name)(*arguments(key))
    assert ledger.keeper.versions(["pt_x", "pt_1"]) == {"pt_x": [], "pt_1": []}
    assert read(people) == CONTENT


def test_connections_that_nobody_needs_are_closed(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the last one: what many calls at once opened doesn't stay."""
    keeper = keeper_of(people)
    lines = [keeper._connect() for _ in range(20)]
    for line in lines:
        keeper._keep(line)
    assert len(keeper._idle) >= 20
    monkeypatch.setattr(remote, "IDLE_SECONDS", -1)
    keeper.standing()
    monkeypatch.setattr(remote, "IDLE_SECONDS", 60)
    assert len(keeper._idle) <= 1
    assert read(people) == CONTENT
