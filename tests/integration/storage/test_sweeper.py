"""Garbage collection: what was staged and never named goes after a day, and nothing else, whatever happens at once."""

import dataclasses
import os
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api.app.settings import Settings
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
from storage.blobs.files import FileBlobs
from storage.clock import wall_clock
from storage.errors import BlobError
from storage.maintenance.garbage import SWEEP_MS, Collected, sweep
from storage.maintenance.orphans import STAGED_MS, named
from tests.deep.witness import assert_keys
from tests.support.commands import heartwood
from tests.support.people import Person, Town
from tests.support.server import PATIENCE_SECONDS, until

RACES = 40
PAUSE_SECONDS = 0.3
"""Long enough for a key that need not wait."""


def caller(actor: Actor) -> Caller:
    """Somebody in a session."""
    return Caller(actor.account, actor.role, actor.hospital, actor.key.id)


def stage(town: Town, person: Person, record: str = "") -> StagedBlob:
    """A staged blob of the north's system, without an event."""
    return uploads.stage(town.ledger, caller(town.north.system), person.patient, [b"x"], record)


def swept_later(town: Town, later: int = STAGED_MS + 60_000) -> Collected:
    """A sweep so much later."""
    return sweep(town.ledger.stores, town.settings.data, town.ledger.clock() + later)


def event(town: Town, person: Person, staged: StagedBlob) -> dict[str, Any]:
    """The upload that names a staged blob."""
    body = {
        "blob": staged.blob, "category": "laboratory", "confidentiality": "normal", "media_type": "text/plain",
        "purpose": "TREAT", "record": staged.record, "sha256": b64encode(staged.sha256), "size": staged.size,
        "version": 1,
    }  # fmt: skip
    return town.north.system.event("record.uploaded", person.stream, body, town.ledger.clock())


def name_it(town: Town, person: Person, staged: StagedBlob) -> str:
    """Append the event; the code of its refusal, or "" if it is an entry."""
    (proposal,) = propose(town.ledger, town.north.system, [event(town, person, staged)])
    outcome = town.ledger.append([proposal])[0]
    assert isinstance(outcome, Appended | Refused), outcome
    return outcome.code if isinstance(outcome, Refused) else ""


def has_keys(town: Town, patient: str, staged: StagedBlob) -> tuple[bool, bool]:
    """Whether the blob's key and its record's are there."""
    keys = town.ledger.keys
    with town.ledger.database.read() as connection:
        return (
            bool(keys.blob_keys(connection, [staged.blob])),
            bool(keys.object_keys(connection, [(staged.record, patient)])),
        )


def test_what_was_staged_goes_after_a_day(town: Town) -> None:
    """Blob, key and the key of its record; an append that comes later is refused, cleanly."""
    pat = town.person()
    kept, staged = town.record(pat), stage(town, pat)
    assert swept_later(town, STAGED_MS - 60_000) == Collected()
    assert has_keys(town, pat.patient, staged) == (True, True)
    assert swept_later(town) == Collected(blobs=[staged.blob])
    assert has_keys(town, pat.patient, staged) == (False, False)
    with pytest.raises(BlobError, match="is not in the blob store"):
        town.ledger.blobs.size(staged.blob)
    assert name_it(town, pat, staged) == "no_key"
    assert town.ledger.blobs.size(kept.blob)
    assert swept_later(town) == Collected()


def test_what_is_named_stays(town: Town) -> None:
    """For ever, also where the views know nothing of it."""
    pat = town.person()
    staged = stage(town, pat)
    assert name_it(town, pat, staged) == ""
    assert swept_later(town, 400 * DAY_MS) == Collected()
    with town.ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM records")
    assert swept_later(town, 400 * DAY_MS) == Collected()
    assert has_keys(town, pat.patient, staged) == (True, True)


def test_a_lost_key_does_not_make_a_blob_a_stray(town: Town) -> None:
    """Neither key nor view know of it, and the log does: the blob stays, a backup may have its key."""
    kept = town.record(town.person())
    with town.ledger.database.write() as connection:
        for table in ("records", "blob_keys"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    assert swept_later(town) == Collected()
    assert town.ledger.blobs.size(kept.blob)


def test_a_version_that_never_came(town: Town) -> None:
    """Staged for a record that is there: its own key stays, and the record opens as before."""
    pat = town.person()
    there = town.record(pat)
    staged = stage(town, pat, there.record)
    assert swept_later(town).blobs == [staged.blob]
    assert has_keys(town, pat.patient, staged) == (False, True)


@pytest.mark.parametrize(("days", "size"), [(0, 0), (30, 300)])
@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_records_key_stays_with_its_record(settings: Settings, days: int, size: int) -> None:
    """Also where the first version's key is lost and a second never came; long ago, beyond the look, too."""
    town = Town.found(settings, lambda: wall_clock() - days * DAY_MS)
    pat = town.person()
    there = town.record(pat)
    town.fill(pat, max(size, town.size()))
    town.reopen()
    staged = stage(town, pat, there.record)
    with town.ledger.database.write() as connection:
        connection.exec_driver_sql(f"DELETE FROM blob_keys WHERE blob = '{there.blob}'")
    assert swept_later(town).blobs == [staged.blob]
    assert has_keys(town, pat.patient, staged) == (False, True)
    town.close()


def test_what_was_reserved_alone_stays(town: Town) -> None:
    """A text sealed under the key of an account may come in an event any day."""
    account = new_id("ac", town.ledger.clock())
    reserve(town.ledger, town.north.admin.account, [KeyRequest(account, (account,))])
    assert swept_later(town) == Collected()
    assert town.ledger.keys.object_key(account, account)


def test_strays_and_temporary_files(town: Town) -> None:
    """What crashes left: a blob whose key never came, and files that were never whole."""
    stray = new_id("bl", town.ledger.clock())
    town.ledger.blobs.put(stray, [b"sealed"])
    data = town.settings.data
    (data / "blobs" / stray[-2:] / f".{stray}.1.0123abcd").write_bytes(b"half")
    (data / "keeper" / ".checkpoint.77.0123abcd").write_bytes(b"half")
    (data / ".keep").write_bytes(b"somebody else's")
    assert swept_later(town, 0) == Collected()
    found = swept_later(town)
    assert (found.strays, found.blobs) == ([stray], [])
    assert sorted(found.files) == [f".{stray}.1.0123abcd", ".checkpoint.77.0123abcd"]
    assert (data / ".keep").exists()
    assert swept_later(town) == Collected()


def test_strays_from_before_a_restored_backup_stay(town: Town) -> None:
    """Their entries may be among those that were lost, and a newer backup may turn up."""
    pat = town.person()
    lost = town.record(pat).blob
    with town.ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM blob_keys")
    trusted = town.settings.data / "checkpoint"
    trusted.unlink()
    stray = new_id("bl", town.ledger.clock())
    town.ledger.blobs.put(stray, [b"sealed"])
    accept_restore(town.ledger, town.operator, trusted)
    found = swept_later(town)
    assert (found.kept, found.strays) == ([stray], [])
    assert town.ledger.blobs.size(lost)


def test_a_blob_swept_before_its_key_is_told(town: Town) -> None:
    """A process that slept between blob and key comes too late, and says so before any event."""
    pat, blobs = town.person(), town.ledger.blobs

    class Sleeping(FileBlobs):
        """Sleeps after each put until a sweep is over."""

        def put(self, blob: str, chunks: Iterable[bytes]) -> None:
            super().put(blob, chunks)
            assert swept_later(town).strays == [blob]

    town.ledger.blobs = Sleeping(town.settings.data / "blobs")
    with pytest.raises(BlobError, match="is not in the blob store"):
        town.record(pat)
    town.ledger.blobs = blobs
    assert len(swept_later(town).blobs) == 1


def test_a_sweep_and_an_append_at_once(town: Town) -> None:
    """Of a sweep and an append that names the blob one comes first; never an entry without key and blob."""
    pat, came = town.person(), []
    for _ in range(RACES):
        staged, barrier = stage(town, pat), threading.Barrier(2)
        with town.ledger.database.write() as connection:
            old = f"UPDATE blob_keys SET staged_at = 0 WHERE blob = '{staged.blob}'"
            connection.exec_driver_sql(old)

        def sweep_at_once(barrier: threading.Barrier = barrier) -> Collected:
            barrier.wait(PATIENCE_SECONDS)
            return swept_later(town, 0)

        def name_at_once(staged: StagedBlob = staged, barrier: threading.Barrier = barrier) -> str:
            barrier.wait(PATIENCE_SECONDS)
            return name_it(town, pat, staged)

        with ThreadPoolExecutor(2) as pool:
            sweeping, naming = pool.submit(sweep_at_once), pool.submit(name_at_once)
            swept, code = sweeping.result(), naming.result()
        assert (code == "no_key") == (swept.blobs == [staged.blob]), (code, swept)
        came.append(code)
        assert_keys(town.ledger, town.ledger.stream(pat.stream, town.size()))
    print(f"{came.count('')} of {RACES} appends came first")


def test_an_append_between_look_and_lock(town: Town) -> None:
    """A sweep that looked before an append looks again under the lock."""
    pat, done = town.person(), list[str]()
    staged = stage(town, pat)

    def append_once() -> None:
        if not done:
            done.append(name_it(town, pat, staged))

    now = town.ledger.clock() + 2 * STAGED_MS
    assert sweep(town.ledger.stores, town.settings.data, now, append_once) == Collected()
    assert done == [""]
    assert has_keys(town, pat.patient, staged) == (True, True)


def test_a_key_that_comes_while_its_blob_is_swept(town: Town) -> None:
    """It waits for the sweep, and then finds no blob: told before any event."""
    pat, sweeping = town.person(), threading.Event()
    folder = town.settings.data / "blobs"

    class Slow(FileBlobs):
        """Lets others go on before it removes."""

        def remove(self, blob: str) -> None:
            sweeping.set()
            time.sleep(PAUSE_SECONDS)
            super().remove(blob)

    stores = dataclasses.replace(town.ledger.stores, blobs=Slow(folder))
    now = town.ledger.clock()
    with ThreadPoolExecutor(1) as pool:

        class Watched(FileBlobs):
            """Goes on when a sweep has found the new blob without a key."""

            def put(self, blob: str, chunks: Iterable[bytes]) -> None:
                super().put(blob, chunks)
                os.utime(folder / blob[-2:] / blob, (0, 0))
                swept.append(pool.submit(sweep, stores, town.settings.data, now))
                assert sweeping.wait(PATIENCE_SECONDS)

        swept: list[Future[Collected]] = []
        town.ledger.blobs = Watched(folder)
        with pytest.raises(BlobError, match="is not in the blob store"):
            town.record(pat)
        assert len(swept[0].result().strays) == 1


def test_the_walk_ends_at_the_birth(town: Town) -> None:
    """Entries from before a blob was born can't name it, and aren't read."""
    pat = town.person()
    town.fill(pat, 600)
    blob, ledger = town.record(pat).blob, town.ledger
    size, steps = town.size(), list[int]()

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
def test_one_process_at_a_time_and_seldom(town: Town) -> None:
    """The second one finds that a sweep was done, until the next is due."""
    garbage, now = town.ledger.garbage, town.ledger.clock()
    assert garbage.due() == Collected()
    assert garbage.due() is None
    last = town.settings.data / "sweep"
    assert now <= int(last.read_text()) <= town.ledger.clock()
    assert oct(last.stat().st_mode & 0o777) == "0o600"
    last.write_text(f"{now - SWEEP_MS}\n")
    assert garbage.due() == Collected()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_loop_tells_and_ends(town: Town) -> None:
    """It sweeps when it begins, tells what came of it, and ends with what it runs in; a failure, too."""
    told: list[Collected | Exception] = []
    with town.ledger.garbage.running(told.append):
        until(lambda: bool(told), "no sweep")
    assert told == [Collected()]
    assert not [thread for thread in threading.enumerate() if thread.name == "garbage"]
    last = town.settings.data / "sweep"
    last.unlink()
    last.mkdir()
    with town.ledger.garbage.running(told.append):
        until(lambda: len(told) == 2, "no failure")
    assert isinstance(told[1], IsADirectoryError)
    last.rmdir()


@pytest.mark.parametrize("engine", ["sqlite"])
def test_by_hand(settings: Settings) -> None:
    """`sweep` says what it removed."""
    town = Town.found(settings)
    pat = town.person()
    staged = stage(town, pat)
    with town.ledger.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE blob_keys SET staged_at = staged_at - {2 * DAY_MS}")
    town.close()
    left = Path(settings.data / "keeper" / ".keks.1.00000000")
    left.write_bytes(b"")
    os.utime(left, (0, 0))
    ran = heartwood(settings, "sweep")
    assert (ran.code, ran.out) == (
        0,
        f"removed {staged.blob}, which was staged, and its key\n"
        "removed the temporary file .keks.1.00000000\n",
    )
    again = heartwood(settings, "sweep", "--json")
    assert again.json == {"blobs": [], "strays": [], "files": [], "kept": []}
    assert heartwood(settings, "sweep").out == "nothing to remove\n"
