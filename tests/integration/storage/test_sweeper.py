"""Garbage collection: what was staged and never named goes after a day, and nothing else, whatever happens at once."""

import dataclasses
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from api.app.metrics import Metrics
from api.app.settings import Settings
from api.operator.checking.surroundings import check_surroundings
from api.operator.restoring import accept_restore
from client.beside import propose
from crypto.encoding import b64encode
from crypto.ids import time_of
from identity.actors import Actor, Caller, new_id
from journeys.sealing import reserve
from keeper.protocol import KeyRequest
from ledger.errors import Refused
from ledger.sequencer import Appended
from ledger.times import DAY_MS
from records import uploads
from records.uploads import StagedBlob
from storage.blobs.files import FileBlobs, Member
from storage.blobs.quorum import QuorumBlobs
from storage.clock import wall_clock
from storage.errors import BlobError, BlobsUnavailable
from storage.maintenance.garbage import (
    SWEEP_MS,
    Collected,
    GarbageCollector,
    _remove_staged,
    sweep,
    sweep_owed,
)
from storage.maintenance.orphans import STAGED_MS, named
from storage.maintenance.orphans import staged as unnamed_staged
from storage.maintenance.owed import Owed, owed_of
from tests.deep.witness import assert_keys
from tests.support.commands import heartwood
from tests.support.ledger_fixture import LedgerFixture, Person
from tests.support.server import PATIENCE_SECONDS, until

RACES = 40


def caller(actor: Actor) -> Caller:
    """Somebody in a session."""
    return Caller(actor.account, actor.role, actor.hospital, actor.key.id)


def stage(fixture: LedgerFixture, person: Person, record: str = "") -> StagedBlob:
    """A staged blob of the north's system, without an event."""
    return uploads.stage(
        fixture.ledger, caller(fixture.north.system), person.patient, [b"x"], record
    )


def collector(fixture: LedgerFixture) -> GarbageCollector:
    """As a serving process has one."""
    ledger = fixture.ledger
    return GarbageCollector(
        ledger.stores, fixture.settings.data, ledger.clock, ledger.log.unavailable
    )


def swept_later(fixture: LedgerFixture, later: int = STAGED_MS + 60_000) -> Collected:
    """A sweep so much later."""
    return sweep(fixture.ledger.stores, fixture.settings.data, fixture.ledger.clock() + later)


def event(fixture: LedgerFixture, person: Person, staged: StagedBlob) -> dict[str, Any]:
    """The upload that names a staged blob."""
    body = {
        "blob": staged.blob, "category": "laboratory", "confidentiality": "normal", "media_type": "text/plain",
        "purpose": "TREAT", "record": staged.record, "sha256": b64encode(staged.sha256), "size": staged.size,
        "version": 1,
    }  # fmt: skip
    return fixture.north.system.event(
        "record.uploaded", person.stream, body, fixture.ledger.clock()
    )


def name_it(fixture: LedgerFixture, person: Person, staged: StagedBlob) -> str:
    """Append the event; the code of its refusal, or "" if it is an entry."""
    (proposal,) = propose(fixture.ledger, fixture.north.system, [event(fixture, person, staged)])
    outcome = fixture.ledger.append([proposal])[0]
    assert isinstance(outcome, Appended | Refused), outcome
    return outcome.code if isinstance(outcome, Refused) else ""


def has_keys(fixture: LedgerFixture, patient: str, staged: StagedBlob) -> tuple[bool, bool]:
    """Whether the blob's key and its record's are there."""
    keys = fixture.ledger.keys
    with fixture.ledger.database.read() as connection:
        return (
            bool(keys.blob_keys(connection, [staged.blob])),
            bool(keys.object_keys(connection, [(staged.record, patient)])),
        )


def test_what_was_staged_goes_after_a_day(fixture: LedgerFixture) -> None:
    """Blob, key and the key of its record; an append that comes later is refused, cleanly."""
    pat = fixture.person()
    kept, staged = fixture.record(pat), stage(fixture, pat)
    assert swept_later(fixture, STAGED_MS - 60_000) == Collected()
    assert has_keys(fixture, pat.patient, staged) == (True, True)
    assert swept_later(fixture) == Collected(blobs=[staged.blob])
    assert has_keys(fixture, pat.patient, staged) == (False, False)
    with pytest.raises(BlobError, match="is not in the blob store"):
        fixture.ledger.blobs.size(staged.blob)
    assert name_it(fixture, pat, staged) == "no_key"
    assert fixture.ledger.blobs.size(kept.blob)
    assert swept_later(fixture) == Collected()


def test_what_is_named_stays(fixture: LedgerFixture) -> None:
    """For ever, also where the views know nothing of it."""
    pat = fixture.person()
    staged = stage(fixture, pat)
    assert name_it(fixture, pat, staged) == ""
    assert swept_later(fixture, 400 * DAY_MS) == Collected()
    with fixture.ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM records")
    assert swept_later(fixture, 400 * DAY_MS) == Collected()
    assert has_keys(fixture, pat.patient, staged) == (True, True)


def test_a_lost_key_does_not_make_a_blob_a_stray(fixture: LedgerFixture) -> None:
    """Neither key nor view know of it, and the log does: the blob stays, a backup may have its key."""
    kept = fixture.record(fixture.person())
    with fixture.ledger.database.write() as connection:
        for table in ("records", "blob_keys"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    assert swept_later(fixture) == Collected()
    assert fixture.ledger.blobs.size(kept.blob)


def test_a_version_that_never_came(fixture: LedgerFixture) -> None:
    """Staged for a record that is there: its own key stays, and the record opens as before."""
    pat = fixture.person()
    there = fixture.record(pat)
    staged = stage(fixture, pat, there.record)
    assert swept_later(fixture).blobs == [staged.blob]
    assert has_keys(fixture, pat.patient, staged) == (False, True)


@pytest.mark.parametrize(("days", "size"), [(0, 0), (30, 300)])
@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_records_key_stays_with_its_record(settings: Settings, days: int, size: int) -> None:
    """Also where the first version's key is lost and a second never came; long ago, beyond the look, too."""
    fixture = LedgerFixture.found(settings, lambda: wall_clock() - days * DAY_MS)
    pat = fixture.person()
    there = fixture.record(pat)
    fixture.fill(pat, max(size, fixture.size()))
    fixture.reopen()
    staged = stage(fixture, pat, there.record)
    with fixture.ledger.database.write() as connection:
        connection.exec_driver_sql(f"DELETE FROM blob_keys WHERE blob = '{there.blob}'")
    assert swept_later(fixture).blobs == [staged.blob]
    assert has_keys(fixture, pat.patient, staged) == (False, True)
    fixture.close()


def test_what_was_reserved_alone_stays(fixture: LedgerFixture) -> None:
    """A text sealed under the key of an account may come in an event any day."""
    account = new_id("ac", fixture.ledger.clock())
    reserve(fixture.ledger, fixture.north.admin.account, [KeyRequest(account, (account,))])
    assert swept_later(fixture) == Collected()
    assert fixture.ledger.keys.object_key(account, account)


def test_strays_and_temporary_files(fixture: LedgerFixture) -> None:
    """What crashes left: a blob whose key never came, and files that were never whole."""
    stray = new_id("bl", fixture.ledger.clock())
    fixture.ledger.blobs.put(stray, [b"sealed"])
    data = fixture.settings.data
    (data / "blobs" / stray[-2:] / f".{stray}.1.0123abcd").write_bytes(b"half")
    (data / "keeper" / ".checkpoint.77.0123abcd").write_bytes(b"half")
    (data / ".keep").write_bytes(b"somebody else's")
    assert swept_later(fixture, 0) == Collected()
    found = swept_later(fixture)
    assert (found.strays, found.blobs) == ([stray], [])
    assert sorted(found.files) == [f".{stray}.1.0123abcd", ".checkpoint.77.0123abcd"]
    assert (data / ".keep").exists()
    assert swept_later(fixture) == Collected()


def test_strays_from_before_a_restored_backup_stay(fixture: LedgerFixture) -> None:
    """Their entries may be among those that were lost, and a newer backup may turn up."""
    pat = fixture.person()
    lost = fixture.record(pat).blob
    with fixture.ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM blob_keys")
    trusted = fixture.settings.data / "checkpoint"
    trusted.unlink()
    stray = new_id("bl", fixture.ledger.clock())
    fixture.ledger.blobs.put(stray, [b"sealed"])
    accept_restore(fixture.ledger, fixture.operator, trusted)
    found = swept_later(fixture)
    assert (found.kept, found.strays) == ([stray], [])
    assert fixture.ledger.blobs.size(lost)


def test_a_blob_swept_before_its_key_is_told(fixture: LedgerFixture) -> None:
    """A process that slept between blob and key comes too late, and says so before any event."""
    pat, blobs = fixture.person(), fixture.ledger.blobs

    class Sleeping(FileBlobs):
        """Sleeps after each put until a sweep is over."""

        def put(self, blob: str, chunks: Iterable[bytes]) -> None:
            super().put(blob, chunks)
            assert swept_later(fixture).strays == [blob]

    fixture.ledger.blobs = Sleeping(fixture.settings.data / "blobs")
    with pytest.raises(BlobError, match="is not in the blob store"):
        fixture.record(pat)
    fixture.ledger.blobs = blobs
    assert len(swept_later(fixture).blobs) == 1


def test_a_sweep_and_an_append_at_once(fixture: LedgerFixture) -> None:
    """Of a sweep and an append that names the blob one comes first; never an entry without key and blob."""
    pat, came = fixture.person(), []
    for _ in range(RACES):
        staged, barrier = stage(fixture, pat), threading.Barrier(2)
        with fixture.ledger.database.write() as connection:
            old = f"UPDATE blob_keys SET staged_at = 0 WHERE blob = '{staged.blob}'"
            connection.exec_driver_sql(old)

        def sweep_at_once(barrier: threading.Barrier = barrier) -> Collected:
            barrier.wait(PATIENCE_SECONDS)
            return swept_later(fixture, 0)

        def name_at_once(staged: StagedBlob = staged, barrier: threading.Barrier = barrier) -> str:
            barrier.wait(PATIENCE_SECONDS)
            return name_it(fixture, pat, staged)

        with ThreadPoolExecutor(2) as pool:
            sweeping, naming = pool.submit(sweep_at_once), pool.submit(name_at_once)
            swept, code = sweeping.result(), naming.result()
        assert (code == "no_key") == (swept.blobs == [staged.blob]), (code, swept)
        came.append(code)
        assert_keys(fixture.ledger, fixture.ledger.stream(pat.stream, fixture.size()))
    print(f"{came.count('')} of {RACES} appends came first")


def test_an_append_between_look_and_lock(fixture: LedgerFixture) -> None:
    """A sweep that looked before an append looks again under the lock."""
    pat, done = fixture.person(), list[str]()
    staged = stage(fixture, pat)

    def append_once() -> None:
        if not done:
            done.append(name_it(fixture, pat, staged))

    now = fixture.ledger.clock() + 2 * STAGED_MS
    assert sweep(fixture.ledger.stores, fixture.settings.data, now, append_once) == Collected()
    assert done == [""]
    assert has_keys(fixture, pat.patient, staged) == (True, True)


def test_a_key_that_comes_while_its_blob_is_swept(fixture: LedgerFixture) -> None:
    """A day after the blob's birth it is refused, whether or not the blob is gone yet: told before any event."""
    pat, sweeping, told = fixture.person(), threading.Event(), threading.Event()
    folder = fixture.settings.data / "blobs"

    class Slow(FileBlobs):
        """Removes once the key was refused."""

        def remove(self, blob: str) -> None:
            sweeping.set()
            assert told.wait(PATIENCE_SECONDS)
            super().remove(blob)

    stores = dataclasses.replace(fixture.ledger.stores, blobs=Slow(folder))
    now = fixture.ledger.clock() + STAGED_MS + 60_000
    with ThreadPoolExecutor(1) as pool:

        class Watched(FileBlobs):
            """Goes on a day later, when a sweep has found the new blob without a key."""

            def put(self, blob: str, chunks: Iterable[bytes]) -> None:
                super().put(blob, chunks)
                fixture.ledger.clock = lambda: now
                swept.append(pool.submit(sweep, stores, fixture.settings.data, now))
                assert sweeping.wait(PATIENCE_SECONDS)

        swept: list[Future[Collected]] = []
        fixture.ledger.blobs = Watched(folder)
        with pytest.raises(BlobError, match="took longer than 12 hours: it is given up"):
            fixture.record(pat)
        told.set()
        assert len(swept[0].result().strays) == 1
    fixture.ledger.clock = wall_clock


def test_a_store_that_hangs_holds_up_nobody(fixture: LedgerFixture) -> None:
    """While orphans, staged or without a key, are removed from a remote store, others append."""
    pat, asked = fixture.person(), list[str]()
    stray = new_id("bl", fixture.ledger.clock())
    fixture.ledger.blobs.put(stray, [b"sealed"])
    staged = stage(fixture, pat)

    class Hanging(FileBlobs):
        """Asks for a minute's patience, in which somebody else appends."""

        def remove(self, blob: str) -> None:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(fixture.record, pat).result(PATIENCE_SECONDS)
            asked.append(blob)
            super().remove(blob)

    hanging = Hanging(fixture.settings.data / "blobs")
    stores = dataclasses.replace(fixture.ledger.stores, blobs=hanging)
    now = fixture.ledger.clock() + STAGED_MS + 60_000
    found = sweep(stores, fixture.settings.data, now)
    assert (found.blobs, found.strays) == ([staged.blob], [stray]) == (asked[:1], asked[1:])


def test_the_walk_ends_at_the_birth(fixture: LedgerFixture) -> None:
    """Entries from before a blob was born can't name it, and aren't read."""
    pat = fixture.person()
    fixture.fill(pat, 600)
    blob, ledger = fixture.record(pat).blob, fixture.ledger
    size, steps = fixture.size(), list[int]()

    def look(names: set[str], since: int) -> set[str]:
        steps.clear()
        return named(ledger.store, names, since, size, 0, lambda: steps.append(1))

    assert look({blob}, time_of(blob)) == {blob}
    assert len(steps) == 1
    assert look({"bl_" + "0" * 26}, ledger.clock() + 1) == set()
    assert len(steps) == 1
    assert look({"bl_" + "0" * 26}, 0) == set()
    assert len(steps) == 3


@pytest.mark.parametrize("engine", ["sqlite"])
def test_one_process_at_a_time_and_seldom(fixture: LedgerFixture) -> None:
    """The second one finds that a sweep was done, until the next is due."""
    garbage, now = collector(fixture), fixture.ledger.clock()
    assert garbage.due() == Collected()
    assert garbage.due() is None
    last = fixture.settings.data / "sweep"
    assert now <= json.loads(last.read_text())["swept"] <= fixture.ledger.clock()
    assert oct(last.stat().st_mode & 0o777) == "0o600"
    last.write_text(f"{now - SWEEP_MS}\n")
    assert garbage.due() == Collected()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_loop_tells_and_ends(fixture: LedgerFixture) -> None:
    """It sweeps when it begins, tells what came of it, and ends with what it runs in; a failure, too."""
    told: list[Collected | Exception] = []
    with collector(fixture).running(told.append):
        until(lambda: bool(told), "no sweep")
    assert told == [Collected()]
    assert not [thread for thread in threading.enumerate() if thread.name == "garbage"]
    last = fixture.settings.data / "sweep"
    last.unlink()
    last.mkdir()
    with collector(fixture).running(told.append):
        until(lambda: len(told) == 2, "no failure")
    assert isinstance(told[1], IsADirectoryError)
    last.rmdir()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_by_hand(settings: Settings) -> None:
    """`sweep` says what it removed."""
    fixture = LedgerFixture.found(settings)
    pat = fixture.person()
    staged = stage(fixture, pat)
    with fixture.ledger.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE blob_keys SET staged_at = staged_at - {2 * DAY_MS}")
    fixture.close()
    left = Path(settings.data / "keeper" / ".keks.1.00000000")
    left.write_bytes(b"")
    os.utime(left, (0, 0))
    ran = heartwood(settings, "sweep")
    assert (ran.code, ran.out) == (
        0,
        f"removed {staged.blob}, which was staged, and its key\n"
        "removed .keks.1.00000000, left behind by an interrupted write\n",
    )
    again = heartwood(settings, "sweep", "--json")
    none: list[str] = []
    fields = ("blobs", "strays", "files", "locked", "kept")
    assert again.json == dict.fromkeys(fields, none) | {
        "erased": {"completed": [], "locked": {}, "waiting": {}}, "owed": {}, "silent": {},
    }  # fmt: skip
    assert heartwood(settings, "sweep").out == "nothing to remove\n"


class Asked(FileBlobs):
    """A store that counts what it is asked, and may be dead."""

    dead = False
    asked = 0

    def remove(self, blob: str) -> None:
        self._answer()
        super().remove(blob)

    def list(self) -> Iterator[str]:
        self._answer()
        yield from super().list()

    def written(self, blob: str) -> int:
        self._answer()
        return super().written(blob)

    def sweep(self, before: int) -> Sequence[str]:
        self._answer()
        return super().sweep(before)

    def _answer(self) -> None:
        self.asked += 1
        if self.dead:
            raise BlobsUnavailable("it is down")


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_dead_store_of_several_is_left_alone_and_what_it_owes_remembered(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """Asked once in a sweep, then later and later; the others are swept. When it answers, what it owes goes."""
    stores = {name: Asked(tmp_path / name) for name in "abc"}
    fixture.ledger.blobs = QuorumBlobs([Member(*one) for one in stores.items()], 2)
    pat = fixture.person()
    blobs = sorted(stage(fixture, pat).blob for _ in range(20))
    stores["b"].dead, now = True, fixture.ledger.clock() + STAGED_MS + 60_000
    garbage = GarbageCollector(fixture.ledger.stores, fixture.settings.data, lambda: now)
    swept = garbage.due()
    assert swept is not None
    assert (sorted(swept.owed["b"]), swept.silent) == (blobs, {"b": "it is down"})
    assert [set(store.list()) for name, store in stores.items() if name != "b"] == [set(), set()]
    metrics = Metrics()
    metrics.swept(swept)
    assert b'heartwood_sweep_owed_blobs{store="b"} 20.0' in metrics.text()
    assert owed_of(fixture.settings.data) == {"b": 20}
    assert any(
        "has still to remove 20 blobs" in one.words for one in check_surroundings(fixture.settings)
    )
    begun, asked, tries = now, stores["b"].asked, 0
    assert asked <= 3
    for _ in range(180):  # three hours of looks
        now += 60_000
        tries += garbage.due() is not None
    assert tries <= 9 and stores["b"].asked == asked + tries
    stores["b"].dead, now = False, now + 3_600_000
    garbage = GarbageCollector(fixture.ledger.stores, fixture.settings.data, lambda: now)
    settled = garbage.due()
    assert settled is not None and settled.owed == {"b": []} and now - begun < SWEEP_MS
    metrics.swept(settled)
    assert b'heartwood_sweep_owed_blobs{store="b"} 0.0' in metrics.text()
    assert list(stores["b"].list()) == [] and owed_of(fixture.settings.data) == {}
    assert garbage.due() is None


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_is_owed_is_looked_at_again(fixture: LedgerFixture) -> None:
    """A blob that has a key, or an entry, is not removed because a file says that it is owed."""
    pat = fixture.person()
    named, staged = fixture.record(pat), stage(fixture, pat)
    swept = sweep_owed(fixture.ledger.stores, {"": [named.blob, staged.blob], "gone": [named.blob]})
    assert swept.owed == {"": [], "gone": []}
    assert set(fixture.ledger.blobs.list()) == {named.blob, staged.blob}


class Declining(FileBlobs):
    """A store that declines to remove anything, with whatever it raises."""

    error: Exception = BlobError("declined")
    asked = 0

    def remove(self, blob: str) -> None:
        self.asked += 1
        raise self.error


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("error", [BlobError("declined"), RuntimeError("broken")])
def test_what_is_owed_and_declined_keeps_no_whole_sweep_waiting(
    fixture: LedgerFixture, tmp_path: Path, error: Exception
) -> None:
    """Later and later, as a store that is dead; and the whole sweep has its turn."""
    declining = Declining(tmp_path / "b")
    declining.error = error
    members = [Member("a", FileBlobs(tmp_path / "a")), Member("b", declining)]
    owing = fixture.ledger.blobs = QuorumBlobs(members, 2)
    now, blob = fixture.ledger.clock() + 2 * STAGED_MS, new_id("bl", fixture.ledger.clock())
    owing.put(blob, [b"x"])
    file = fixture.settings.data / "sweep"
    state = {"swept": 0, "whole": asdict(Owed()), "stores": {"b": asdict(Owed([blob]))}}
    file.write_text(json.dumps(state))
    for _ in range(180):
        now += 60_000
        with suppress(RuntimeError):
            GarbageCollector(fixture.ledger.stores, fixture.settings.data, lambda: now).due()  # noqa: B023
    told = json.loads(file.read_text())
    assert told["swept"] > 0 or told["whole"]["failures"] > 0
    assert told["stores"]["b"]["failures"] >= 5
    assert declining.asked <= 20


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_is_no_blob_is_not_owed(fixture: LedgerFixture) -> None:
    """The file is damaged: what can't be read of it is let go, and the rest is done."""
    owed = asdict(Owed(["bl_x", "", "rc_00000000000000000000000000"]))
    state = {"swept": 0, "whole": asdict(Owed()), "stores": {"b": owed}}
    (fixture.settings.data / "sweep").write_text(json.dumps(state))
    assert owed_of(fixture.settings.data) == {"b": 0}
    garbage = collector(fixture)
    assert garbage.due() is not None and garbage.due() is not None and garbage.due() is None


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_sweep_that_fails_is_not_begun_again_each_minute(
    fixture: LedgerFixture, tmp_path: Path
) -> None:
    """The one store is dead: later and later, an hour apart at the most, and the same after a restart."""
    store = Asked(tmp_path / "one")
    store.dead, fixture.ledger.blobs = True, store
    now, failed = fixture.ledger.clock(), 0
    for _ in range(120):
        now += 60_000
        at = now
        garbage = GarbageCollector(fixture.ledger.stores, fixture.settings.data, lambda: at)  # noqa: B023
        try:
            assert garbage.due() is None
        except BlobsUnavailable:
            failed += 1
    assert 5 <= failed <= 8
    store.dead, at = False, now + 3_600_000
    assert (
        GarbageCollector(fixture.ledger.stores, fixture.settings.data, lambda: at).due() is not None
    )


def test_under_the_heads_lock_one_connection_is_enough(
    fixture: LedgerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sweep that wanted another while it holds the lock would wait for ever once all are taken."""
    pat = fixture.person()
    stage(fixture, pat)
    database = fixture.ledger.database
    holding, write, read = [False], database.write, database.read

    @contextmanager
    def watched() -> Iterator[Connection]:
        with write() as connection:
            holding[0] = True
            try:
                yield connection
            finally:
                holding[0] = False

    def asked() -> AbstractContextManager[Connection]:
        assert not holding[0], "a second connection within the lock"
        return read()

    fixture.record(pat)
    monkeypatch.setattr(database, "write", watched)
    monkeypatch.setattr(database, "read", asked)
    page = next(unnamed_staged(fixture.ledger.stores, fixture.ledger.clock() + STAGED_MS))
    _remove_staged(fixture.ledger.stores, page._replace(size=0), swept := Collected())
    assert len(swept.blobs) == 1
