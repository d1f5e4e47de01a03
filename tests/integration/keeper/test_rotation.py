"""The record root is rotated while keys are used: nothing is lost wherever it is cut off, and no process is restarted."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import api.app.opening
from api.operator.rewrapping import change_passphrase, rotate_root, show_roots
from crypto.errors import CryptoError
from durable.errors import StartRefused, StorageError
from keeper import rotating
from keeper.errors import KeeperRefused
from keeper.keks import Kek, KekStore
from keeper.roots import FilePlace, RecordRoots, RootPlace, Unlock
from keeper.rotating import Rotated, rotate
from keeper.wrapping import Keks
from records import opening
from tests.support.commands import heartwood
from tests.support.inside import opened as open_ledger
from tests.support.kms import KmsServer
from tests.support.ledger_fixture import CONTENT, LedgerFixture
from tests.support.people import People
from tests.support.softhsm import PIN, SoftHsmMissing, SoftToken

SUBJECTS = [f"pt_{number}" for number in range(5)]
UNLOCK = Unlock("word", PIN)


@dataclass
class Folder:
    """A keeper's folder: its store, and the roots beside it."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> "Folder":
        """With a KEK of each subject, and a second one of the first."""
        path.mkdir()
        made = cls(path)
        made.roots().create(1, FilePlace())
        KekStore(path / "keks.db", create=True).close()
        with made.keks() as keks:
            keks.newest(SUBJECTS)
            keks.advance({SUBJECTS[0]: 1})
        return made

    def roots(self) -> RecordRoots:
        """As another process has them."""
        return RecordRoots(self.path, UNLOCK)

    @contextmanager
    def keks(self) -> Iterator[Keks]:
        """As another process has them."""
        with closing(KekStore(self.path / "keks.db")) as store:
            yield Keks(store, self.roots())

    def opened(self) -> dict[tuple[str, int], bytes]:
        """Every KEK, unwrapped."""
        with self.keks() as keks:
            versions = keks.store.versions(SUBJECTS)
            return {(s, v): keks.kek(s, v) for s in SUBJECTS for v in versions[s]}

    def rotate(self, place: RootPlace | None = None) -> Rotated:
        """Rotate to the end."""
        with closing(KekStore(self.path / "keks.db")) as store:
            return rotate(self.path, store, self.roots(), place or FilePlace())

    def under(self) -> dict[int, int]:
        """How many KEKs are under each root."""
        with closing(KekStore(self.path / "keks.db")) as store:
            return store.under_roots()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.make(tmp_path / "keeper")


def test_every_key_is_under_the_new_root_and_the_old_one_is_gone(folder: Folder) -> None:
    before, told = folder.opened(), list[tuple[int, int]]()
    with closing(KekStore(folder.path / "keks.db")) as store:
        done = rotate(
            folder.path,
            store,
            folder.roots(),
            FilePlace(),
            lambda made, size: told.append((made, size)),
        )
    assert folder.opened() == before and len(before) == 6
    assert (done.generation, done.rewrapped, done.resumed) == (2, 6, False)
    assert done.destroyed == [folder.roots().path(1)] and not done.destroyed[0].exists()
    assert (folder.roots().there(), folder.under()) == ([2], {2: 6})
    assert told == [(6, 6)]


# Cut off.

KILLED = """
import os, sys
from pathlib import Path
import keeper.roots.file, keeper.roots.record, keeper.rotating
from keeper.keks import KekStore
from keeper.roots import FilePlace, RecordRoots, Unlock
folder, kind, name, after, left = Path(sys.argv[1]), *sys.argv[2:4], sys.argv[4] == "after", int(sys.argv[5])
owner = {"store": KekStore, "roots": RecordRoots, "file": keeper.roots.file.Path, "os": os}[kind]
true, calls = getattr(owner, name), [left]
def killed(*given, **named):
    calls[0] -= 1
    if calls[0] == 0 and not after:
        os.kill(os.getpid(), 9)
    out = true(*given, **named)
    if calls[0] == 0:
        os.kill(os.getpid(), 9)
    return out
keeper.rotating.PAGE_KEKS = 2
store, roots = KekStore(folder / "keks.db"), RecordRoots(folder, Unlock("word"))
setattr(owner, name, killed)
keeper.rotating.rotate(folder, store, roots, FilePlace())
"""
STEPS = [
    ("roots", "create", 1), ("os", "link", 1), ("store", "set_current_root", 1), ("store", "rewrap", 1),
    ("store", "rewrap", 2), ("store", "rewrap", 3), ("store", "retire_roots", 1), ("roots", "destroy", 1),
    ("file", "unlink", 1),
]  # fmt: skip
"""What writes, in order: whose, which call, and which time."""


@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize(("kind", "name", "time"), STEPS)
def test_a_rotation_that_is_killed_is_run_again(
    folder: Folder, kind: str, name: str, time: int, after: str
) -> None:
    """At each step: every key opens meanwhile, another process may make one, and the next run ends it."""
    before = folder.opened()
    command = [sys.executable, "-c", KILLED, str(folder.path), kind, name, after, str(time)]
    assert subprocess.run(command).returncode == -9
    assert folder.opened() == before
    with folder.keks() as keks:
        keks.check_roots()
        keks.advance({SUBJECTS[1]: 1})
        before[SUBJECTS[1], 2] = keks.kek(SUBJECTS[1], 2)
    done = folder.rotate()
    assert folder.opened() == before
    assert folder.roots().there() == [done.generation]
    assert folder.under() == {done.generation: 7}


def test_a_rotation_that_was_begun_is_ended_and_none_other_begun(folder: Folder) -> None:
    roots = folder.roots()
    with closing(KekStore(folder.path / "keks.db")) as store:
        roots.create(2, FilePlace())
        store.set_current_root(2)
    assert [folder.rotate().resumed, folder.rotate().resumed] == [True, False]
    assert folder.roots().there() == [3]


def test_two_at_once_is_refused(folder: Folder) -> None:
    with (
        rotating._only_one(folder.path),
        pytest.raises(StartRefused, match="another rotation of the record root is running"),
    ):
        folder.rotate()
    assert folder.under() == {1: 6}


def test_no_root_goes_while_a_key_is_left_under_it(folder: Folder) -> None:
    """One that was altered stops the rotation; both roots are kept, and it goes on once the key is put right."""
    with closing(sqlite3.connect(folder.path / "keks.db")) as store:
        rows = store.execute("SELECT subject, wrapped FROM keks WHERE version = 1").fetchall()
        store.execute("UPDATE keks SET wrapped = ? WHERE subject = 'pt_3'", (rows[0][1],))
        store.commit()
    with pytest.raises(StorageError, match=r"key of pt_3 in version 1 can't be unwrapped.*both"):
        folder.rotate()
    assert folder.roots().there() == [1, 2]
    with closing(sqlite3.connect(folder.path / "keks.db")) as store:
        store.execute(
            "UPDATE keks SET wrapped = ? WHERE subject = 'pt_3'",
            (dict(rows)["pt_3"],),
        )
        store.commit()
    assert folder.rotate().resumed
    assert len(folder.opened()) == 6


def test_without_the_old_root_nothing_is_begun(folder: Folder) -> None:
    os.rename(folder.path / "record.root", folder.path / "elsewhere")
    with pytest.raises(StartRefused, match=r"is missing\. Put it back"):
        folder.rotate()
    os.rename(folder.path / "elsewhere", folder.path / "record.root")
    assert (folder.roots().there(), folder.under()) == ([1], {1: 6})


# From one way to another.


def test_from_a_file_to_kms_to_a_token_and_back(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder.opened()
    try:
        token = SoftToken.make(tmp_path / "token")
    except SoftHsmMissing as missing:
        pytest.skip(str(missing))
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))
    token.add_key("heartwood")
    with KmsServer.start() as kms:
        place = kms.place()
        assert folder.rotate(place).left == []
        assert folder.opened() == before
        assert folder.rotate(token.place).left == [place]
    assert folder.opened() == before, "nothing is asked of KMS any more"
    assert folder.rotate().left == [token.place]
    assert folder.opened() == before
    assert folder.roots().there() == [4]


# Stores of before.


def test_a_store_of_an_older_program_is_taken_over(folder: Folder) -> None:
    before = folder.opened()
    with closing(sqlite3.connect(folder.path / "keks.db")) as store:
        store.executescript(
            "CREATE TABLE old (subject TEXT, version INTEGER, wrapped BLOB, PRIMARY KEY (subject, version)) WITHOUT ROWID;"
            "INSERT INTO old SELECT subject, version, wrapped FROM keks; DROP TABLE keks; DROP TABLE roots;"
            "ALTER TABLE old RENAME TO keks"
        )
    stores = [KekStore(folder.path / "keks.db") for _ in range(2)]
    assert stores[0].roots() == (1, 1)
    for one in stores:
        one.close()
    assert (folder.opened(), folder.under()) == (before, {1: 6})
    folder.rotate()
    assert folder.opened() == before


# In use.

BUSY = """
import os, sys
from pathlib import Path
from keeper.keks import KekStore
from keeper.roots import RecordRoots, Unlock
from keeper.wrapping import Keks
folder, mine = Path(sys.argv[1]), sys.argv[2]
keks, known, rounds = Keks(KekStore(folder / "keks.db"), RecordRoots(folder, Unlock("word"))), {}, 0
print("ready", flush=True)
while not (folder / "stop").exists():
    rounds += 1
    subjects = [f"pt_{mine}_{rounds}", "pt_1", f"pt_{mine}_{max(1, rounds // 2)}"]
    for subject, (version, kek) in keks.newest(subjects).items():
        assert known.setdefault(subject, kek) == kek == keks.kek(subject, version), subject
(oldest, _), held = keks.store.roots(), sorted(keks._roots._had)
keks.kek("pt_1", 1)
print(rounds, oldest, sorted(keks._roots._had), flush=True)
"""


def test_other_processes_go_on_during_and_after(folder: Folder) -> None:
    """Each has its own store and roots; none is started again, and none keeps a retired root."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY, str(folder.path), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    outputs = [process.stdout for process in processes]
    assert all(out is not None and out.readline() == "ready\n" for out in outputs)
    for _ in range(4):
        folder.rotate()
    (folder.path / "stop").touch()
    for process in processes:
        said = process.communicate(timeout=60)[0].split(maxsplit=2)
        assert (process.returncode, said[1:]) == (0, ["5", "[5]\n"])
        assert int(said[0]) > 4
    assert folder.roots().there() == [5]
    assert set(folder.under()) == {5}


@pytest.mark.parametrize("engine", ["sqlite"])
def test_an_open_ledger_goes_on(fixture: LedgerFixture) -> None:
    people = People.of(fixture)
    ran = heartwood(fixture.settings, "root", "rotate", "--json")
    assert (ran.code, ran.json["generation"], ran.json["destroyed"]) == (
        0, 2, [str(fixture.settings.roots() / "record.root")],
    )  # fmt: skip
    assert read(people) == CONTENT
    fixture.person("Later")
    fixture.reopen()
    assert read(people) == CONTENT


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_keepers_own_process_goes_on(fixture: LedgerFixture) -> None:
    """It was started under the old root, and loads the new one when it meets it."""
    people = People.of(fixture)
    fixture.close()
    fixture.ledger = api.app.opening.open_ledger(fixture.settings)
    assert read(people) == CONTENT
    for _ in range(2):
        assert heartwood(fixture.settings, "root", "rotate").code == 0
    assert read(people) == CONTENT
    fixture.person("Later")
    assert [one.generation for one in show_roots(fixture.settings)] == [3]


def read(people: People) -> bytes:
    """The patient's own reading of the record."""
    ledger, actor = people.fixture.ledger, people.pat.actor
    proposal = people.fixture.reading(actor, people.record, "PATRQT")
    return b"".join(opening.open_record(ledger, proposal).content)


# The passphrase.


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_passphrase_changes_in_the_middle_of_a_rotation(fixture: LedgerFixture) -> None:
    """Both roots are put under the new one."""
    settings = fixture.settings
    fixture.close()
    roots = RecordRoots(settings.roots(), settings.unlock())
    with closing(KekStore(settings.data / "keeper" / "keks.db")) as store:
        roots.create(2, FilePlace())
        store.set_current_root(2)
    told = list[tuple[int, int]]()
    done = change_passphrase(settings, "new", (), lambda made, size: told.append((made, size)))
    assert {roots.path(1), roots.path(2)} < set(done.changed) and done.elsewhere == []
    assert told[-1] == (len(done.changed),) * 2
    changed = settings.model_copy(update={"passphrase": None, "new_passphrase": None})
    with pytest.raises(StartRefused, match="has a passphrase"):
        open_ledger(changed)
    with pytest.raises(StartRefused):
        rotate_root(changed, FilePlace())
    under_new = type(settings).model_validate(settings.model_dump() | {"passphrase": "new"})
    assert rotate_root(under_new, FilePlace()).resumed
    open_ledger(under_new).close()
    change_passphrase(under_new, None, ())
    fixture.reopen()


# A backup.


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_backup_of_the_keeper_fits_itself(fixture: LedgerFixture, tmp_path: Path) -> None:
    """Whatever was rotated before and after: it holds the root that its store needs."""
    people, settings = People.of(fixture), fixture.settings
    heartwood(settings, "root", "rotate")
    made = heartwood(settings, "backup", tmp_path / "backup", "--keeper", tmp_path / "secrets")
    assert made.code == 0
    heartwood(settings, "root", "rotate")
    (kept,) = (tmp_path / "secrets").glob("snapshot-*/roots")
    assert sorted(path.name for path in kept.iterdir()) == ["identity.root", "record.root.2"]
    (store,) = (tmp_path / "secrets").glob("snapshot-*/keeper/keks.db")
    with closing(KekStore(store)) as keks:
        Keks(keks, RecordRoots(kept, Unlock())).kek(people.pat.patient, 1)


# What may go wrong besides.

_FAULTS: dict[str, Callable[[Keks], object]] = {
    "one that was never made": lambda keks: keks.kek("pt_9", 1),
    "a version that isn't there": lambda keks: keks.kek(SUBJECTS[0], 3),
}


@pytest.mark.parametrize("name", _FAULTS)
def test_a_key_that_is_not_there(folder: Folder, name: str) -> None:
    with folder.keks() as keks, pytest.raises(KeeperRefused, match="no key is kept"):
        _FAULTS[name](keks)


def test_a_key_under_the_wrong_generation_opens_nothing(folder: Folder) -> None:
    with folder.keks() as keks:
        kek = keks.store.get(SUBJECTS[1], 1)
        assert kek is not None
        assert not keks.store.add([Kek("pt_8", 1, kek.wrapped, 2)]), "it is not the current root"
        assert keks.store.add([Kek("pt_8", 1, kek.wrapped, 1)])
        with pytest.raises(CryptoError):
            keks.kek("pt_8", 1)
