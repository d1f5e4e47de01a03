"""The key keeper as a process: begun by its first caller, ended with the last, asked by several, killed, and lied to."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from api.app.layout import keeper_place, pinned_keys
from api.app.opening import open_ledger
from client import readings
from client.local import LocalClient
from durable.errors import StartRefused
from keeper import child
from keeper.child import HELD, KeeperPlace, child_keeper
from keeper.errors import KeeperRefused
from keeper.process import open_keeper
from keeper.protocol import KeyRequest
from keeper.releases import LAST
from keeper.remote import RemoteKeeper
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
    for _, line in keeper._idle:
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


# A keeper that is slow, or gone for good.


def test_a_start_that_does_not_end(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for it is told, and nothing of it is left: here its root is on a disk that never answers."""
    people.fixture.ledger.close()
    root = Path(place_of(people).roots) / "record.root"
    whole = root.read_bytes()
    root.unlink()
    os.mkfifo(root, 0o600)
    monkeypatch.setattr(child, "START_SECONDS", 3.0)
    with pytest.raises(StartRefused, match="did not start within 3 s"):
        open_ledger(people.fixture.settings)
    root.unlink()
    root.touch(0o600)
    root.write_bytes(whole)
    people.fixture.ledger = open_ledger(people.fixture.settings)
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


def test_what_does_not_open_leaves_no_file_open(people: People) -> None:
    """Whatever of the keeper's folder was opened before: here the log of releases is not the one that was there."""
    pid, place = pid_of(people), place_of(people)
    people.fixture.ledger.close()
    until(
        lambda: gone(pid), "the keeper goes on"
    )  # it writes the file that is changed here as it ends
    last = Path(place.folder) / LAST
    before = last.read_bytes()
    last.write_text(f"7 {bytes(32).hex()}\n")
    with pytest.raises(StartRefused, match="was put back, cut short or altered") as refused:
        open_keeper(place)
    names = [os.readlink(one.path) for one in os.scandir("/proc/self/fd") if os.path.islink(one)]
    assert not [name for name in names if name.startswith(place.folder)]
    assert refused.value
    last.write_bytes(before)
    people.fixture.ledger = open_ledger(people.fixture.settings)
