"""The keeper's own log of releases: nothing is given without its entry on the disk, whatever breaks when."""

import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from api.app.layout import keeper_place, pinned_keys
from client import readings
from client.local import LocalClient
from crypto.cosignatures import Checkpoint
from crypto.encoding import b64encode
from crypto.notes import Note
from durable.errors import StartRefused, StorageError
from journeys.sealing import object_key
from keeper import releases
from keeper.child import child_keeper
from keeper.errors import KeeperRefused
from keeper.keks import KEKS
from keeper.protocol import Keeper, SealedField, SealedObject
from keeper.releases import LAST, PAGE, RELEASES, RELEASES_SEEDS, Releases
from ledger.checkpoint import open_checkpoint, parse_keys
from ledger.merkle import leaf_hash, tree_paths
from ledger.releases import RELEASE_MS, Release, key_given
from storage.evidence import ask_keeper
from storage.keytable import LABEL_KEY
from storage.maintenance.backup import copy_secrets_folder
from tests.integration.keeper.test_keeper import Ask, ask, people, request, shown_to_keeper
from tests.integration.keeper.test_release_files import GIVEN, check_whole, in_file, reading
from tests.support.inside import keeper_of, opened
from tests.support.ledger_fixture import CONTENT, entry_of, signed
from tests.support.people import People

__all__ = ["people"]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def folder_of(people: People) -> Path:
    """The keeper's folder."""
    return people.fixture.settings.data / "keeper"


def kept(keeper: Keeper) -> list[Release]:
    """The keeper's log, which is whole: chained, and under a checkpoint that its keys signed."""
    head = keeper.signed_releases()
    checkpoint = open_checkpoint(head.checkpoint, parse_keys(head.vkeys))
    raws = [
        raw
        for start in range(0, checkpoint.size, PAGE)
        for raw in keeper.releases(start, min(PAGE, checkpoint.size - start))
    ]
    check_whole(raws)
    if raws:
        assert tree_paths([leaf_hash(raw) for raw in raws])[0] == checkpoint.root
    assert len(raws) == checkpoint.size
    return [Release.parse(raw) for raw in raws]


# What it says.


def test_a_key_is_given_after_its_entry(people: People) -> None:
    """The entry names the reading, and what was released of it."""
    keeper, asked = keeper_of(people.fixture.ledger), ask(people)
    asked.put(keeper)
    (only,) = kept(keeper)
    assert (only.reading, only.event) == (asked.entry.link.seq, asked.entry.event.id)
    assert only.what == key_given(people.record, 1, people.blob)
    assert abs(only.time - asked.entry.time) < RELEASE_MS


def test_all_that_is_given_stands_in_it(people: People) -> None:
    """A reading with its title, a share, a list with titles, an export; names need no reading and leave none."""
    ledger, pat = people.fixture.ledger, people.pat
    client = LocalClient(ledger)
    assert (
        b"".join(readings.read(client, people.doctor, people.record, "TREAT")[1].content) == CONTENT
    )
    public = X25519PrivateKey.generate().public_key().public_bytes_raw()
    ask(people, reply=b64encode(public)).put(keeper_of(ledger))
    readings.chart(client, pat.actor, pat.patient, "PATRQT")
    readings.export(client, pat.actor, pat.patient, "PATRQT")
    found = kept(keeper_of(ledger))
    assert [one.kind for one in found] == ["key", "texts", "key", "texts", "texts", "export"]
    assert found[0].reading == found[1].reading and found[1].what["objects"] == [people.record]
    assert found[3].what["objects"] == [people.record] and found[5].what["count"] == 1
    raws = b"".join(one.raw() for one in found)
    assert b"Blood" not in raws and people.pat.patient.encode() not in raws


def test_what_is_refused_leaves_no_entry(people: People) -> None:
    """Nothing was given: a second time, another blob, too late, and an object that has no id."""
    keeper, asked = keeper_of(people.fixture.ledger), ask(people)
    asked.put(keeper)
    with pytest.raises(KeeperRefused, match="has already received its key"):
        asked.put(keeper)
    late = ask(people)
    keeper._clock = lambda: late.entry.time + RELEASE_MS + 1
    with pytest.raises(KeeperRefused, match="ms old"):
        late.put(keeper)
    assert len(kept(keeper)) == 1


def test_what_has_no_id_never_stands_in_it(people: People) -> None:
    """A stolen server seals a text under the label key and asks for it: it opens nothing, and the log stays what it is."""
    ledger, pat = people.fixture.ledger, people.pat
    key = object_key(ledger.keys, pat.patient, LABEL_KEY)
    looked = pat.actor.event("chart.opened", pat.stream, {"purpose": "PATRQT"}, ledger.clock())
    entry = entry_of(ledger.append([signed(ledger, looked, pat.actor.key)])[0])
    field = SealedField(pat.stream, entry.event.id, "title", "")
    text = ledger.keeper.seal(key, pat.stream, entry.event.id, {"title": "Pat"})["title"]
    sealed = [SealedObject(key, (replace(field, text=text),))]
    shown = shown_to_keeper(ledger, entry)
    with pytest.raises(KeeperRefused, match="expected <prefix>_"):
        ask_keeper(ledger, shown, lambda found: ledger.keeper.open_fields(found, sealed))
    assert kept(keeper_of(ledger)) == []


def test_its_keys_are_its_own_and_sign_its_checkpoint(people: People) -> None:
    """Under the log's name and `/releases`; neither the log's keys nor the witness's."""
    keeper = keeper_of(people.fixture.ledger)
    head = keeper.signed_releases()
    assert Checkpoint.parse(Note.parse(head.checkpoint).text).origin == (
        f"{people.fixture.ledger.origin}/releases"
    )
    keys = parse_keys(head.vkeys)
    assert [key.kind for key in keys] == [0x01, 0x06]
    others = {key.public for key in pinned_keys(people.fixture.settings)}
    others |= {key.public for key in parse_keys(keeper.vkeys())}
    assert not others & {key.public for key in keys}
    for name in RELEASES_SEEDS:
        assert (folder_of(people) / name).stat().st_mode & 0o777 == 0o600


def test_a_checkpoint_is_signed_once_for_each_size(people: People) -> None:
    """And again only when something was given since."""
    keeper = keeper_of(people.fixture.ledger)
    ask(people).put(keeper)
    first = keeper.signed_releases()
    assert keeper.signed_releases() == first
    ask(people).put(keeper)
    assert keeper.signed_releases() != first


@pytest.mark.parametrize("count", [0, -1, PAGE + 1, 1 << 62])
def test_a_page_is_bounded(people: People, count: int) -> None:
    with pytest.raises(KeeperRefused, match=f"expected 1 to {PAGE}"):
        keeper_of(people.fixture.ledger).releases(0, count)


# The disk.


def test_a_full_disk_gives_nothing(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither key nor entry nor use; once there is room, the same reading gets its key."""
    keeper, asked = keeper_of(people.fixture.ledger), ask(people)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(releases._Edge, "add", full)
        with pytest.raises(StorageError, match=r"gives nothing: .*disk is full"):
            asked.put(keeper)
    assert kept(keeper) == []
    assert len(asked.put(keeper)) == 32
    assert len(kept(keeper)) == 1


def test_a_disk_that_has_no_room_for_the_last_number_gives_nothing(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry stands, and the key did not leave: that is the order of the two."""
    keeper, asked = keeper_of(people.fixture.ledger), ask(people)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(releases, "replace_file", full)
        keeper._releases._told = -releases.LAST_SECONDS
        patched.setattr(releases, "LAST_SECONDS", 0.0)
        with pytest.raises(StorageError, match="No space left"):
            asked.put(keeper)
    with pytest.raises(KeeperRefused, match="has already received its key"):
        asked.put(keeper)
    assert len(kept(keeper)) == 1


KILLED = """
import os, pickle, signal, sys
from keeper import releases
from keeper.child import KeeperPlace
from keeper.process import open_keeper

place, evidence, wrapped, record, sha256, step = pickle.load(sys.stdin.buffer)
keeper = open_keeper(KeeperPlace(**place))

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if step == "before its entry":
    releases._Edge.add = die
elif step == "before the commit":
    releases.Releases._sweep = die
elif step == "after the commit":
    releases.LAST_SECONDS, releases.replace_file = 0.0, die
elif step == "before the answer":
    done = releases.Releases.record
    releases.Releases.record = lambda *a, **k: (done(*a, **k), die())
print(len(keeper.release(evidence, wrapped, record, sha256)), flush=True)
"""


@pytest.mark.parametrize(
    ("step", "stands"),
    [
        ("before its entry", False), ("before the commit", False), ("after the commit", True),
        ("before the answer", True), ("never", True),
    ],
)  # fmt: skip
def test_killed_at_each_step_of_a_release(people: People, step: str, stands: bool) -> None:
    """An entry and no key, or neither; never a key without its entry. Afterwards it goes on."""
    asked = ask(people)
    keeper = keeper_of(people.fixture.ledger)
    ask(people).put(keeper)  # it has read the reading by now
    shown = asked.shown.since(keeper.seen.size)
    people.fixture.ledger.close()
    place = asdict(keeper_place(people.fixture.settings, pinned_keys(people.fixture.settings)))
    ran = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, check=False,
        input=pickle.dumps((place, shown, asked.wrapped, asked.record, asked.sha256, step)),
    )  # fmt: skip
    if step == "never":
        assert ran.stdout == b"32\n", ran.stderr
    else:
        assert (ran.returncode, ran.stdout) == (-signal.SIGKILL, b""), ran.stderr
    found = [one for one in in_file(folder_of(people)) if one.reading == asked.entry.link.seq]
    assert len(found) == stands
    people.fixture.ledger = opened(people.fixture.settings)
    keeper = keeper_of(people.fixture.ledger)
    if stands:
        with pytest.raises(KeeperRefused, match="has already received its key"):
            here(people, asked).put(keeper)
    else:
        assert len(here(people, asked).put(keeper)) == 32
    assert len(ask(people).put(keeper)) == 32
    assert len(kept(keeper)) == 3


def here(people: People, asked: Ask) -> Ask:
    """The same request at a ledger that was opened again."""
    return request(people, people.fixture.ledger, asked.entry)


# Put back, cut short, altered.


def _older(folder: Path, kept: Path) -> None:
    shutil.copy2(kept / RELEASES, folder / RELEASES)


def _gone(folder: Path, kept: Path) -> None:
    (folder / RELEASES).unlink()


def _sql(*statements: str):  # type: ignore[no-untyped-def]
    def run(folder: Path, kept: Path) -> None:
        with closing(sqlite3.connect(folder / RELEASES)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return run


def _others(folder: Path, kept: Path) -> None:
    (kept / "other").mkdir()
    log = Releases(kept / "other", lambda: 0)
    for number in range(9):
        log.record(reading(number), [GIVEN], once=True)
    log.close()
    shutil.copy2(kept / "other" / RELEASES, folder / RELEASES)


def _half(folder: Path, kept: Path) -> None:
    (folder / LAST).write_text("2")


PUT_BACK = {
    "an older copy": ("put back, cut short or altered: it has 1 entry, and 2 were", _older),
    "gone": ("gave out, is missing", _gone),
    "the last one cut off": ("cut short", _sql("DELETE FROM releases WHERE seq = 1")),
    "cut off, and the state with it": (
        "cut short", _sql("DELETE FROM releases", "UPDATE state SET size = 0, tip = zeroblob(32), edge = x''"),
    ),
    "the last one altered": (
        "altered", _sql("UPDATE releases SET raw = replace(raw, 'key', 'kex') WHERE seq = 1"),
    ),
    "another log's": ("put back, cut short or altered", _others),
    "what stands beside it, in half": (r"releases\.last can't be read", _half),
}  # fmt: skip


@pytest.mark.parametrize("case", PUT_BACK)
def test_it_does_not_start_on_a_log_that_was(people: People, tmp_path: Path, case: str) -> None:
    """With the reason and the remedy; put right, all goes on."""
    said, harm = PUT_BACK[case]
    folder = folder_of(people)
    ask(people).put(keeper_of(people.fixture.ledger))
    people.fixture.ledger.close()
    settled(folder)
    shutil.copy2(folder / RELEASES, tmp_path / RELEASES)
    people.fixture.ledger = opened(people.fixture.settings)
    ask(people).put(keeper_of(people.fixture.ledger))
    people.fixture.ledger.close()
    settled(folder)
    good = {name: (folder / name).read_bytes() for name in (RELEASES, LAST)}
    harm(folder, tmp_path)
    with pytest.raises(StartRefused, match=said):
        opened(people.fixture.settings)
    for path in folder.glob(f"{RELEASES}*"):
        path.unlink()
    for name, data in good.items():
        (folder / name).write_bytes(data)
    people.fixture.ledger = opened(people.fixture.settings)
    assert len(kept(keeper_of(people.fixture.ledger))) == 2


def settled(folder: Path) -> None:
    """All of the file is in the file, and nothing beside it."""
    with closing(sqlite3.connect(folder / RELEASES)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_where_it_can_not_be_had_the_log_says_so(people: People) -> None:
    """The operator removes what stands beside it: the keeper goes on, with an entry that tells."""
    ask(people).put(keeper_of(people.fixture.ledger))
    people.fixture.ledger.close()
    (folder_of(people) / LAST).unlink()
    people.fixture.ledger = opened(people.fixture.settings)
    assert [one.kind for one in kept(keeper_of(people.fixture.ledger))] == ["key", "restored"]
    people.fixture.ledger.close()
    people.fixture.ledger = opened(people.fixture.settings)
    assert len(kept(keeper_of(people.fixture.ledger))) == 2, "it says so once"


def test_it_does_not_go_on_under_other_keys(people: People) -> None:
    """A log that has entries has its keys."""
    ask(people).put(keeper_of(people.fixture.ledger))
    people.fixture.ledger.close()
    seed = folder_of(people) / RELEASES_SEEDS[1]
    whole = seed.read_bytes()
    seed.unlink()
    with pytest.raises(StartRefused, match="a key of the key keeper's log of releases, is missing"):
        opened(people.fixture.settings)
    seed.touch(0o600)
    seed.write_bytes(whole)
    people.fixture.ledger = opened(people.fixture.settings)


# Backups, and keepers from before.


def test_a_backup_holds_it_and_its_keys(people: People, tmp_path: Path) -> None:
    """What was given between the backup and the restoration is not in it: the log says that it was restored."""
    keeper = keeper_of(people.fixture.ledger)
    ask(people).put(keeper)
    vkeys = keeper.signed_releases().vkeys
    copy_secrets_folder(folder_of(people), tmp_path / "kept")  # while it is in use
    assert not (tmp_path / "kept" / LAST).exists()
    ask(people).put(keeper)
    people.fixture.ledger.close()
    shutil.rmtree(folder_of(people))
    copy_secrets_folder(tmp_path / "kept", folder_of(people))
    people.fixture.ledger = opened(people.fixture.settings)
    keeper = keeper_of(people.fixture.ledger)
    ask(people).put(keeper)
    assert [one.kind for one in kept(keeper)] == ["key", "restored", "key"]
    assert keeper.signed_releases().vkeys == vkeys


def test_a_keeper_from_before_knows_what_it_gave(people: People) -> None:
    """A reading that had its key under the older program gets none under this one; its log begins."""
    asked = ask(people)
    people.fixture.ledger.close()
    folder = folder_of(people)
    for path in (
        *folder.glob(f"{RELEASES}*"),
        folder / LAST,
        *(folder / n for n in RELEASES_SEEDS),
    ):
        path.unlink()
    with closing(sqlite3.connect(folder / KEKS)) as connection:
        connection.execute(
            "CREATE TABLE released (event TEXT PRIMARY KEY, time INTEGER) WITHOUT ROWID"
        )
        connection.execute(
            "INSERT INTO released VALUES (?, ?)", (asked.entry.event.id, asked.entry.time)
        )
        connection.commit()
    people.fixture.ledger = opened(people.fixture.settings)
    keeper = keeper_of(people.fixture.ledger)
    with pytest.raises(KeeperRefused, match="has already received its key"):
        here(people, asked).put(keeper)
    assert kept(keeper) == []
    assert len(ask(people).put(keeper)) == 32


# Through the socket.


def test_the_process_tells_the_same(people: People) -> None:
    """What a keeper in this process gave, one in a process of its own tells, and goes on with."""
    keeper = keeper_of(people.fixture.ledger)
    ask(people).put(keeper)
    head, entries = keeper.signed_releases(), keeper.releases(0, PAGE)
    people.fixture.ledger.close()
    place = keeper_place(people.fixture.settings, pinned_keys(people.fixture.settings))
    with closing(child_keeper(place)) as there:
        assert there.signed_releases().vkeys == head.vkeys
        assert there.releases(0, PAGE) == entries
        assert len(kept(there)) == 1
        with pytest.raises(KeeperRefused, match=f"expected 1 to {PAGE}"):
            there.releases(0, PAGE + 1)
    people.fixture.ledger = opened(people.fixture.settings)
