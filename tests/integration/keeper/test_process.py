"""The key keeper as a process: begun by its first caller, ended with the last, asked by several, killed, and lied to."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from api.app.layout import keeper_place, pinned_keys
from api.app.opening import open_ledger
from client import readings
from client.local import LocalClient
from crypto.errors import CryptoError
from durable.errors import StartRefused
from journeys.sealing import object_key
from keeper import messages, remote
from keeper.child import HELD, KeeperPlace, child_keeper
from keeper.errors import KeeperRefused, KeeperUnavailable
from keeper.protocol import KeyRequest
from keeper.remote import RemoteKeeper
from keeper.server import CONNECTIONS
from storage.ledger import Ledger
from tests.integration.keeper.test_keeper import Ask, ask
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT, LedgerFixture, entry_of
from tests.support.people import People
from tests.support.server import until

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def people(fixture: LedgerFixture) -> People:
    """A ledger whose keeper is a process of its own; a patient who granted, and a doctor who may read."""
    made = People.of(fixture)
    entry_of(fixture.answer(made.grant(), made.pat.actor.key))
    fixture.ledger.close()
    fixture.ledger = open_ledger(fixture.settings)
    return made


def place_of(people: People) -> KeeperPlace:
    """Where the keeper's things are."""
    settings = people.fixture.settings
    return keeper_place(settings, pinned_keys(settings))


def keeper_of(ledger: Ledger) -> RemoteKeeper:
    """The ledger's keeper, which is a process."""
    assert isinstance(ledger.keeper, RemoteKeeper)
    return ledger.keeper


def pid_of(people: People) -> int:
    """The keeper's process."""
    line = keeper_of(people.fixture.ledger)._connected()
    raw = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    line.close()
    return int.from_bytes(raw[:4], sys.byteorder)


def read(people: People, ledger: Ledger | None = None) -> bytes:
    """The record's content, as its reader gets it."""
    where = LocalClient(ledger or people.fixture.ledger)
    return b"".join(readings.read(where, people.doctor, people.record, "TREAT")[1].content)


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def put(asked: Ask) -> bytes:
    """What the ledger's own keeper gives for a reading."""
    from storage.evidence import ask_keeper

    keeper = asked.ledger.keeper
    return ask_keeper(
        asked.ledger,
        asked.shown,
        lambda shown: keeper.release(shown, asked.wrapped, asked.record, asked.sha256),
    )


# Its life.


def test_it_ends_with_its_last_caller(people: People) -> None:
    """Another ledger on the same data asks the same keeper; when both are closed, none is left."""
    pid, other = pid_of(people), open_ledger(people.fixture.settings)
    people.fixture.ledger.close()
    assert not gone(pid)
    people.fixture.ledger = open_ledger(people.fixture.settings)
    assert pid_of(people) == pid
    other.close()
    people.fixture.ledger.close()
    until(lambda: gone(pid), "the keeper goes on")
    assert not place_of(people).socket.exists()
    people.fixture.ledger = open_ledger(people.fixture.settings)
    assert pid_of(people) != pid
    assert read(people) == CONTENT


def test_many_begin_it_at_once(people: People) -> None:
    """Whoever is first; there is one, and all ask it."""
    people.fixture.ledger.close()
    found: list[Ledger] = []
    threads = [
        threading.Thread(target=lambda: found.append(open_ledger(people.fixture.settings)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    people.fixture.ledger = found.pop()
    pids = set()
    for ledger in found:
        people.fixture.ledger, ledger = ledger, people.fixture.ledger
        pids.add(pid_of(people))
        ledger.close()
    assert len(pids) == 1


def test_a_second_one_on_the_folder_does_not_start(people: People) -> None:
    """It says that another one has it, and leaves the socket alone."""
    told = json.dumps(asdict(place_of(people)))
    again = subprocess.run(
        [sys.executable, "-m", "keeper"], input=told, text=True, capture_output=True, check=False
    )
    assert again.stdout.strip() == HELD
    assert read(people) == CONTENT


def test_it_dies_with_no_orphan_when_its_callers_are_killed(people: People) -> None:
    """Nobody said goodbye: the connections end, and so does the keeper."""
    pid = pid_of(people)
    keeper = keeper_of(people.fixture.ledger)
    for line in keeper._idle:
        line.close()
    keeper._idle.clear()
    until(lambda: gone(pid), "the keeper goes on")


@pytest.mark.parametrize("when", ["before", "between"])
def test_killed_it_is_begun_again(people: People, when: str) -> None:
    """The next call finds it gone and begins it; what it had read and given out, it knows."""
    asked = ask(people)
    if when == "between":
        put(asked)
    os.kill(pid_of(people), signal.SIGKILL)
    if when == "between":
        with pytest.raises(KeeperRefused, match="has already received its key"):
            put(asked)
    else:
        assert len(put(asked)) == 32
    assert read(people) == CONTENT


def test_what_keeps_it_from_starting_is_told(people: People) -> None:
    """In its own words, to whoever would have opened the ledger."""
    people.fixture.ledger.close()
    root = Path(place_of(people).roots) / "record.root"
    whole = root.read_bytes()
    root.write_text("heartwood-root AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    with pytest.raises(StartRefused, match="the record root is not the one"):
        open_ledger(people.fixture.settings)
    root.unlink()
    with pytest.raises(StartRefused, match=r"the root key .*record\.root is missing"):
        open_ledger(people.fixture.settings)
    root.touch(0o600)
    root.write_bytes(whole)
    people.fixture.ledger = open_ledger(people.fixture.settings)
    assert read(people) == CONTENT


def test_the_server_never_loads_the_record_root(people: People) -> None:
    """Nor what unwraps with it: another process has both."""
    code = (
        "import sys; from api.app.opening import open_ledger; from api.app.settings import Settings; "
        "open_ledger(Settings()).close(); "
        "print([name for name in sys.modules if name in ('keeper.keeper', 'keeper.process', 'crypto.wraps')])"
    )
    people.fixture.ledger.close()
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HEARTWOOD_DATA": str(people.fixture.settings.data)},
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    people.fixture.ledger = opened(people.fixture.settings)
    loaded = found.stdout.strip()
    assert "keeper.keeper" not in loaded and "keeper.process" not in loaded


# Its answers.


def test_one_release_for_two_processes_that_ask_at_once(people: People) -> None:
    """A reading's key goes to one of them."""
    asked, other = ask(people), open_ledger(people.fixture.settings)
    given: list[bytes | KeeperRefused] = []

    def take(ledger: Ledger) -> None:
        from dataclasses import replace

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
    bad = type(key)(key.subject, key.name, key.version, bytes(60))
    with pytest.raises(CryptoError) as met:
        ledger.keeper.seal(bad, people.pat.stream, "ev_x", {"title": "x"})
    with (
        closing(opened_keeper(people)) as here,
        pytest.raises(type(met.value), match=str(met.value)),
    ):
        here.seal(bad, people.pat.stream, "ev_x", {"title": "x"})


def opened_keeper(people: People):  # type: ignore[no-untyped-def]
    """The same keeper as an object in this process."""
    from keeper.process import open_keeper

    return open_keeper(place_of(people))


# Who asks.


def test_another_user_is_turned_away(people: People) -> None:
    """Even one who may open the socket: the kernel says who they are."""
    if os.getuid():
        pytest.fail("this test needs to be root, as CI is")
    socket_ = place_of(people).socket
    code = f"""
import os, socket
line = socket.socket(socket.AF_UNIX)
folder = os.open({str(socket_.parent)!r}, os.O_PATH)
os.setuid(65534)
line.connect(f"/proc/self/fd/{{folder}}/{socket_.name}")
line.settimeout(10)
print(line.recv(1))
"""
    socket_.chmod(0o666)
    for folder in [socket_.parent]:
        folder.chmod(0o711)
    found = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, check=False
    )
    assert found.stdout.strip() == "b''" or "Permission denied" in found.stderr, found
    assert read(people) == CONTENT


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
    line = keeper_of(people.fixture.ledger)._connect()
    if not greeted:
        line.close()
        line = socket.socket(socket.AF_UNIX)
        with messages.Address(place_of(people).socket) as name:
            line.connect(name)
    line.settimeout(10)
    line.sendall(sent)
    line.shutdown(socket.SHUT_WR)
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
    import msgspec

    line = keeper_of(people.fixture.ledger)._connect()
    messages.send(line, msgspec.msgpack.encode(call))
    with suppress(ConnectionResetError):
        assert line.recv(1) == b""
    line.close()
    assert read(people) == CONTENT


def test_a_caller_for_another_log_is_told(people: People) -> None:
    """Each end names the log that it means."""
    other = RemoteKeeper(place_of(people).socket, "heartwood.example/other", None)
    with pytest.raises(KeeperUnavailable, match=r"about 'heartwood\.example"):
        other.standing()


def test_more_callers_than_it_takes(people: People) -> None:
    """The next one is turned away; those that are there are served."""
    keeper = keeper_of(people.fixture.ledger)
    lines = [keeper._connect() for _ in range(CONNECTIONS - 1)]
    with pytest.raises((OSError, KeeperUnavailable)):
        keeper._connect()
    for line in lines:
        line.close()
    assert read(people) == CONTENT


# A keeper that is slow, or gone for good.


def test_a_keeper_that_does_not_answer(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading stands in the log, no content comes, and the reader is told."""
    monkeypatch.setattr(remote, "CALL_SECONDS", 1)
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 1)
    people.fixture.ledger.close()
    people.fixture.ledger = open_ledger(people.fixture.settings)
    size, pid = people.fixture.size(), pid_of(people)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(KeeperUnavailable):
        read(people)
    assert time.monotonic() - began < 60
    os.kill(pid, signal.SIGCONT)
    assert people.fixture.size() == size + 1
    assert read(people) == CONTENT


def test_keys_that_were_made_are_there_after_it_was_killed(people: People) -> None:
    """What was answered is on the disk."""
    ledger, account = people.fixture.ledger, people.doctor.account
    (made,) = ledger.keeper.new_key([KeyRequest(account, ("rc_x",))])
    sealed = ledger.keeper.seal(made, "s", "e", {"title": "kept"})
    os.kill(pid_of(people), signal.SIGKILL)
    assert ledger.keeper.seal(made, "s", "e", {"title": "kept"}).keys() == sealed.keys()


def test_a_child_is_asked_without_a_ledger(people: People) -> None:
    """A keeper's place is all that is needed."""
    with closing(child_keeper(place_of(people))) as keeper:
        assert keeper.standing().size <= people.fixture.size()
