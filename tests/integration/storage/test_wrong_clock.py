"""A wrong clock: met when it comes; and the way out where an entry of the future stands already."""

from pathlib import Path

import pytest

from api.app.settings import Settings
from client import beside
from ledger.times import DAY_MS, format_time
from records import opening, uploads
from records.uploads import Upload
from storage.clock import ClockWatch, this_boot, wall_clock
from storage.errors import Unavailable
from storage.maintenance.garbage import GarbageCollector
from storage.sql.database import Database
from tests.integration.conftest import fresh_settings
from tests.integration.storage.test_backup import Home, new_place
from tests.support.commands import heartwood
from tests.support.inside import opened
from tests.support.ledger_fixture import CONTENT, LedgerFixture, Person

AHEAD_MS = 400 * DAY_MS


def ahead() -> int:
    """A clock that stands 400 days ahead."""
    return wall_clock() + AHEAD_MS


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Home:
    """A closed ledger with a record, and a backup of it."""
    fixture = LedgerFixture.found(settings)
    pat = fixture.person()
    made = Home(fixture, pat, fixture.record(pat).record, tmp_path / "backup", tmp_path / "keeper")
    fixture.close()
    made.back_up()
    return made


def write(settings: Settings, pat: Person) -> None:
    """One upload, by a process of its own whose clock is right."""
    ledger = opened(settings)
    try:
        one = Upload(pat.patient, "document", "text/plain", [b"later"])
        beside.upload(ledger, pat.actor, [one])
    finally:
        ledger.close()


def write_ahead(home: Home, patch: pytest.MonkeyPatch, guarded: bool) -> None:
    """One upload by a clock that is ahead, the database's with it."""
    patch.setattr(Database, "clock", lambda database, connection: None)
    ledger = opened(home.settings, ahead, boot=this_boot if guarded else None)
    try:
        one = Upload(home.pat.patient, "document", "text/plain", [b"from the future"])
        beside.upload(ledger, home.pat.actor, [one])
    finally:
        ledger.close()
        patch.undo()


def size(settings: Settings) -> int:
    """Entries in the ledger."""
    ledger = opened(settings)
    try:
        return ledger.head().size
    finally:
        ledger.close()


def test_a_jump_between_two_processes_is_met(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is appended, it opens for a look all the same, and goes on once the clock is right."""
    before = size(home.settings)
    with pytest.raises(Unavailable, match=r"set forward by 400 days.*accept-clock TIME"):
        write_ahead(home, monkeypatch, guarded=True)
    assert size(home.settings) == before
    write(home.settings, home.pat)
    assert size(home.settings) == before + 1


def test_what_was_set_right_is_said_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set back by hours: refused, told by the status, accepted by the operator, and forgotten."""
    watch = ClockWatch(home.settings.data / "clock", lambda: wall_clock() + 10_800_000, this_boot)
    watch.saw(watch.wall())
    ran = heartwood(home.settings, "status", "--json")
    assert ran.code == 4 and ran.json["refused"] is None
    assert "was set back by 3 hours" in ran.json["stopped"]
    ran = heartwood(home.settings, "status")
    assert ran.code == 4 and "opens, but NOTHING CAN BE APPENDED: the clock" in ran.out
    with pytest.raises(Unavailable, match="accept-clock"):
        write(home.settings, home.pat)
    for wrong in (format_time(wall_clock() + 10_800_000), "now", "2027-03-01T14:05", "2027-03-01"):
        ran = heartwood(home.settings, "accept-clock", wrong)
        assert ran.code in (2, 4) and "expected" in ran.err, ran
        assert heartwood(home.settings, "status").code == 4
    ran = heartwood(home.settings, "accept-clock", f"{format_time(wall_clock())[:16]}Z")
    assert ran.code == 0, ran
    assert heartwood(home.settings, "status").code == 0
    write(home.settings, home.pat)


def test_the_way_out_of_an_entry_of_the_future(
    home: Home,
    engine: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the page on operations says: a backup from before the jump, and `ledger.restored`."""
    before = size(home.settings)
    write_ahead(home, monkeypatch, guarded=False)
    last = size(home.settings)  # it opens, for a look and an export
    ran = heartwood(home.settings, "status")
    assert ran.code == 4 and "days behind the log's last entry" in ran.out
    assert "A wrong clock" in ran.out
    with pytest.raises(Unavailable, match="restore a backup from before it"):
        write(home.settings, home.pat)
    ran = heartwood(home.settings, "export", tmp_path / "kept")
    assert ran.code == 0, ran
    place = new_place(engine, request, tmp_path)
    home.restored(place, home.settings.data)
    (operator,) = (place.data / "people").iterdir()
    ran = heartwood(place, "accept-restore", "--as", operator)
    assert (
        ran.code == 0
        and f"continues from {before} entries; known to be lost: {last - before} acknowledged"
        in ran.out
    )
    assert heartwood(place, "status").code == 0
    goes_on(place, home)
    ran = heartwood(place, "export", tmp_path / "export")
    vkey = place.data / "log.vkey"
    assert heartwood(place, "verify", tmp_path / "export", "--vkey", vkey).code == 0
    assert heartwood(place, "audit", tmp_path / "export", "--vkey", vkey).code == 0


def goes_on(settings: Settings, home: Home) -> None:
    """Read and write."""
    ledger = opened(settings)
    found = opening.find_record(ledger, home.record)
    proposal = beside.reading(ledger, home.pat.actor, found, "PATRQT")
    assert b"".join(opening.open_record(ledger, proposal).content) == CONTENT
    ledger.close()
    write(settings, home.pat)


def test_a_look_with_a_wrong_clock_stops_no_publishing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a receipt published while the clock was ahead holds up nothing afterwards."""
    monkeypatch.setattr(Database, "clock", lambda database, connection: None)
    fixture = LedgerFixture.found(settings)
    pat = fixture.person()
    fixture.fill(pat, fixture.size() + 1)
    fixture.reopen(ahead)
    fixture.ledger.publish()
    fixture.reopen()
    fixture.fill(pat, fixture.size() + 1)
    fixture.ledger.publish()
    head = fixture.ledger.head()
    assert head.published == head.size and abs(head.published_time - wall_clock()) < DAY_MS
    fixture.close()


def test_a_clock_in_doubt_sweeps_nothing(settings: Settings) -> None:
    """By a clock that is ahead all that is staged would be a day old."""
    fixture = LedgerFixture.found(settings)
    pat = fixture.person()
    blob = uploads.stage(fixture.ledger, pat.actor.caller, pat.patient, [b"staged"]).blob
    fixture.close()
    watch = ClockWatch(settings.data / "clock", lambda: wall_clock() - AHEAD_MS, this_boot)
    watch.saw(watch.wall())
    ran = heartwood(settings, "sweep")
    assert ran.code == 4 and "nothing is removed: the clock" in ran.err
    ledger = opened(settings)
    with pytest.raises(Unavailable, match="nothing is removed: the clock"):
        GarbageCollector(ledger.stores, settings.data, ledger.clock, ledger.log.unavailable).due()
    assert ledger.blobs.size(blob)
    ledger.close()


def test_old_ledgers_have_no_file(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Made before the clock was kept: the last entry is asked, and the first append makes the file."""
    place = fresh_settings(engine, request, tmp_path / "old")
    fixture = LedgerFixture.found(place)
    pat = fixture.person()
    fixture.close()
    (place.data / "clock").unlink()
    assert heartwood(place, "status").code == 0
    write(place, pat)
    assert (place.data / "clock").stat().st_mode & 0o777 == 0o600
