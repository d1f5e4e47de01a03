"""Keys are renewed while they are used: nothing is lost, whoever holds an older wrap gets the newer, and the old KEK is gone."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable.errors import NotFound, StartRefused
from journeys.names import staff_names
from journeys.sealing import reserve
from keeper.errors import KeeperRefused, KeyRenewed
from keeper.keks import KekStore
from keeper.protocol import KeyRequest, NewBlob, Wrapped
from ledger.facts import Record
from records import charts, opening
from storage.keytable import KeyTable
from storage.maintenance import backup, renewing
from storage.maintenance.renewing import PLACE, Renewing
from tests.support.commands import heartwood
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT, LedgerFixture, signed
from tests.support.people import People


@pytest.fixture
def people(fixture: LedgerFixture) -> People:
    return People.of(fixture)


def renewing_of(fixture: LedgerFixture) -> Renewing:
    return Renewing(fixture.ledger.keys, fixture.ledger.keeper)


def read(people: People) -> tuple[bytes, str]:
    """The patient's own reading: content and title."""
    proposal = people.fixture.reading(people.pat.actor, people.record, "PATRQT")
    shown = opening.open_record(people.fixture.ledger, proposal)
    return b"".join(shown.content), shown.texts["title"]


def versions(fixture: LedgerFixture, subject: str) -> list[int]:
    return fixture.ledger.keeper.versions([subject])[subject]


def test_a_subjects_keys_are_renewed(people: People) -> None:
    """Everything of it opens as before, under the new KEK alone; others stay as they are."""
    fixture, pat, kim = people.fixture, people.pat.patient, people.kim.patient
    codes = fixture.ledger.keeper.label_codes(
        fixture.ledger.keys.object_key(pat, "labels").key, ["HIV"]
    )
    before = fixture.ledger.keys.object_key(pat, people.record)
    done = renewing_of(fixture).one(pat)
    assert (done.subjects, done.keys, done.destroyed, done.lost) == (1, 4, 1, [])
    after = fixture.ledger.keys.object_key(pat, people.record)
    assert (versions(fixture, pat), versions(fixture, kim)) == ([2], [1])
    assert after == before._replace(version=2, wrapped=after.wrapped)
    assert read(people) == (CONTENT, "Blood count")
    key = fixture.ledger.keys.object_key(pat, "labels").key
    assert fixture.ledger.keeper.label_codes(key, ["HIV"]) == codes
    fixture.record(people.pat)
    renewing_of(fixture).one(pat)
    assert read(people) == (CONTENT, "Blood count")


def test_an_older_wrap_is_refused_as_one(people: People) -> None:
    """Whoever kept it is told to take the key again; an unknown version is something else."""
    fixture, pat = people.fixture, people.pat.patient
    held = fixture.ledger.keys.object_key(pat, people.record).key
    renewing_of(fixture).one(pat)
    with pytest.raises(KeyRenewed, match=r"got a wrap of version 1, expected one of 2\. Take"):
        fixture.ledger.keeper.seal(held, people.pat.stream, "ev_x", {"title": "x"})
    later = Wrapped(held.subject, held.name, 3, held.wrapped)
    with pytest.raises(KeeperRefused, match="no key is kept") as told:
        fixture.ledger.keeper.seal(later, people.pat.stream, "ev_x", {"title": "x"})
    assert not isinstance(told.value, KeyRenewed)


def test_all_are_renewed(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = people.fixture
    monkeypatch.setattr(renewing, "SUBJECTS_AT_ONCE", 3)
    monkeypatch.setattr(renewing, "PAGE_KEYS", 2)
    told = list[tuple[int, int]]()
    every = fixture.ledger.keys.subjects("", 1_000)
    done = renewing_of(fixture).all(
        fixture.settings.data, lambda made, size: told.append((made, size))
    )
    assert done.subjects == done.destroyed == len(every) == fixture.ledger.keys.count_subjects()
    assert {tuple(versions(fixture, one)) for one in every} == {(2,)}
    assert told[-1] == (len(every), len(every)) and len(told) > 2
    assert not (fixture.settings.data / PLACE).exists()
    assert read(people) == (CONTENT, "Blood count")
    fixture.ledger.names.clear()
    assert staff_names(fixture.ledger, [people.doctor.account]) == {people.doctor.account: "Dr. Ö"}
    assert len(fixture.ledger.keeper.versions(["root"])["root"]) == 1


# What is held while a key is renewed.


def _renew_first(people: People, of: type, name: str, patch: pytest.MonkeyPatch) -> list[int]:
    """Renew the patient's keys just before the first call of `name`, which was given older ones."""
    true, calls = getattr(of, name), list[int]()

    def late(self: Any, *given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            renewing_of(people.fixture).one(people.pat.patient)
        return true(self, *given, **named)

    patch.setattr(of, name, late)
    return calls


def _list(people: People) -> object:
    client = people.fixture.ledger
    actor, now = people.pat.actor, client.clock()
    event = actor.event("chart.opened", people.pat.stream, {"purpose": "PATRQT"}, now)
    return charts.open_chart(client, signed(client, event, actor.key))


def _upload(people: People) -> object:
    return people.fixture.record(people.pat, title="Another")


HELD: dict[str, tuple[str, Callable[[People], object]]] = {
    "a reading": ("release", read),
    "a reading's texts": ("open_fields", read),
    "a chart's titles": ("open_fields", _list),
    "an upload's texts": ("seal", _upload),
}


@pytest.mark.parametrize("name", HELD)
def test_whoever_holds_an_older_wrap_gets_the_newer(
    people: People, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journey ends as if nothing had been; the reading is not used up by the refusal."""
    call, journey = HELD[name]
    calls = _renew_first(people, type(people.fixture.ledger.keeper), call, monkeypatch)
    assert journey(people)
    assert len(calls) >= 2
    assert versions(people.fixture, people.pat.patient) == [2]


def test_a_key_wrapped_before_and_staged_after_is_wrapped_again(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be under a KEK that is gone: an entry with content that nobody opens, ever."""
    calls = _renew_first(people, KeyTable, "stage", monkeypatch)
    up = people.fixture.record(people.pat)
    assert len(calls) == 2
    row = people.fixture.ledger.row(Record, up.record)
    assert row is not None
    assert people.fixture.ledger.keys.blob_key(up.blob).version == 2
    proposal = people.fixture.reading(people.pat.actor, up.record, "PATRQT")
    shown = opening.open_record(people.fixture.ledger, proposal)
    assert b"".join(shown.content) == CONTENT


def test_a_key_staged_under_an_older_kek_is_refused_whole(people: People) -> None:
    """Nothing of its batch is kept."""
    ledger, pat = people.fixture.ledger, people.pat.patient
    record, blob = people.id("rc"), people.id("bl")
    request = KeyRequest(pat, (record,), (NewBlob(record, blob, bytes(32), bytes(32)),))
    reserve(ledger, people.doctor.account, [request], {blob: 1})
    old = ledger.keys.object_key(pat, record), ledger.keys.blob_key(blob)
    renewing_of(people.fixture).one(pat)
    objects, blobs = [old[0]._replace(object="rc_new")], [old[1]._replace(blob=people.id("bl"))]
    with pytest.raises(KeyRenewed, match="got one under version 1, expected 2 at least"):
        ledger.keys.stage(ledger.clock, objects, blobs)
    with pytest.raises(NotFound):
        ledger.keys.object_key(pat, "rc_new")


# Cut off.

KILLED = """
import json, os, sys
from api.app.opening import open_ledger
from api.app.settings import Settings
from keeper.remote import RemoteKeeper as KeyKeeper
from storage.keytable import KeyTable
from storage.maintenance import backup, renewing
kind, name, after, left = *sys.argv[1:3], sys.argv[3] == "after", int(sys.argv[4])
ledger = open_ledger(Settings())
owner = {"keeper": KeyKeeper, "keys": KeyTable, "place": renewing}[kind]
true, calls = getattr(owner, name), [left]
def killed(*given, **named):
    calls[0] -= 1
    if calls[0] == 0 and not after:
        os.kill(os.getpid(), 9)
    out = true(*given, **named)
    if calls[0] == 0:
        os.kill(os.getpid(), 9)
    return out
setattr(owner, name, killed)
renewing.SUBJECTS_AT_ONCE, renewing.PAGE_KEYS = 4, 2
renewing.Renewing(ledger.keys, ledger.keeper).all(Settings().data)
"""
STEPS = [
    ("keeper", "advance", 2), ("keys", "raise_floors", 1), ("keys", "replace", 1), ("keys", "replace", 4),
    ("keeper", "destroy", 1), ("place", "replace_file", 1),
]  # fmt: skip


@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize(("kind", "name", "time"), STEPS)
def test_a_renewal_that_is_killed_is_run_again(
    people: People, kind: str, name: str, time: int, after: str
) -> None:
    """This process reads and writes on meanwhile; the next run leaves one KEK to each subject."""
    fixture, settings = people.fixture, people.fixture.settings
    command = [sys.executable, "-c", KILLED, kind, name, after, str(time)]
    environment = os.environ | {
        "HEARTWOOD_DATA": str(settings.data), "HEARTWOOD_DATABASE_URL": settings.database_url,
    }  # fmt: skip
    assert subprocess.run(command, env=environment).returncode == -9
    assert read(people) == (CONTENT, "Blood count")
    fixture.record(people.pat)
    done = renewing_of(fixture).all(settings.data)
    assert done.lost == []
    for subject in fixture.ledger.keys.subjects("", 1_000):
        assert len(versions(fixture, subject)) == 1
    assert read(people) == (CONTENT, "Blood count")


def test_two_at_once_is_refused(people: People) -> None:
    database = people.fixture.ledger.database
    with (
        database.alone(renewing.ALONE),
        pytest.raises(StartRefused, match="being renewed already"),
    ):
        renewing_of(people.fixture).one(people.pat.patient)


# A key that is lost.


def test_a_key_that_nothing_opens_is_told_and_its_kek_kept(people: People) -> None:
    """The others of all subjects are renewed; a copy of the lost one, put back, still opens."""
    fixture, pat = people.fixture, people.pat.patient
    good = fixture.ledger.keys.object_key(pat, people.record)
    swap = "UPDATE object_keys SET wrapped = ? WHERE object = ? AND subject = ?"
    with fixture.ledger.database.write() as connection:
        fixture.ledger.database.run_many(connection, swap, [(b"x" * 60, people.record, pat)])
    done = renewing_of(fixture).all(fixture.settings.data)
    assert done.lost == [f"{people.record} of {pat}"]
    assert (versions(fixture, pat), versions(fixture, people.kim.patient)) == ([1, 2], [2])
    with fixture.ledger.database.write() as connection:
        fixture.ledger.database.run_many(connection, swap, [(good.wrapped, people.record, pat)])
    assert read(people) == (CONTENT, "Blood count")
    assert renewing_of(fixture).one(pat).lost == []
    assert versions(fixture, pat) == [2]


# Gone in every process at once.

OTHER = """
import sys
from api.app.opening import open_ledger
from api.app.settings import Settings
from keeper.errors import KeeperRefused
from keeper.protocol import Wrapped
ledger, (subject, name, version, wrapped) = open_ledger(Settings()), sys.argv[1:]
key = Wrapped(subject, name, int(version), bytes.fromhex(wrapped))
for line in sys.stdin:
    try:
        print(len(ledger.keeper.seal(key, "patient/x", "ev_x", {"title": "x"})), flush=True)
    except KeeperRefused as refused:
        print(refused, flush=True)
ledger.close()
"""


def test_a_destroyed_key_is_gone_in_every_process_at_once(people: People) -> None:
    fixture, pat, settings = people.fixture, people.pat.patient, people.fixture.settings
    key = fixture.ledger.keys.object_key(pat, people.record).key
    command = [
        sys.executable, "-c", OTHER, key.subject, key.name, str(key.version), key.wrapped.hex(),
    ]  # fmt: skip
    environment = os.environ | {
        "HEARTWOOD_DATA": str(settings.data), "HEARTWOOD_DATABASE_URL": settings.database_url,
    }  # fmt: skip
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None and other.stdout is not None

        def ask() -> str:
            assert other.stdin is not None and other.stdout is not None
            other.stdin.write("\n")
            other.stdin.flush()
            return other.stdout.readline()

        assert [ask(), ask()] == ["1\n", "1\n"], "it has used the key, more than once"
        renewing_of(fixture).one(pat)
        assert "were renewed" in ask()
        other.stdin.close()
        assert other.wait(60) == 0


def test_the_newest_kek_is_not_destroyed(people: People) -> None:
    """Else everything of the subject would be lost by one wrong call."""
    with pytest.raises(KeeperRefused, match="version 1 is the newest key"):
        people.fixture.ledger.keeper.destroy([(people.pat.patient, 1)])
    assert read(people) == (CONTENT, "Blood count")


@pytest.mark.parametrize("engine", ["sqlite"])
def test_nothing_of_a_destroyed_kek_is_left_in_the_store(people: People) -> None:
    """Neither in its pages nor in the log beside it."""
    fixture, folder = people.fixture, people.fixture.settings.data / "keeper"
    with closing(KekStore(folder / "keks.db")) as store:
        kek = store.get(people.pat.patient, 1)
    assert kek is not None
    fixture.close()
    assert kek.wrapped in (folder / "keks.db").read_bytes()
    fixture.ledger = opened(fixture.settings)
    renewing_of(fixture).one(people.pat.patient)
    for path in folder.glob("keks.db*"):
        assert kek.wrapped not in path.read_bytes(), path


# The command, and backups.


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_command(people: People, tmp_path: Path) -> None:
    settings = people.fixture.settings
    assert heartwood(settings, "keys", "renew").code == 2
    assert heartwood(settings, "keys", "renew", "--all", "--subject", "pt_x").code == 2
    assert heartwood(settings, "keys", "renew", "--subject", "pt_x").code == 2
    ran = heartwood(settings, "keys", "renew", "--subject", people.pat.patient, "--json")
    assert (ran.code, ran.json["keys"], ran.json["destroyed"]) == (0, 4, 1)
    (settings.data / PLACE).write_text(json.dumps({"after": "zz"}))
    assert heartwood(settings, "keys", "renew", "--all", "--json").json["subjects"] == 0
    assert "destroyed" in heartwood(settings, "keys", "renew", "--all").out
    assert read(people) == (CONTENT, "Blood count")


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_backup_during_a_renewal_fits_itself(
    people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A KEK that its copy of the database needs isn't destroyed before the keeper's store is copied."""
    true, renewed = backup._copy_secrets, list[renewing.Renewed]()
    thread = threading.Thread(
        target=lambda: renewed.append(renewing_of(people.fixture).one(people.pat.patient))
    )

    def late(*given: Any) -> Any:
        thread.start()
        thread.join(2)
        assert thread.is_alive(), "it waits"
        return true(*given)

    monkeypatch.setattr(backup, "_copy_secrets", late)
    apart = ("--keeper", tmp_path / "secrets")
    assert heartwood(people.fixture.settings, "backup", tmp_path / "backup", *apart).code == 0
    thread.join()
    assert renewed[0].destroyed == 1
    checked = heartwood(
        people.fixture.settings, "restore", tmp_path / "backup", *apart, "--check", "--json"
    )
    assert (checked.code, checked.json["without_kek"]) == (0, [])
